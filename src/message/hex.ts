/**
 * Writing digests as lower-case hex into bytes, without a string in between.
 * @module
 */

const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

/** Writes the first `count` bytes of a digest (latin1 text, one character a byte) at `at`; returns the end. */
export function writeHex(digest: string, count: number, out: Uint8Array, at: number): number {
  let end = at
  for (let i = 0; i < count; i++) {
    const byte = digest.charCodeAt(i)
    out[end++] = DIGITS[byte >> 4]!
    out[end++] = DIGITS[byte & 15]!
  }
  return end
}

/** Writes 32 bits as eight digits at `at`; returns the end. */
export function writeHex32(value: number, out: Uint8Array, at: number): number {
  for (let i = 0, shift = 28; i < 8; i++, shift -= 4) out[at + i] = DIGITS[(value >>> shift) & 15]!
  return at + 8
}
