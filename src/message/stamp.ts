/**
 * What a server writes into the top Via of a request that it received (RFC 3261 §18.2.1, RFC 3581 §4).
 * @module
 */
import type { Cut } from './splice.ts'
import type { Endpoint } from './types.ts'
import type { Via } from './via.ts'

/**
 * Adds the cuts that stamp `via` with its source: `received` where the sent-by differs or `rport` asks for it, and the
 * value of `rport`. A `received` that the sender wrote itself goes.
 */
export function stampVia(bytes: Buffer, via: Via, source: Endpoint, cuts: Cut[]): void {
  // A zone is this host's own affair, and no part of an address in SIP.
  const zone = source.address.indexOf('%')
  const address = zone < 0 ? source.address : source.address.slice(0, zone)
  if (via.receivedAt >= 0) cuts.push({ start: before(bytes, via.receivedAt), end: via.receivedEnd, text: '' })
  if (via.rportAt >= 0) {
    cuts.push({ start: before(bytes, via.rportAt), end: via.rportEnd, text: '' })
    cuts.push({ start: via.end, end: via.end, text: `;received=${address};rport=${source.port}` })
  } else if (!isSentBy(bytes, via, address)) {
    cuts.push({ start: via.end, end: via.end, text: `;received=${address}` })
  }
}

/** Behind the last byte before `at` that is no white space: what stands alone on a fold takes the fold with it. */
function before(bytes: Buffer, at: number): number {
  let i = at
  while (bytes[i - 1] === 32 || bytes[i - 1] === 9 || bytes[i - 1] === 13 || bytes[i - 1] === 10) i--
  return i
}

function isSentBy(bytes: Buffer, via: Via, address: string): boolean {
  const host = bytes.toString('latin1', via.hostStart, via.hostEnd)
  return host === address || host === `[${address}]`
}
