/**
 * SIP, SIPS, TEL and URN URIs taken apart as Kamailio does (parse_uri.c of 5.6), by offsets.
 * @module
 */
import { classOf, spells } from './chars.ts'

/** Scheme of a URI that parses; the others are null. */
export type UriScheme = 'sip' | 'sips' | 'tel' | 'tels' | 'urn'

/** Offsets of a URI's parts; `start === end` where a part is absent. A `tel:` number is the user, its host is empty. */
export interface Uri {
  readonly scheme: UriScheme
  readonly start: number
  readonly end: number
  readonly userStart: number
  readonly userEnd: number
  readonly passwordStart: number
  readonly passwordEnd: number
  /** With the brackets of IPv6. */
  readonly hostStart: number
  readonly hostEnd: number
  readonly portStart: number
  readonly portEnd: number
  /** 0 where absent. */
  readonly port: number
  readonly paramsStart: number
  readonly paramsEnd: number
  readonly headersStart: number
  readonly headersEnd: number
}

// Constants of its own: see scan-headers.ts.
const QUOTE = 34
const COMMA = 44
const DASH = 45
const DOT = 46
const COLON = 58
const SEMICOLON = 59
const EQUAL = 61
const QUESTION = 63
const AT = 64
const OPEN = 91
const CLOSE = 93

/** A host name's bytes: alphanumeric, `-`, `.`. */
const HOST = classOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.')
const HOST_STOP = classOf(':;?[]')
const USER_STOP = classOf('@:;?[]')

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57
}

function schemeOf(bytes: Uint8Array, start: number, end: number): UriScheme | null {
  if (end - start < 4) return null
  if (bytes[start + 3] === COLON) {
    if ((bytes[start]! | 32) === 115 && (bytes[start + 1]! | 32) === 105 && (bytes[start + 2]! | 32) === 112)
      return 'sip'
    if (spells(bytes, start, start + 3, 'tel')) return 'tel'
    return spells(bytes, start, start + 3, 'urn') ? 'urn' : null
  }
  if (bytes[start + 4] === COLON) {
    if (spells(bytes, start, start + 4, 'sips')) return 'sips'
    if (spells(bytes, start, start + 4, 'tels')) return 'tels'
  }
  return null
}

/** Takes bytes[start, end) apart; null where Kamailio 5.6 cannot parse it. */
export function parseUri(bytes: Uint8Array, start: number, end: number): Uri | null {
  const scheme = schemeOf(bytes, start, end)
  if (scheme === null) return null
  const first = start + (scheme === 'sips' || scheme === 'tels' ? 5 : 4)
  if (first >= end) return null
  if (scheme === 'urn') return parseUrn(bytes, start, first, end)

  // ── the first @ ends the user, wherever it stands ──
  let at = -1
  let colon = -1
  let colons = 0
  let semicolon = -1
  let brackets = 0
  // An @ in front of another one belongs to the user.
  let i = bytes[first] === AT ? first + 1 : first
  for (; ; i++) {
    while (i < end && USER_STOP[bytes[i]!] === 0) i++
    if (i >= end) break
    const byte = bytes[i]
    if (byte === AT) {
      at = i
      break
    }
    if (byte === COLON) {
      if (colons++ === 0) colon = i
    } else if (byte === SEMICOLON) {
      if (semicolon < 0) semicolon = i
    } else if (byte !== QUESTION && semicolon < 0) {
      brackets++
    }
  }

  let userStart = first
  let userEnd = first
  let passwordStart = first
  let passwordEnd = first
  let host = first
  if (at >= 0) {
    if (colon === first || colons > 1 || brackets > 0) return null
    // A password holds no ";".
    if (colon >= 0 && semicolon > colon) return null
    userEnd = at
    if (colon >= 0) {
      userEnd = colon
      passwordStart = colon + 1
      passwordEnd = at
    }
    host = at + 1
  } else if (bytes[first] === AT) {
    return null
  }

  // ── host ──
  i = host
  if (bytes[i] === OPEN) {
    while (i < end && bytes[i] !== CLOSE) {
      if (bytes[i] === SEMICOLON || bytes[i] === QUESTION) return null
      i++
    }
    if (i >= end) return null
    i++
  } else {
    // Without a user the host may hold what a user may: Kamailio does not look again.
    const strict = at >= 0
    if (strict && (bytes[i] === DASH || bytes[i] === DOT)) return null
    if (strict) while (i < end && HOST[bytes[i]!] === 1) i++
    else while (i < end && HOST_STOP[bytes[i]!] === 0) i++
    if (i === host) return null
  }
  const hostEnd = i

  // ── port ──
  let portStart = i
  let portEnd = i
  let port = 0
  if (bytes[i] === COLON && i < end) {
    portStart = ++i
    while (i < end && isDigit(bytes[i]!)) {
      port = port * 10 + bytes[i]! - 48
      if (port > 65535) return null
      i++
    }
    portEnd = i
  }
  if (i < end && bytes[i] !== SEMICOLON && bytes[i] !== QUESTION) return null

  // ── parameters and headers ──
  let paramsStart = i
  let paramsEnd = i
  if (i < end && bytes[i] === SEMICOLON) {
    paramsStart = ++i
    // With a user before it, another @ belongs nowhere.
    while (i < end && bytes[i] !== QUESTION && bytes[i] !== AT) i++
    paramsEnd = i
  }
  const headersStart = i < end ? i + 1 : end
  for (; i < end; i++) if (bytes[i] === AT || bytes[i] === SEMICOLON) return null

  // With `user=phone` the user is a telephone number, whose own parameters (`;phone-context=…`) are no part of it.
  if (semicolon >= 0 && semicolon < userEnd) {
    const kind = findParam(bytes, paramsStart, paramsEnd, 'user')
    if (kind !== null && spells(bytes, kind[0], kind[1], 'phone')) userEnd = semicolon
  }
  if (scheme === 'tel' || scheme === 'tels') {
    // parse_uri.c: the number is the user, host and parameters are empty.
    userStart = host
    userEnd = hostEnd
    host = hostEnd
    paramsStart = paramsEnd
  }
  return {
    scheme,
    start,
    end,
    userStart,
    userEnd,
    passwordStart,
    passwordEnd,
    hostStart: host,
    hostEnd,
    portStart,
    portEnd,
    port,
    paramsStart,
    paramsEnd,
    headersStart,
    headersEnd: end,
  }
}

/** `urn:service:sos`: the namespace is the user, the rest the host. */
function parseUrn(bytes: Uint8Array, start: number, first: number, end: number): Uri | null {
  const colon = bytes.indexOf(COLON, first)
  if (colon <= first || colon + 1 >= end) return null
  const none = { passwordStart: end, passwordEnd: end, portStart: end, portEnd: end, port: 0 }
  const host = {
    hostStart: colon + 1,
    hostEnd: end,
    paramsStart: end,
    paramsEnd: end,
    headersStart: end,
    headersEnd: end,
  }
  return { scheme: 'urn', start, end, userStart: first, userEnd: colon, ...none, ...host }
}

/** Value of the last `;name=value` among bytes[start, end), quotes removed, as offsets; null where absent. */
export function findParam(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: string,
): readonly [start: number, end: number] | null {
  let found: readonly [number, number] | null = null
  let i = start
  while (i < end) {
    const nameStart = i
    while (i < end && bytes[i] !== SEMICOLON && bytes[i] !== EQUAL && bytes[i] !== COMMA) i++
    const nameEnd = i
    let valueStart = i
    let valueEnd = i
    if (bytes[i] === EQUAL && i < end) {
      valueStart = ++i
      if (bytes[i] === QUOTE) {
        valueStart = ++i
        while (i < end && bytes[i] !== QUOTE) i++
        valueEnd = i
      }
      while (i < end && bytes[i] !== SEMICOLON) i++
      if (bytes[valueStart - 1] !== QUOTE) valueEnd = i
    }
    if (spells(bytes, nameStart, nameEnd, name)) found = [valueStart, valueEnd]
    i++
  }
  return found
}
