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
  if (via.receivedAt >= 0) cuts.push({ start: via.receivedAt, end: via.receivedEnd, text: '' })
  if (via.rportAt >= 0) {
    cuts.push({ start: via.rportAt, end: via.rportEnd, text: '' })
    const text = `;received=${source.address};rport=${source.port}`
    cuts.push({ start: via.end, end: via.end, text })
  } else if (!isSentBy(bytes, via, source.address)) {
    cuts.push({ start: via.end, end: via.end, text: `;received=${source.address}` })
  }
}

function isSentBy(bytes: Buffer, via: Via, address: string): boolean {
  const host = bytes.toString('latin1', via.hostStart, via.hostEnd)
  return host === address || host === `[${address}]`
}
