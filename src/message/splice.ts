/**
 * Cutting bytes out of a message and laying text in.
 * @module
 */

/** Replaces bytes[start, end) by latin1 text or bytes; `start === end` inserts. */
export interface Cut {
  readonly start: number
  readonly end: number
  readonly text: string | Uint8Array
}

/** Messages are put together in slabs, one behind the other: asking Node for a buffer costs more than filling it. */
const SLAB = 1 << 18

/** Shorter text is written faster by a loop than by a call out of JavaScript. */
const LOOP = 64

let slab = Buffer.allocUnsafeSlow(SLAB)
let used = 0

/**
 * bytes[from, to) with the cuts made, in memory of its own that is never written again. Of two cuts at one place the
 * first given comes first.
 * @throws RangeError where cuts overlap: what they would leave is no message
 */
export function splice(bytes: Buffer, from: number, to: number, cuts: readonly Cut[]): Buffer {
  const ordered = isOrdered(cuts) ? cuts : cuts.toSorted((a, b) => a.start - b.start)
  const length = to - from
  let growth = 0
  let most = 0
  let last = from
  for (let i = 0; i < ordered.length; i++) {
    const { start, end, text } = ordered[i]!
    if (start < last || end < start || end > to) throw new RangeError('cuts overlap, or lie outside')
    last = end
    growth += text.length - (end - start)
    if (growth > most) most = growth
  }
  if (used + length + most > slab.length) {
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB, length + most))
    used = 0
  }
  // The whole of it is laid down so far behind its place that every piece then moves towards the front, and none is
  // overwritten before it has moved.
  const base = used
  const shift = base + most - from
  slab.set(length === bytes.length ? bytes : bytes.subarray(from, to), base + most)
  let read = from
  let at = base
  for (let i = 0; i < ordered.length; i++) {
    const { start, end, text } = ordered[i]!
    at = move(read + shift, start + shift, at)
    if (typeof text !== 'string') slab.set(text, at)
    else if (text.length > LOOP) slab.write(text, at, 'latin1')
    else for (let k = 0; k < text.length; k++) slab[at + k] = text.charCodeAt(k)
    at += text.length
    read = end
  }
  used = move(read + shift, to + shift, at)
  return slab.subarray(base, used)
}

function isOrdered(cuts: readonly Cut[]): boolean {
  for (let i = 1; i < cuts.length; i++) if (cuts[i]!.start < cuts[i - 1]!.start) return false
  return true
}

function move(start: number, end: number, to: number): number {
  if (start !== to && end > start) slab.copyWithin(to, start, end)
  return to + end - start
}
