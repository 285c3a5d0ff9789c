/**
 * The Via header: what a proxy needs of the top one, by offsets (RFC 3261 §20.42, §25.1).
 * @module
 */
import {
  COLON,
  COMMA,
  CR,
  EQUAL,
  LF,
  QUOTE,
  SEMICOLON,
  TOKEN,
  classOf,
  isBlank,
  isDigit,
  spells,
} from './chars.ts'

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

function skipAll(of: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end && of[bytes[i]!] === 1) i++
  return i
}

const SLASH = 47

/** Which bytes the parts of an entry are made of. */
interface ViaGrammar {
  readonly transport: Uint8Array
  readonly host: Uint8Array
  readonly nameFirst: Uint8Array
  readonly name: Uint8Array
  readonly value: Uint8Array
  readonly quoted: Uint8Array
}

function allBut(chars: string): Uint8Array {
  return classOf(chars).map((inside) => 1 - inside)
}

const RFC3261: ViaGrammar = {
  transport: TOKEN,
  host: classOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._'),
  nameFirst: TOKEN,
  name: TOKEN,
  value: allBut(' \t\r\n;,'),
  quoted: allBut('"'),
}

/** What Kamailio 5.6 lets pass (parse_via.c). */
const LOOSE: ViaGrammar = {
  transport: allBut(' \t\r\n/'),
  host: allBut(' \t\r\n\0(),:;[]'),
  nameFirst: allBut(' \t\r\n\0(),:;=[]'),
  name: allBut(' \t\r\n;,='),
  value: allBut(' \t\r\n\0;,="'),
  quoted: allBut('"\0\r\n,'),
}

/** Takes the Via entry at `start` apart; null where it is not one. */
export function parseVia(bytes: Uint8Array, start: number, end: number): Via | null {
  return parseEntry(RFC3261, bytes, start, end)
}

function parseEntry(grammar: ViaGrammar, bytes: Uint8Array, start: number, end: number): Via | null {
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
  const transportEnd = skipAll(grammar.transport, bytes, transportStart, end)
  if (transportEnd === transportStart || !isLws(bytes[transportEnd])) return null

  // sent-by: host [ COLON port ]
  const hostStart = skipLws(bytes, transportEnd, end)
  i = hostStart
  if (bytes[i] === 91) {
    while (i < end && bytes[i] !== 93) i++
    if (i >= end) return null
    i++
  } else {
    i = skipAll(grammar.host, bytes, i, end)
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
    if (i === portStart || i - portStart > 5 || port > 65535 || port === 0) return null
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
    const nameEnd = skipAll(grammar.name, bytes, nameStart, end)
    if (nameEnd === nameStart || grammar.nameFirst[bytes[nameStart]!] === 0) return null
    let valueStart = nameEnd
    let valueEnd = nameEnd
    i = skipLws(bytes, nameEnd, end)
    if (i < end && bytes[i] === EQUAL) {
      valueStart = skipLws(bytes, i + 1, end)
      i = valueStart
      if (bytes[i] === QUOTE) {
        i++
        while (i < end && grammar.quoted[bytes[i]!] === 1) i += bytes[i] === 92 ? 2 : 1
        if (i >= end || bytes[i] !== QUOTE) return null
        i++
      } else {
        i = skipAll(grammar.value, bytes, i, end)
      }
      valueEnd = i
      i = skipLws(bytes, i, end)
    }
    // Most parameters are one of three; their lengths tell which one to look for.
    const length = nameEnd - nameStart
    if (length === 6 && spells(bytes, nameStart, nameEnd, 'branch')) {
      if (branchStart >= 0 && grammar === RFC3261) return null
      branchStart = valueStart
      branchEnd = valueEnd
    } else if (length === 8 && spells(bytes, nameStart, nameEnd, 'received')) {
      if (receivedStart >= 0 && grammar === RFC3261) return null
      receivedAt = at
      receivedStart = valueStart
      receivedEnd = valueEnd
    } else if (length === 5 && spells(bytes, nameStart, nameEnd, 'rport')) {
      if (rportStart >= 0 && grammar === RFC3261) return null
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

/** Whether Kamailio can parse a whole Via value, one entry or several. */
export function isViaHeader(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  for (;;) {
    const via = parseEntry(LOOSE, bytes, i, end)
    if (via === null) return false
    if (via.end >= end) return true
    i = via.end + 1
  }
}
