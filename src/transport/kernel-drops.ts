/**
 * How many datagrams the kernel dropped because a socket's buffer was full, where the system tells (Linux).
 * @module
 */
import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import type { Endpoint } from '../message/types.ts'

/** Drops of the UDP socket bound to `local`, since it was opened; undefined where the system does not tell. */
export function kernelDrops(local: Endpoint): number | undefined {
  const ipv6 = isIPv6(local.address)
  let text: string
  try {
    text = readFileSync(ipv6 ? '/proc/net/udp6' : '/proc/net/udp', 'latin1')
  } catch {
    return undefined
  }
  return parseDrops(text, local)
}

/** Reads the table of `/proc/net/udp`: column 2 is the local address in hex, the last one the drops. */
export function parseDrops(table: string, local: Endpoint): number | undefined {
  const port = local.port.toString(16).toUpperCase().padStart(4, '0')
  const address = isIPv6(local.address) ? undefined : hexAddress(local.address)
  let drops: number | undefined
  for (const line of table.split('\n').slice(1)) {
    const columns = line.trim().split(/\s+/)
    const [host, hostPort] = (columns[1] ?? '').split(':')
    if (hostPort !== port || (address !== undefined && host !== address)) continue
    drops = (drops ?? 0) + Number(columns.at(-1))
  }
  return drops
}

/** The kernel prints an IPv4 address as a number in its own byte order: little-endian on the machines Node runs on. */
function hexAddress(address: string): string {
  return address
    .split('.')
    .toReversed()
    .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
    .join('')
}
