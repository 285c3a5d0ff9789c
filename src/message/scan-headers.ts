/**
 * The header block, strictly: where each header lies, and which are the ones every message has.
 * @module
 */
import { LOWER_TOKEN } from './chars.ts'
import { hashBytes, headerSelector, names, type HeaderSelector } from './header-names.ts'
import { growTable, openTable } from './header-table.ts'
import { breakReason, stop, type Scan } from './scan.ts'
import { SCRATCH, skipText } from './scratch.ts'

// Constants of its own, not imported ones: V8 folds only what a module itself defines, and this is the hot path.
const bytes = SCRATCH
const lowerToken = LOWER_TOKEN
const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const COLON = 58
// Rows of header-table.ts.
const ROW = 5
const HASH = 0
const NAME_START = 1
const NAME_END = 2
const VALUE_START = 3
const VALUE_END = 4

const VIA = headerSelector('via')
const FROM = headerSelector('from')
const TO = headerSelector('to')
const CALL_ID = headerSelector('call-id')
const CSEQ = headerSelector('cseq')
const CONTENT_LENGTH = headerSelector('content-length')
const MAX_FORWARDS = headerSelector('max-forwards')

/** Fills the header table, up to the empty line. False where the block is malformed. */
export function scanHeaders(scan: Scan): boolean {
  const { length } = scan
  const cursor = openTable()
  let { table } = cursor
  let row = cursor.base
  let i = scan.at
  while (bytes[i] !== CR) {
    const nameStart = i
    while (lowerToken[bytes[i]!] !== 0) i++
    const nameEnd = i
    if (bytes[i] !== COLON) {
      while (isBlank(bytes[i])) i++
      if (bytes[i] !== COLON) return stop(scan, breakReason(scan, i, 'header-name-malformed'), i)
    }
    if (nameEnd === nameStart) return stop(scan, 'header-name-malformed', i)
    i++
    while (bytes[i] === SPACE || bytes[i] === TAB) i++
    while (bytes[i] === CR && isFold(i)) i = skipBlanks(i + 3)
    const valueStart = i
    i = skipText(i)
    while (bytes[i] !== CR || isFold(i)) {
      if (i >= length) return stop(scan, 'headers-unterminated', i)
      if (bytes[i] === LF) return stop(scan, 'bare-lf', i)
      if (bytes[i] === 0) return stop(scan, 'nul', i)
      i = skipText(i + (bytes[i] === CR ? 3 : 1))
    }
    if (bytes[i + 1] !== LF) return stop(scan, i + 1 < length ? 'bare-cr' : 'headers-unterminated', i)
    if (row + ROW > table.length) {
      const rows = (row - cursor.base) / ROW
      growTable(cursor, rows)
      table = cursor.table
      row = cursor.base + rows * ROW
    }
    table[row + HASH] = hashBytes(bytes, nameStart, nameEnd)
    table[row + NAME_START] = nameStart
    table[row + NAME_END] = nameEnd
    table[row + VALUE_START] = valueStart
    table[row + VALUE_END] = i
    row += ROW
    i += 2
  }
  if (bytes[i + 1] !== LF) return stop(scan, i + 1 < length ? 'bare-cr' : 'headers-unterminated', i)
  scan.table = table
  scan.base = cursor.base
  scan.rows = (row - cursor.base) / ROW
  scan.at = i
  return true
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/** CRLF and a blank: the value goes on in the next line. */
function isFold(at: number): boolean {
  return bytes[at + 1] === LF && isBlank(bytes[at + 2])
}

function skipBlanks(at: number): number {
  let i = at
  while (isBlank(bytes[i])) i++
  return i
}

/** Whether a header may be one of those below, by a few bits of its hash: most are not, and are passed over at once. */
const CANDIDATE = new Uint8Array(256)
for (const { hash } of [VIA, FROM, TO, CALL_ID, CSEQ, CONTENT_LENGTH, MAX_FORWARDS]) CANDIDATE[slot(hash)] = 1

function slot(hash: number): number {
  return (hash ^ (hash >> 12)) & 255
}

/** Finds the headers that every message has. False where one is missing, or repeated though it stands alone. */
export function indexHeaders(scan: Scan): boolean {
  const { table, base, rows } = scan
  let via = -1
  let from = -1
  let to = -1
  let callId = -1
  let cseq = -1
  let contentLength = -1
  let maxForwards = -1
  for (let row = 0, at = base; row < rows; row++, at += ROW) {
    const hash = table[at + HASH]!
    if (CANDIDATE[slot(hash)] === 0) continue
    if (hash === VIA.hash) {
      if (via < 0 && isNamed(table, at, VIA)) via = row
    } else if (hash === FROM.hash && isNamed(table, at, FROM)) {
      if (from >= 0) return repeated(scan, at)
      from = row
    } else if (hash === TO.hash && isNamed(table, at, TO)) {
      if (to >= 0) return repeated(scan, at)
      to = row
    } else if (hash === CALL_ID.hash && isNamed(table, at, CALL_ID)) {
      if (callId >= 0) return repeated(scan, at)
      callId = row
    } else if (hash === CSEQ.hash && isNamed(table, at, CSEQ)) {
      if (cseq >= 0) return repeated(scan, at)
      cseq = row
    } else if (hash === CONTENT_LENGTH.hash && isNamed(table, at, CONTENT_LENGTH)) {
      if (contentLength >= 0) return repeated(scan, at)
      contentLength = row
    } else if (hash === MAX_FORWARDS.hash && isNamed(table, at, MAX_FORWARDS)) {
      if (maxForwards >= 0) return repeated(scan, at)
      maxForwards = row
    }
  }
  scan.via = via
  scan.from = from
  scan.to = to
  scan.callId = callId
  scan.cseq = cseq
  scan.contentLength = contentLength
  return via < 0 || from < 0 || to < 0 || callId < 0 || cseq < 0
    ? stop(scan, 'header-missing', scan.at)
    : true
}

/** The hash said so already; this keeps out other names of the same hash. */
function isNamed(table: Int32Array, at: number, selector: HeaderSelector): boolean {
  return names(bytes, table[at + NAME_START]!, table[at + NAME_END]!, selector)
}

function repeated(scan: Scan, at: number): false {
  return stop(scan, 'header-repeated', scan.table[at + NAME_START]!)
}
