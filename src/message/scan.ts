/**
 * Scanning a message: the state that the strict parser's steps share, overwritten by the next message.
 * Small functions over one state object are what V8 compiles best; one large function ran at half the speed.
 * @module
 */
import { CR, LF, NUL } from './chars.ts'
import { SCRATCH } from './scratch.ts'
import type { ParseFailure } from './types.ts'

/** Where the scan is, and what it found. */
export interface Scan {
  length: number
  /** Where the next step begins. */
  at: number
  /** Set by the step that returned false. */
  reason: ParseFailure
  offset: number
  kind: 'request' | 'response'
  start: number
  methodStart: number
  methodEnd: number
  secondStart: number
  secondEnd: number
  versionStart: number
  status: number
  table: Int32Array
  base: number
  rows: number
  via: number
  from: number
  to: number
  callId: number
  cseq: number
  contentLength: number
  cseqNumberEnd: number
  end: number
}

/** Notes why and where the scan stopped. Always false, so that a step can end with it. */
export function stop(scan: Scan, reason: ParseFailure, offset: number): false {
  scan.reason = reason
  scan.offset = offset
  return false
}

/** Names the break that stands where something else was due. */
export function breakReason(scan: Scan, at: number, otherwise: ParseFailure): ParseFailure {
  if (at >= scan.length) return 'headers-unterminated'
  const byte = SCRATCH[at]
  if (byte === NUL) return 'nul'
  if (byte === LF) return 'bare-lf'
  if (byte === CR && SCRATCH[at + 1] !== LF) return 'bare-cr'
  return otherwise
}
