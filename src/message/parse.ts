/**
 * Bytes to message.
 * @module
 */
import { parseKamailio } from './parse-kamailio.ts'
import { parseStrict } from './parse-strict.ts'
import type { ParseResult, Tolerance } from './types.ts'

/**
 * Parses one message. Never throws, whatever the bytes; the message keeps them, so do not change them afterwards.
 * @param options `tolerance`: `strict` (the default, for network bytes) or `kamailio` (accepts what Kamailio 5.6 does:
 *   LF line ends, repeated From, a wrong Content-Length, …).
 */
export function parseMessage(bytes: Uint8Array, options?: { readonly tolerance?: Tolerance }): ParseResult {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return options?.tolerance === 'kamailio' ? parseKamailio(buffer) : parseStrict(buffer)
}
