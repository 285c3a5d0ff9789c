/**
 * What tells one request from another that uses the same nonce count.
 * @module
 */
import { createHash } from 'node:crypto'
import type { Endpoint } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'

/**
 * A name for one transmission of a request and its retransmissions (RFC 3261 §17.1.1.2), which repeat every byte from the
 * same place: method, URI, response, Call-ID, CSeq and branch, and what no response covers, such as Contact. Whoever copies
 * a request to have another contact registered writes another request. A hash: it takes the same room whatever is sent.
 */
export function transmissionOf(view: MessageView, source: Endpoint): string {
  const { bytes, layout } = view
  return createHash('sha256')
    .update(`${source.address} ${source.port}\n`)
    .update(bytes.subarray(layout.messageStart, layout.end))
    .digest('base64')
}
