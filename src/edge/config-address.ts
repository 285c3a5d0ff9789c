/**
 * Addresses as they stand in `edge.toml`, read and written.
 * @module
 */
import { SocketAddress, isIP, isIPv6 } from 'node:net'
import type { Endpoint } from '../message/types.ts'
import { createAddressMatcher, parseSource, type SourceRange } from '../pipeline/source.ts'

/** `address:port`, IPv6 in brackets; a message where it is none. Names, wildcards and zones are refused. */
export function parseEndpoint(text: string): Endpoint | string {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const address = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  if (isIP(address) !== (match?.[1] === undefined ? 4 : 6)) {
    return `${JSON.stringify(text)} is not address:port with an IP address, as in 192.0.2.1:5060 or [2001:db8::1]:5060`
  }
  if (/^[0.:]+$/.test(address)) return 'it must be a concrete address: it goes into Via and into templates'
  const odd = oddity(address)
  if (odd !== undefined) return odd
  if (port > 65535) return `port ${port} is not in 0…65535`
  return { address: canonical(address), port }
}

/** One spelling an address, the one that sockets tell: it is compared as text with what messages and packets hold. */
function canonical(address: string): string {
  return isIPv6(address) ? new SocketAddress({ address, family: 'ipv6' }).address : address
}

/** An entry of a source list, or a message where it is none. */
export function parseConfigSource(text: string): SourceRange | string {
  const range = parseSource(text)
  if (typeof range === 'string') return range
  return oddity(range.address) ?? { ...range, address: canonical(range.address) }
}

function oddity(address: string): string | undefined {
  if (address.includes('%')) return 'an address with a zone cannot be used: SIP has no way to write it'
  return /^::ffff:[\d.]+$/i.test(address) ? 'it is an IPv4 address: write it as one' : undefined
}

/** `192.0.2.1:5060`, `[2001:db8::1]:5060`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** `192.0.2.1`, `192.0.2.0/28`, `192.0.2.1:5060`. */
export function formatRange({ address, port, prefix }: SourceRange): string {
  if (port !== undefined) return formatEndpoint({ address, port })
  return prefix === (isIPv6(address) ? 128 : 32) ? address : `${address}/${prefix}`
}

/** Whether two endpoints are one. Port 0 is any free port, and so never the same. */
export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port !== 0 && a.port === b.port && a.address === b.address
}

/** Whether one address is IPv4 and the other IPv6. */
export function differInFamily(a: string, b: string): boolean {
  return isIPv6(a) !== isIPv6(b)
}

/** Whether an address is reached on this machine only. */
export function isLoopback(address: string): boolean {
  return isIPv6(address) ? address === '::1' : address.startsWith('127.')
}

/** Whether two ranges say the same, be they written differently. */
export function isSameRange(a: SourceRange, b: SourceRange): boolean {
  return a.prefix === b.prefix && a.port === b.port && holds(a, b.address)
}

/** Whether every source of the second range lies in the first one too. */
export function covers(range: SourceRange, other: SourceRange): boolean {
  return (
    range.prefix <= other.prefix &&
    (range.port === undefined || range.port === other.port) &&
    holds(range, other.address)
  )
}

/** Whether a source can lie in both ranges. */
export function overlap(a: SourceRange, b: SourceRange): boolean {
  const [wide, narrow] = a.prefix <= b.prefix ? [a, b] : [b, a]
  const ports = a.port === undefined || b.port === undefined || a.port === b.port
  return ports && holds(wide, narrow.address)
}

/** Whether an address lies in a range. Most ranges are one address, and every trunk is held against every other. */
function holds(range: SourceRange, address: string): boolean {
  const isOne = range.prefix === (isIPv6(range.address) ? 128 : 32)
  return isOne ? range.address === address : createAddressMatcher(range)(address)
}
