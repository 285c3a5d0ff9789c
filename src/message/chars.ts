/**
 * Character classes of SIP, as tables indexed by byte.
 * @module
 */

/** Byte values that the parsers name. */
export const NUL = 0
export const TAB = 9
export const LF = 10
export const CR = 13
export const SPACE = 32
export const QUOTE = 34
export const COMMA = 44
export const COLON = 58
export const SEMICOLON = 59
export const LESS = 60
export const EQUAL = 61
export const GREATER = 62
export const QUESTION = 63
export const AT = 64
export const BACKSLASH = 92

/** A table that is 1 at the bytes of `alphabet`. */
export function classOf(alphabet: string): Uint8Array {
  const table = new Uint8Array(256)
  for (const char of alphabet) table[char.charCodeAt(0)] = 1
  return table
}

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** RFC 3261 §25.1 `token`, without `%`: a parser behind us that decodes `%46rom` must not read another name. */
export const TOKEN: Uint8Array = classOf(ALPHANUMERIC + "-.!*_+`'~")

/** What Kamailio takes in a header name (parse_hname2.c). */
export const KAMAILIO_NAME: Uint8Array = classOf(ALPHANUMERIC + '-._+~')

/** Lower-case of each TOKEN byte, 0 for every other byte: one look-up validates and folds. */
export const LOWER_TOKEN: Uint8Array = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  if (TOKEN[byte] === 1) LOWER_TOKEN[byte] = byte >= 65 && byte <= 90 ? byte + 32 : byte
}

/** SP or HTAB. */
export function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/** `0`–`9`. */
export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57
}

/** Whether bytes[start, end) spell `lower` (itself in lower case), in either case of ASCII letters. */
export function spells(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[start + i]!
    if ((byte >= 65 && byte <= 90 ? byte + 32 : byte) !== lower.charCodeAt(i)) return false
  }
  return true
}
