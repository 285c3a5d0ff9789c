/**
 * What tells one request from another that uses the same nonce count.
 * @module
 */
import { createHash, hash } from 'node:crypto'
import type { Endpoint } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'

/** Longest message that is copied to be hashed in one piece, bytes, and room for the longest address and port. */
const MAX_COPIED = 4096
const MAX_SOURCE = 80
const work = Buffer.alloc(MAX_SOURCE + MAX_COPIED)

/**
 * A name for one transmission of a request and its retransmissions (RFC 3261 §17.1.1.2), which repeat every byte from the
 * same place: method, URI, response, Call-ID, CSeq and branch, and what no response covers, such as Contact. Whoever copies
 * a request to have another contact registered writes another request. A hash: it takes the same room whatever is sent.
 */
export function transmissionOf(view: MessageView, source: Endpoint): string {
  const { bytes, layout } = view
  const { messageStart, end } = layout
  const place = `${source.address} ${source.port}\n`
  if (place.length > MAX_SOURCE || end - messageStart > MAX_COPIED) {
    return createHash('sha256').update(place).update(bytes.subarray(messageStart, end)).digest('base64')
  }
  const start = work.write(place, 0, 'latin1')
  const length = start + bytes.copy(work, start, messageStart, end)
  return hash('sha256', work.subarray(0, length), 'base64')
}
