/**
 * Where a SIP URI leads (RFC 3263, without NAPTR): addresses for each transport, the best first.
 * @module
 */
import { Resolver, lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Endpoint } from '../message/types.ts'

/** What a URI says of its next hop. */
export interface Hop {
  /** IPv6 without brackets. */
  readonly host: string
  /** 0 where the URI has none. */
  readonly port: number
  /** Transports that may be used, the first preferred. */
  readonly transports: readonly ('udp' | 'tcp')[]
}

/** A next hop. */
export interface Target extends Endpoint {
  readonly transport: 'udp' | 'tcp'
}

/** More answers than this are not tried. */
const MOST = 16
const DEFAULT_PORT = 5060

/** Finds the targets of a hop; none where the name leads nowhere. Never rejects. */
export async function resolveHop(hop: Hop): Promise<readonly Target[]> {
  const { host, port, transports } = hop
  if (isIP(host) !== 0 || port !== 0) return endpoints(host, port === 0 ? DEFAULT_PORT : port, transports)
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  const found = await Promise.all(transports.map((transport) => services(resolver, host, transport)))
  const targets = found.flat()
  return targets.length > 0 ? targets.slice(0, MOST) : endpoints(host, DEFAULT_PORT, transports)
}

async function endpoints(
  host: string,
  port: number,
  transports: readonly ('udp' | 'tcp')[],
): Promise<readonly Target[]> {
  const addresses = await addressesOf(host)
  return addresses
    .flatMap((address) => transports.map((transport) => ({ transport, address, port })))
    .slice(0, MOST)
}

async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}

/** Targets by SRV, in the order of their priority (RFC 2782); of one priority, the heaviest first. */
async function services(
  resolver: Resolver,
  host: string,
  transport: 'udp' | 'tcp',
): Promise<readonly Target[]> {
  try {
    const records = await resolver.resolveSrv(`_sip._${transport}.${host}`)
    const ordered = records.toSorted((a, b) => a.priority - b.priority || b.weight - a.weight).slice(0, MOST)
    const found = await Promise.all(ordered.map(({ name, port }) => endpoints(name, port, [transport])))
    return found.flat()
  } catch {
    return []
  }
}
