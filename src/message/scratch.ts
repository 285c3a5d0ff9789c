/**
 * A copy of the header block that is being scanned, readable four bytes at a time: text without a control byte, which
 * is most of it, is then skipped at a quarter of the cost. The arrays are constants because V8 then knows their
 * address and length; passed as arguments, the same loops take twice as long. Only valid until the next parse.
 * @module
 */

/** Longest header block, bytes: what fits in a datagram, as in Kamailio (BUF_SIZE). The body may go on behind it. */
export const MAX_HEADERS = 65535

/** Zero bytes behind the message, so that every skip ends. */
const PADDING = 9

const buffer = new ArrayBuffer(MAX_HEADERS + PADDING)

/** The first bytes of the message, then NULs. */
export const SCRATCH: Uint8Array = new Uint8Array(buffer)

const WORDS = new Int32Array(buffer)

/** Lays `message` into the scratch; what lies past MAX_HEADERS cannot be header and stays out. */
export function layOut(message: Uint8Array): void {
  const { length } = message
  if (length <= MAX_HEADERS) {
    SCRATCH.set(message)
    SCRATCH.fill(0, length, length + PADDING)
  } else {
    SCRATCH.set(message.subarray(0, MAX_HEADERS))
    SCRATCH.fill(0, MAX_HEADERS)
  }
}

/** Offset of the first byte at or behind `from` that is 13 or less: CR, LF, NUL, HTAB or another control. */
export function skipText(from: number): number {
  let i = from
  while ((i & 3) !== 0) {
    if (SCRATCH[i]! <= 13) return i
    i++
  }
  let w = i >> 2
  let word = WORDS[w]!
  // A byte under 14 borrows into its top bit; bytes from 0x80 on are masked out. A borrow may also mark the byte
  // above a real hit, never one without a hit below it.
  while (((word - 0x0e0e0e0e) & ~word & 0x80808080) === 0) word = WORDS[++w]!
  i = w << 2
  while (SCRATCH[i]! > 13) i++
  return i
}
