/**
 * The tolerant parser: accepts what a Kamailio 5.6 lets into its routes (msg_parser.c, parse_fline.c), for checking
 * against it. Never used on network bytes by the edge or the middleware.
 * @module
 */
import { CR, COLON, KAMAILIO_NAME, LF, NUL, SPACE, isBlank, isDigit, spells } from './chars.ts'
import { hashBytes, headerSelector, names, type HeaderSelector } from './header-names.ts'
import { ROW, growTable, keepTable, openTable } from './header-table.ts'
import { parseNameAddr } from './name-addr.ts'
import type { ParseFailure, ParseResult } from './types.ts'
import { isViaHeader } from './via.ts'
import { MessageView } from './view.ts'

const VIA = headerSelector('via')
const FROM = headerSelector('from')
const TO = headerSelector('to')
const CALL_ID = headerSelector('call-id')
const CSEQ = headerSelector('cseq')
const CONTENT_LENGTH = headerSelector('content-length')
const MAX_FORWARDS = headerSelector('max-forwards')

/** Shortest datagram that Kamailio looks at (MIN_UDP_PACKET). */
const MIN_DATAGRAM = 32

function fail(reason: ParseFailure, offset: number): ParseResult {
  return { ok: false, reason, offset }
}

interface StartLine {
  readonly kind: 'request' | 'response'
  readonly methodEnd: number
  readonly secondStart: number
  readonly secondEnd: number
  readonly versionStart: number
  readonly status: number
  readonly next: number
}

interface Header {
  readonly hash: number
  readonly nameStart: number
  readonly nameEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  readonly next: number
}

function isBreak(byte: number | undefined): boolean {
  return byte === CR || byte === LF
}

function isSpaceOrBreak(byte: number | undefined): boolean {
  return isBlank(byte) || isBreak(byte)
}

/** Behind the end of the line that `at` stands in; -1 where there is none. */
function lineEnd(bytes: Uint8Array, at: number): number {
  const match = bytes.indexOf(LF, at)
  return match < 0 ? -1 : match + 1
}

function parseStartLine(bytes: Uint8Array, start: number): StartLine | ParseFailure {
  let i = start
  if (spells(bytes, i, i + 7, 'sip/2.0') && bytes[i + 7] === SPACE) {
    i += 8
    if (!isDigit(bytes[i]) || !isDigit(bytes[i + 1]) || !isDigit(bytes[i + 2]) || !isBlank(bytes[i + 3])) {
      return 'start-line-malformed'
    }
    const next = lineEnd(bytes, i)
    if (next < 0) return 'start-line-malformed'
    const status = (bytes[i]! - 48) * 100 + (bytes[i + 1]! - 48) * 10 + bytes[i + 2]! - 48
    let secondStart = i + 4
    // A CR ends the reason even where no LF follows.
    let secondEnd = secondStart
    while (!isBreak(bytes[secondEnd])) secondEnd++
    while (secondStart < secondEnd && isBlank(bytes[secondStart])) secondStart++
    return { kind: 'response', methodEnd: start, secondStart, secondEnd, versionStart: start, status, next }
  }
  while (i < bytes.length && !isSpaceOrBreak(bytes[i])) i++
  const methodEnd = i
  if (methodEnd === start || bytes[i] !== SPACE) return 'start-line-malformed'
  const secondStart = ++i
  while (i < bytes.length && !isSpaceOrBreak(bytes[i])) i++
  const secondEnd = i
  // An empty Request-URI passes, if two blanks stand behind the method.
  if (!isBlank(bytes[i])) return 'start-line-malformed'
  while (isBlank(bytes[i])) i++
  const versionStart = i
  if (!spells(bytes, i, i + 7, 'sip/2.0')) return 'version-unsupported'
  while (i < bytes.length && !isSpaceOrBreak(bytes[i])) i++
  while (isBlank(bytes[i])) i++
  if (!isBreak(bytes[i])) return 'start-line-malformed'
  const next = lineEnd(bytes, i)
  if (next < 0) return 'start-line-malformed'
  return { kind: 'request', methodEnd, secondStart, secondEnd, versionStart, status: 0, next }
}

/** One header field; -1 as `next` where Kamailio reports a bad header. */
function parseHeader(bytes: Uint8Array, start: number): Header | ParseFailure {
  let i = start
  while (i < bytes.length && KAMAILIO_NAME[bytes[i]!] === 1) i++
  const nameEnd = i
  while (isBlank(bytes[i])) i++
  if (nameEnd === start || bytes[i] !== COLON) return 'header-name-malformed'
  i++
  for (;;) {
    while (isBlank(bytes[i])) i++
    if (bytes[i] === CR && bytes[i + 1] === LF && isBlank(bytes[i + 2])) i += 2
    else if (isBreak(bytes[i]) && isBlank(bytes[i + 1])) i++
    else break
  }
  if (i >= bytes.length) return 'headers-unterminated'
  const valueStart = i
  let next = i
  do {
    next = lineEnd(bytes, next)
    if (next < 0) return 'headers-unterminated'
  } while (isBlank(bytes[next]))
  let valueEnd = next
  while (valueEnd > valueStart && (isBreak(bytes[valueEnd - 1]) || bytes[valueEnd - 1] === NUL)) valueEnd--
  return { hash: hashBytes(bytes, start, nameEnd), nameStart: start, nameEnd, valueStart, valueEnd, next }
}

/** Whether nothing but the end of its line stands behind a value: what Kamailio reads at once is not trimmed. */
function isAtLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF)
}

/** `number LWS method` with nothing behind it (parse_cseq.c), the number being any word; end offsets, or null. */
function parseCseq(
  bytes: Uint8Array,
  start: number,
  end: number,
): readonly [numberEnd: number, method: number, methodEnd: number] | null {
  let i = start
  while (i < end && !isSpaceOrBreak(bytes[i])) i++
  const numberEnd = i
  while (i < end && isBlank(bytes[i])) i++
  const method = i
  while (i < end && !isSpaceOrBreak(bytes[i])) i++
  const methodEnd = i
  for (;;) {
    while (i < end && isBlank(bytes[i])) i++
    const fold = bytes[i] === CR && bytes[i + 1] === LF ? i + 2 : i + 1
    if (i >= end || !isBreak(bytes[i]) || !isBlank(bytes[fold])) break
    i = fold
  }
  return numberEnd > start && method > numberEnd && methodEnd > method && i === end
    ? [numberEnd, method, methodEnd]
    : null
}

function isContentLength(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end && isDigit(bytes[i])) i++
  const digits = i
  while (i < end && isSpaceOrBreak(bytes[i])) i++
  return digits > start && i === end
}

/** Parses as Kamailio does; a bad header behind the mandatory ones leaves a message whose headers are incomplete. */
export function parseKamailio(bytes: Buffer): ParseResult {
  if (bytes.length < MIN_DATAGRAM) return fail(bytes.length === 0 ? 'empty' : 'start-line-malformed', 0)
  let start = 0
  while (start < bytes.length && (isSpaceOrBreak(bytes[start]) || bytes[start] === NUL)) start++
  const line = parseStartLine(bytes, start)
  if (typeof line === 'string') return fail(line, start)

  const cursor = openTable()
  let rows = 0
  let complete = true
  let via = -1
  let from = -1
  let to = -1
  let callId = -1
  let cseq = -1
  let contentLength = -1
  let maxForwards = -1
  let cseqParts: ReturnType<typeof parseCseq> = null
  let headersEnd = -1
  let i = line.next
  const fault = (reason: ParseFailure): ParseResult | undefined => {
    if (via < 0 || from < 0 || to < 0 || callId < 0 || cseq < 0) return fail(reason, i)
    complete = false
    return undefined
  }
  while (i < bytes.length) {
    if (isBreak(bytes[i])) {
      headersEnd = i
      break
    }
    const header = parseHeader(bytes, i)
    if (typeof header === 'string') {
      const failed = fault(header)
      if (failed !== undefined) return failed
      break
    }
    const { hash, nameStart, nameEnd, valueStart, valueEnd } = header
    const isNamed = (selector: HeaderSelector): boolean =>
      hash === selector.hash && names(bytes, nameStart, nameEnd, selector)
    let reason: ParseFailure | undefined
    let repeated = false
    if (isNamed(VIA)) {
      if (!isAtLineEnd(bytes, valueEnd) || !isViaHeader(bytes, valueStart, valueEnd))
        reason = 'header-malformed'
      else if (via < 0) via = rows
    } else if (isNamed(TO)) {
      const address = parseNameAddr(bytes, valueStart, valueEnd, 'single')
      if (address === null || address.end < valueEnd || !isAtLineEnd(bytes, valueEnd))
        reason = 'header-malformed'
      else if (to < 0) to = rows
      else repeated = true
    } else if (isNamed(CSEQ)) {
      // Not valueEnd: a NUL is part of the method.
      const parts = parseCseq(bytes, valueStart, header.next - (bytes[header.next - 2] === CR ? 2 : 1))
      if (parts === null) reason = 'cseq-malformed'
      else if (cseq < 0) {
        cseq = rows
        cseqParts = parts
      } else repeated = true
    } else if (isNamed(CONTENT_LENGTH)) {
      if (!isAtLineEnd(bytes, valueEnd) || !isContentLength(bytes, valueStart, valueEnd))
        reason = 'content-length-malformed'
      else if (contentLength < 0) contentLength = rows
      else repeated = true
    } else if (isNamed(FROM)) {
      if (from < 0) from = rows
      else repeated = true
    } else if (isNamed(CALL_ID)) {
      if (callId < 0) callId = rows
      else repeated = true
    } else if (isNamed(MAX_FORWARDS)) {
      if (maxForwards < 0) maxForwards = rows
      else repeated = true
    }
    if (repeated && line.kind === 'request') reason = 'header-repeated'
    if (reason !== undefined) {
      const failed = fault(reason)
      if (failed !== undefined) return failed
      break
    }
    if (cursor.base + (rows + 1) * ROW > cursor.table.length) growTable(cursor, rows)
    cursor.table.set([hash, nameStart, nameEnd, valueStart, valueEnd], cursor.base + rows * ROW)
    rows++
    i = header.next
  }
  if (via < 0 || from < 0 || to < 0 || callId < 0 || cseqParts === null) return fail('header-missing', i)

  let bodyStart = bytes.length
  if (headersEnd >= 0)
    bodyStart = headersEnd + (bytes[headersEnd] === CR && bytes[headersEnd + 1] === LF ? 2 : 1)
  keepTable(cursor.base, rows)
  const { next: _next, ...startLine } = line
  const [cseqNumberEnd, cseqMethod, cseqMethodEnd] = cseqParts
  const response = line.kind === 'response'
  return {
    ok: true,
    message: new MessageView({
      ...startLine,
      bytes,
      messageStart: 0,
      methodStart: response ? cseqMethod : start,
      methodEnd: response ? cseqMethodEnd : line.methodEnd,
      table: cursor.table,
      base: cursor.base,
      rows,
      via,
      from,
      to,
      callId,
      cseq,
      cseqNumberEnd,
      headersEnd,
      bodyStart,
      end: bytes.length,
      complete,
    }),
  }
}
