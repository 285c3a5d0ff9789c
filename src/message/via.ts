/**
 * The Via header: what a proxy needs of the top one, by offsets (RFC 3261 §20.42, §25.1).
 * @module
 */
import { COLON, COMMA, CR, EQUAL, LF, QUOTE, SEMICOLON, TOKEN, isBlank, isDigit, spells } from './chars.ts'

/** Offsets of one Via entry; -1 as a start where a part is absent. */
export interface Via {
  readonly transportStart: number
  readonly transportEnd: number
  readonly hostStart: number
  readonly hostEnd: number
  /** 0 where absent. */
  readonly port: number
  readonly branchStart: number
  readonly branchEnd: number
  /** The `;` of the parameter, its value's start and end. */
  readonly receivedAt: number
  readonly receivedStart: number
  readonly receivedEnd: number
  /** `rportStart === rportEnd` where it stands without a value, asking for one (RFC 3581). */
  readonly rportAt: number
  readonly rportStart: number
  readonly rportEnd: number
  /** Behind the sent-by: where parameters begin, or would. */
  readonly sentByEnd: number
  /** Behind the entry: the comma before the next one, or the end. */
  readonly end: number
}

function isLws(byte: number | undefined): boolean {
  return isBlank(byte) || byte === CR || byte === LF
}

function skipLws(bytes: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end && isLws(bytes[i])) i++
  return i
}

function skipToken(bytes: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end && TOKEN[bytes[i]!] === 1) i++
  return i
}

const SLASH = 47
const HOST = new Uint8Array(256)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._')
  HOST[char.charCodeAt(0)] = 1

/** Takes the Via entry at `start` apart; null where it is not one. */
export function parseVia(bytes: Uint8Array, start: number, end: number): Via | null {
  // sent-protocol: "SIP" SLASH "2.0" SLASH transport
  let i = skipLws(bytes, start, end)
  if (!spells(bytes, i, i + 3, 'sip')) return null
  i = skipLws(bytes, i + 3, end)
  if (bytes[i] !== SLASH) return null
  i = skipLws(bytes, i + 1, end)
  if (!spells(bytes, i, i + 3, '2.0')) return null
  i = skipLws(bytes, i + 3, end)
  if (bytes[i] !== SLASH) return null
  const transportStart = skipLws(bytes, i + 1, end)
  const transportEnd = skipToken(bytes, transportStart, end)
  if (transportEnd === transportStart || !isLws(bytes[transportEnd])) return null

  // sent-by: host [ COLON port ]
  const hostStart = skipLws(bytes, transportEnd, end)
  i = hostStart
  if (bytes[i] === 91) {
    while (i < end && bytes[i] !== 93) i++
    if (i >= end) return null
    i++
  } else {
    while (i < end && HOST[bytes[i]!] === 1) i++
  }
  const hostEnd = i
  if (hostEnd === hostStart) return null
  let sentByEnd = i
  let port = 0
  i = skipLws(bytes, i, end)
  if (i < end && bytes[i] === COLON) {
    i = skipLws(bytes, i + 1, end)
    const portStart = i
    while (i < end && isDigit(bytes[i]) && port <= 65535) port = port * 10 + bytes[i++]! - 48
    if (i === portStart || port > 65535 || port === 0) return null
    sentByEnd = i
    i = skipLws(bytes, i, end)
  }

  let branchStart = -1
  let branchEnd = -1
  let receivedAt = -1
  let receivedStart = -1
  let receivedEnd = -1
  let rportAt = -1
  let rportStart = -1
  let rportEnd = -1
  while (i < end && bytes[i] === SEMICOLON) {
    const at = i
    const nameStart = skipLws(bytes, i + 1, end)
    const nameEnd = skipToken(bytes, nameStart, end)
    if (nameEnd === nameStart) return null
    let valueStart = nameEnd
    let valueEnd = nameEnd
    i = skipLws(bytes, nameEnd, end)
    if (i < end && bytes[i] === EQUAL) {
      valueStart = skipLws(bytes, i + 1, end)
      i = valueStart
      if (bytes[i] === QUOTE) {
        i++
        while (i < end && bytes[i] !== QUOTE) i += bytes[i] === 92 ? 2 : 1
        if (i >= end) return null
        i++
      } else {
        while (i < end && bytes[i] !== SEMICOLON && bytes[i] !== COMMA && !isLws(bytes[i])) i++
      }
      valueEnd = i
      i = skipLws(bytes, i, end)
    }
    if (spells(bytes, nameStart, nameEnd, 'branch')) {
      branchStart = valueStart
      branchEnd = valueEnd
    } else if (spells(bytes, nameStart, nameEnd, 'received')) {
      receivedAt = at
      receivedStart = valueStart
      receivedEnd = valueEnd
    } else if (spells(bytes, nameStart, nameEnd, 'rport')) {
      rportAt = at
      rportStart = valueStart
      rportEnd = valueEnd
    }
  }
  if (i < end && bytes[i] !== COMMA) return null
  return {
    transportStart,
    transportEnd,
    hostStart,
    hostEnd,
    port,
    branchStart,
    branchEnd,
    receivedAt,
    receivedStart,
    receivedEnd,
    rportAt,
    rportStart,
    rportEnd,
    sentByEnd,
    end: i,
  }
}

/** Whether a whole Via value, one entry or several, can be parsed. */
export function isViaHeader(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  for (;;) {
    const via = parseVia(bytes, i, end)
    if (via === null) return false
    if (via.end >= end) return true
    i = via.end + 1
  }
}
