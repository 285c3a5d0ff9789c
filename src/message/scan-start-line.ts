/**
 * The start line, strictly (RFC 3261 §7.1, §7.2, §25.1).
 * @module
 */
import { LOWER_TOKEN, isBlank, isDigit, spells } from './chars.ts'
import { breakReason, stop, type Scan } from './scan.ts'
import { SCRATCH } from './scratch.ts'

// Constants of its own: see scan-headers.ts.
const bytes = SCRATCH
const lowerToken = LOWER_TOKEN
const LF = 10
const CR = 13
const SPACE = 32

/** Bytes that no Request-URI holds unescaped: controls, SP, `"`, `<`, `>`, DEL. */
const URI_ILLEGAL = new Uint8Array(256)
for (let byte = 0; byte <= SPACE; byte++) URI_ILLEGAL[byte] = 1
for (const byte of [34, 60, 62, 127]) URI_ILLEGAL[byte] = 1

/** Scans the start line. False where it is none. */
export function scanStartLine(scan: Scan): boolean {
  let i = 0
  // RFC 3261 §7.5: CRLF before the start line is ignored (keep-alives on streams leave them).
  while (bytes[i] === CR && bytes[i + 1] === LF) i += 2
  if (i >= scan.length) return stop(scan, 'empty', i)
  scan.start = i
  if (spells(bytes, i, i + 4, 'sip/')) return scanStatusLine(scan)

  scan.kind = 'request'
  scan.status = 0
  scan.methodStart = i
  while (lowerToken[bytes[i]!] !== 0) i++
  if (i === scan.start || bytes[i] !== SPACE)
    return stop(scan, breakReason(scan, i, 'start-line-malformed'), i)
  scan.methodEnd = i
  scan.secondStart = ++i
  while (URI_ILLEGAL[bytes[i]!] === 0) i++
  scan.secondEnd = i
  if (i === scan.secondStart || bytes[i] !== SPACE) {
    return stop(scan, breakReason(scan, i, 'start-line-malformed'), i)
  }
  scan.versionStart = ++i
  if (!spells(bytes, i, i + 7, 'sip/2.0')) {
    return stop(scan, spells(bytes, i, i + 4, 'sip/') ? 'version-unsupported' : 'start-line-malformed', i)
  }
  return endLine(scan, i + 7)
}

function scanStatusLine(scan: Scan): boolean {
  const { start } = scan
  let i = start + 7
  scan.kind = 'response'
  scan.versionStart = start
  if (!spells(bytes, start, i, 'sip/2.0')) return stop(scan, 'version-unsupported', start)
  if (bytes[i] !== SPACE || !isDigit(bytes[i + 1]) || !isDigit(bytes[i + 2]) || !isDigit(bytes[i + 3])) {
    return stop(scan, breakReason(scan, i, 'start-line-malformed'), i)
  }
  scan.status = (bytes[i + 1]! - 48) * 100 + (bytes[i + 2]! - 48) * 10 + bytes[i + 3]! - 48
  i += 4
  if (bytes[i] !== SPACE || scan.status < 100 || scan.status > 699)
    return stop(scan, 'start-line-malformed', i)
  while (isBlank(bytes[i])) i++
  scan.secondStart = i
  while (bytes[i] !== CR && bytes[i] !== LF && bytes[i] !== 0) i++
  scan.secondEnd = i
  return endLine(scan, i)
}

function endLine(scan: Scan, at: number): boolean {
  if (bytes[at] !== CR || bytes[at + 1] !== LF) {
    return stop(scan, breakReason(scan, at, 'start-line-malformed'), at)
  }
  scan.at = at + 2
  return true
}
