/**
 * The strict parser for network bytes: one pass, offsets only, no backtracking.
 * @module
 */
import { CR, LF, LOWER_TOKEN, SPACE, TAB } from './chars.ts'
import { ROW, VALUE_END, VALUE_START, keepTable } from './header-table.ts'
import { indexHeaders, scanHeaders } from './scan-headers.ts'
import { scanStartLine } from './scan-start-line.ts'
import { stop, type Scan } from './scan.ts'
import { SCRATCH, layOut } from './scratch.ts'
import type { ParseResult } from './types.ts'
import { MessageView } from './view.ts'

// Constants of its own: see scan-headers.ts.
const bytes = SCRATCH
const lowerToken = LOWER_TOKEN

const scan: Scan = {
  length: 0,
  at: 0,
  reason: 'empty',
  offset: 0,
  kind: 'request',
  start: 0,
  methodStart: 0,
  methodEnd: 0,
  secondStart: 0,
  secondEnd: 0,
  versionStart: 0,
  status: 0,
  table: new Int32Array(0),
  base: 0,
  rows: 0,
  via: -1,
  from: -1,
  to: -1,
  callId: -1,
  cseq: -1,
  contentLength: -1,
  cseqNumberEnd: 0,
  end: 0,
}

/**
 * Parses as RFC 3261 §7 and §25 want it, refusing what two parsers could read in two ways: bare CR, LF or NUL in the
 * header block, repeated single headers, malformed names and start lines, a Content-Length that lies.
 * Bytes past Content-Length are outside the message.
 */
export function parseStrict(message: Buffer): ParseResult {
  layOut(message)
  scan.length = message.length
  if (
    !scanStartLine(scan) ||
    !scanHeaders(scan) ||
    !indexHeaders(scan) ||
    !scanCseq(scan) ||
    !scanContentLength(scan)
  ) {
    return { ok: false, reason: scan.reason, offset: scan.offset }
  }
  keepTable(scan.base, scan.rows)
  return {
    ok: true,
    message: new MessageView({
      bytes: message,
      kind: scan.kind,
      messageStart: scan.start,
      methodStart: scan.methodStart,
      methodEnd: scan.methodEnd,
      secondStart: scan.secondStart,
      secondEnd: scan.secondEnd,
      versionStart: scan.versionStart,
      status: scan.status,
      table: scan.table,
      base: scan.base,
      rows: scan.rows,
      via: scan.via,
      from: scan.from,
      to: scan.to,
      callId: scan.callId,
      cseq: scan.cseq,
      cseqNumberEnd: scan.cseqNumberEnd,
      headersEnd: scan.at,
      bodyStart: scan.at + 2,
      end: scan.end,
      complete: true,
    }),
  }
}

/** White space inside a header value: SP, HTAB, or part of a fold (a bare CR or LF was refused before). */
function isLws(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB || byte === CR || byte === LF
}

/** CSeq: number, LWS, method (RFC 3261 §20.16). */
function scanCseq(scan: Scan): boolean {
  const { table } = scan
  const row = scan.base + scan.cseq * ROW
  const start = table[row + VALUE_START]!
  const end = table[row + VALUE_END]!
  let i = start
  while (isDigit(bytes[i]!)) i++
  scan.cseqNumberEnd = i
  while (i < end && isLws(bytes[i])) i++
  const method = i
  while (lowerToken[bytes[i]!] !== 0) i++
  const methodEnd = i
  while (i < end && isLws(bytes[i])) i++
  if (scan.cseqNumberEnd === start || method === scan.cseqNumberEnd || methodEnd === method || i !== end) {
    return stop(scan, 'cseq-malformed', i)
  }
  if (scan.kind === 'response') {
    scan.methodStart = method
    scan.methodEnd = methodEnd
    return true
  }
  // RFC 3261 §8.1.1.5. A token over $hdr(CSeq) binds the method by it: a start line that says another must not pass.
  let same = methodEnd - method === scan.methodEnd - scan.methodStart
  for (let i = method; same && i < methodEnd; i++) same = bytes[i] === bytes[scan.methodStart + i - method]
  return same || stop(scan, 'cseq-mismatch', method)
}

/** Content-Length: decimal, and no longer than what is there (RFC 3261 §18.3). */
function scanContentLength(scan: Scan): boolean {
  scan.end = scan.length
  if (scan.contentLength < 0) return true
  const { table } = scan
  const row = scan.base + scan.contentLength * ROW
  const start = table[row + VALUE_START]!
  const end = table[row + VALUE_END]!
  const bodyStart = scan.at + 2
  let declared = 0
  let i = start
  for (; isDigit(bytes[i]!); i++) if (declared <= scan.length) declared = declared * 10 + bytes[i]! - 48
  const digitsEnd = i
  while (i < end && isLws(bytes[i])) i++
  if (digitsEnd === start || i !== end) return stop(scan, 'content-length-malformed', i)
  if (declared > scan.length - bodyStart) return stop(scan, 'content-length-exceeds', start)
  scan.end = bodyStart + declared
  return true
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57
}
