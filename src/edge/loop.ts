/**
 * Telling a loop from a spiral (RFC 3261 §16.3 item 4, §16.6 item 8): a request that comes back unchanged would come
 * back for ever.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { writeHex32 } from '../message/hex.ts'
import type { Endpoint } from '../message/types.ts'
import type { Via } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'
import { asOwn, type Branches } from './branch.ts'
import { viaBelow } from './forward.ts'

/** Via parameter of ours: a fingerprint of what a request is routed by. Apart from the branch, which an INVITE shares. */
export const LOOP_PARAM = 'xk-loop'

/** Length of the fingerprint as it stands there. */
export const LOOP_LENGTH = 8

const ROUTE = headerSelector('Route')

/** Entries of our own that are looked at. Whoever sends more was here more often than any call needs. */
const MOST_ENTRIES = 4

/** Writes the fingerprint of a request at `at`. */
export function writeLoopMark(view: MessageView, out: Uint8Array, at: number): void {
  const { bytes, layout } = view
  // FNV-1a, 32 bits: who makes two of his own requests collide has only himself to blame.
  let value = fold(0x811c9dc5, bytes, layout.secondStart, layout.secondEnd)
  for (let row = view.find(ROUTE, 0); row >= 0; row = view.find(ROUTE, row + 1)) {
    value = fold(value, bytes, view.valueStart(row), view.valueEnd(row))
  }
  writeHex32(value, out, at)
}

function fold(seed: number, bytes: Buffer, start: number, end: number): number {
  let value = seed
  for (let i = start; i < end; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193)
  return value
}

/**
 * Whether a request went by this way before, and is routed by the same now.
 * @param mark its fingerprint
 */
export function isLoop(
  view: MessageView,
  top: Via,
  path: { readonly name: string; readonly local: Endpoint },
  mark: string,
  branches: Branches,
): boolean {
  let below = viaBelow(view, { via: top, row: view.layout.via })
  for (let found = 0; below !== undefined;) {
    const own = asOwn(view, below.via, path.local)
    const text = own?.name === path.name ? view.text(below.via.branchEnd, below.via.end) : undefined
    below = viaBelow(view, below)
    if (text === undefined || own === undefined) continue
    if (++found > MOST_ENTRIES) return true
    const same = text.startsWith(`;${LOOP_PARAM}=${mark}`)
    if (same && below !== undefined && branches.isOwn(view, own, below.via)) return true
  }
  return false
}
