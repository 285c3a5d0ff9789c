/**
 * Matching the address that a message came from.
 * @module
 */
import { BlockList, isIP } from 'node:net'
import { ConfigError, type Issue } from '../errors.ts'
import type { Endpoint } from '../message/types.ts'

/** One entry of a source list. */
export interface SourceRange {
  /** IPv6 without brackets. */
  readonly address: string
  /** Bits of the network; 32 or 128 for one address. */
  readonly prefix: number
  /** Undefined: any. */
  readonly port: number | undefined
}

/** `192.0.2.1`, `192.0.2.1:5060`, `192.0.2.0/28`, `2001:db8::/64`, `[2001:db8::1]:5060`; a message where it is none. */
export function parseSource(text: string): SourceRange | string {
  const match = /^(?:\[([^\]]+)\](?::(\d+))?|([0-9.]+)(?::(\d+))?|([0-9a-fA-F:.]+))(?:\/(\d+))?$/.exec(text)
  const address = match?.[1] ?? match?.[3] ?? match?.[5] ?? ''
  const family = isIP(address)
  if (match === null || family === 0)
    return `${JSON.stringify(text)} is not an IP address, network or address:port`
  const longest = family === 4 ? 32 : 128
  const port = match[2] ?? match[4]
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535))
    return `port ${port} is not in 1…65535`
  const prefix = match[6] === undefined ? longest : Number(match[6])
  if (prefix > longest) return `/${prefix} is longer than an IPv${family} address`
  if (port !== undefined && match[6] !== undefined)
    return 'a network has no port; list addresses with ports instead'
  return { address, prefix, port: port === undefined ? undefined : Number(port) }
}

/** Whether `address` lies in the range, its port aside. */
export function createAddressMatcher(range: SourceRange): (address: string) => boolean {
  const network = ipv4Number(range.address)
  if (network >= 0) {
    // Shifts count modulo 32, so a prefix of 0 needs a mask of its own.
    const mask = range.prefix === 0 ? 0 : (-1 << (32 - range.prefix)) >>> 0
    const wanted = (network & mask) >>> 0
    return (address) => {
      // A dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d.
      const number = ipv4Number(address.startsWith('::ffff:') ? address.slice(7) : address)
      return number >= 0 && (number & mask) >>> 0 === wanted
    }
  }
  const list = new BlockList()
  list.addSubnet(range.address, range.prefix, 'ipv6')
  return (address) => address.includes(':') && list.check(address, 'ipv6')
}

/** An IPv4 address as a number; -1 for any other text. Asked for every packet, where a BlockList costs ten times this. */
function ipv4Number(address: string): number {
  let number = 0
  let byte = -1
  let dots = 0
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i)
    if (code === 46) {
      if (byte < 0) return -1
      number = number * 256 + byte
      byte = -1
      dots++
    } else {
      const digit = code - 48
      if (digit < 0 || digit > 9) return -1
      byte = (byte < 0 ? 0 : byte * 10) + digit
      if (byte > 255) return -1
    }
  }
  return dots === 3 && byte >= 0 ? number * 256 + byte : -1
}

/**
 * Compiles a source list.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every entry that is none.
 */
export function createSourceMatcher(sources: readonly string[]): (source: Endpoint) => boolean {
  const issues: Issue[] = []
  const ranges: SourceRange[] = []
  for (const [index, text] of sources.entries()) {
    const range = parseSource(text)
    if (typeof range === 'string') issues.push({ path: `source[${index}]`, message: range })
    else ranges.push(range)
  }
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)
  return matchRanges(ranges)
}

/** Whether a source lies in one of the ranges. */
export function matchRanges(ranges: readonly SourceRange[]): (source: Endpoint) => boolean {
  const entries = ranges.map((range) => ({ port: range.port, matches: createAddressMatcher(range) }))
  return ({ address, port }) =>
    entries.some((entry) => (entry.port === undefined || entry.port === port) && entry.matches(address))
}
