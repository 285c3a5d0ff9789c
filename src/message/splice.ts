/**
 * Cutting bytes out of a message and laying text in, in one copy.
 * @module
 */

/** Replaces bytes[start, end) by latin1 text; `start === end` inserts. */
export interface Cut {
  readonly start: number
  readonly end: number
  readonly text: string
}

function isOrdered(cuts: readonly Cut[]): boolean {
  for (let i = 1; i < cuts.length; i++) if (cuts[i]!.start < cuts[i - 1]!.start) return false
  return true
}

/** bytes[from, to) with the cuts made. Cuts must not overlap; of two at one place the first given comes first. */
export function splice(bytes: Buffer, from: number, to: number, cuts: readonly Cut[]): Buffer {
  const ordered = isOrdered(cuts) ? cuts : cuts.toSorted((a, b) => a.start - b.start)
  let size = to - from
  for (const { start, end, text } of ordered) size += text.length - (end - start)
  const result = Buffer.allocUnsafe(size)
  let read = from
  let written = 0
  for (const { start, end, text } of ordered) {
    written = copy(bytes, read, start, result, written)
    if (text !== '') written += result.write(text, written, 'latin1')
    read = end
  }
  copy(bytes, read, to, result, written)
  return result
}

/** Short pieces are copied faster by a loop than by a call out of JavaScript. */
const LOOP = 64

function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  const length = end - start
  if (length > LOOP) from.copy(to, at, start, end)
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!
  return at + length
}
