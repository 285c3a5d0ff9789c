/**
 * From, To and their kin: `"display" <uri>;params`, as Kamailio reads them (parse_addr_spec.c of 5.6), by offsets.
 * @module
 */
import { classOf, spells } from './chars.ts'

// Constants of its own: see scan-headers.ts.
const NUL = 0
const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const QUOTE = 34
const COMMA = 44
const SEMICOLON = 59
const LESS = 60
const EQUAL = 61
const GREATER = 62
const BACKSLASH = 92

/** Offsets of the parts; `start === end` where a part is absent or empty, -1 in `displayStart` where there is none. */
export interface NameAddr {
  /** Quotes and escapes kept; -1 where there is no display name. */
  readonly displayStart: number
  readonly displayEnd: number
  readonly uriStart: number
  readonly uriEnd: number
  /** The last `tag`, quotes removed; -1 where there is none. */
  readonly tagStart: number
  readonly tagEnd: number
  /** All parameters, from the first name on; empty where there are none. */
  readonly paramsStart: number
  readonly paramsEnd: number
  /** Behind the last byte that belongs to this entry: the end, a comma, or a NUL. */
  readonly end: number
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/** Skips blanks and folds. */
function skipLws(bytes: Uint8Array, start: number, end: number): number {
  let i = start
  for (;;) {
    while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++
    if (i >= end || (bytes[i] !== CR && bytes[i] !== LF)) return i
    const next = bytes[i] === CR && bytes[i + 1] === LF ? i + 2 : i + 1
    if (next < end && !isBlank(bytes[next])) return i
    i = next
  }
}

/** Bytes that end the run inside a quoted string. */
const QUOTED_STOP = classOf('"\\\r\n\0')
/** Bytes that end a bare word of the header; a comma does in lists only. */
const WORD_STOP = classOf(' \t\r\n<>;"\\\0')
const WORD_STOP_LIST = classOf(' \t\r\n<>;"\\\0,')
/** Bytes that end a parameter's name or bare value, rightly or not; a comma does not end the tag of From and To. */
const PARAM_STOP = classOf(' \t\r\n;="\\\0,')
const TAG_STOP = classOf(' \t\r\n;="\\\0')
/** Bytes that end a URI inside `<>`, rightly or not. */
const URI_STOP = classOf('> \t<"\\\r\n\0')

/** Behind the closing quote of the string that opens at `start`; -1 where it never closes. */
function skipQuoted(bytes: Uint8Array, start: number, end: number): number {
  let i = start + 1
  for (;;) {
    while (i < end && QUOTED_STOP[bytes[i]!] === 0) i++
    if (i >= end) return -1
    if (bytes[i] === QUOTE) return i + 1
    if (bytes[i] !== BACKSLASH) return -1
    i += 2
  }
}

/**
 * Takes bytes[start, end) apart; null where Kamailio cannot.
 * @param list `single` for From and To, where a comma outside quotes and `<>` is an error; `list` stops at it.
 */
export function parseNameAddr(
  bytes: Uint8Array,
  start: number,
  end: number,
  list: 'single' | 'list',
): NameAddr | null {
  const stop = list === 'list' ? WORD_STOP_LIST : WORD_STOP
  let displayStart = -1
  let displayEnd = -1
  let uriStart = start
  let uriEnd = start
  let i = skipLws(bytes, start, end)
  if (i >= end) return null

  if (bytes[i] === QUOTE) {
    displayStart = i
    i = skipQuoted(bytes, i, end)
    if (i < 0) return null
    displayEnd = i
    i = skipLws(bytes, i, end)
    if (bytes[i] !== LESS || i >= end) return null
  } else if (bytes[i] !== LESS) {
    // One word is a URI, unless `<` follows: then all words are the display name.
    const wordStart = i
    while (i < end && stop[bytes[i]!] === 0) i++
    if (i === wordStart) return null
    let wordEnd = i
    let words = 1
    i = skipLws(bytes, i, end)
    while (i < end && stop[bytes[i]!] === 0) {
      words++
      while (i < end && stop[bytes[i]!] === 0) i++
      wordEnd = i
      i = skipLws(bytes, i, end)
    }
    if (i < end && bytes[i] === LESS) {
      displayStart = wordStart
      displayEnd = wordEnd
    } else {
      if (words > 1) return null
      uriStart = wordStart
      // Where the list ends with it, what trails belongs to it; so does what a NUL cuts off.
      uriEnd = (i >= end && list === 'list') || bytes[i] === NUL ? i : wordEnd
    }
  }

  if (i < end && bytes[i] === LESS) {
    i++
    while (i < end && isBlank(bytes[i])) i++
    uriStart = i
    if (bytes[i] === SEMICOLON || (bytes[i] === COMMA && list === 'list')) return null
    while (i < end && URI_STOP[bytes[i]!] === 0) i++
    uriEnd = i
    while (i < end && isBlank(bytes[i])) i++
    if (i >= end || bytes[i] !== GREATER || uriEnd === uriStart) return null
    i = skipLws(bytes, i + 1, end)
  }
  return parseParams(bytes, i, end, list, displayStart, displayEnd, uriStart, uriEnd)
}

function parseParams(
  bytes: Uint8Array,
  start: number,
  end: number,
  list: 'single' | 'list',
  displayStart: number,
  displayEnd: number,
  uriStart: number,
  uriEnd: number,
): NameAddr | null {
  let i = start
  let tagStart = -1
  let tagEnd = -1
  let paramsStart = end
  while (i < end && bytes[i] === SEMICOLON) {
    i = skipLws(bytes, i + 1, end)
    if (paramsStart === end) paramsStart = i
    const nameStart = i
    while (i < end && PARAM_STOP[bytes[i]!] === 0) i++
    const nameEnd = i
    if (nameEnd === nameStart) return null
    const isTag = nameEnd - nameStart === 3 && spells(bytes, nameStart, nameEnd, 'tag')
    if (isTag) tagStart = tagEnd = -1
    i = skipLws(bytes, i, end)
    if (i < end && bytes[i] === EQUAL) {
      i = skipLws(bytes, i + 1, end)
      const commas = isTag && list === 'single'
      const stop = commas ? TAG_STOP : PARAM_STOP
      if (commas) while (i < end && bytes[i] === COMMA) i++
      let valueStart = i
      let valueEnd: number
      if (i < end && bytes[i] === QUOTE) {
        valueStart++
        // No escapes here, unlike in a display name.
        i = skipQuoted(bytes, i, end)
        if (i < 0 || bytes.subarray(valueStart, i).includes(BACKSLASH)) return null
        valueEnd = i - 1
      } else {
        while (i < end && stop[bytes[i]!] === 0) i++
        valueEnd = i
      }
      if (isTag && valueEnd > valueStart) {
        tagStart = valueStart
        tagEnd = valueEnd
      }
      i = skipLws(bytes, i, end)
    }
  }
  // A NUL ends the header.
  if (i < end && bytes[i] !== NUL && !(list === 'list' && bytes[i] === COMMA)) return null
  return {
    displayStart,
    displayEnd,
    uriStart,
    uriEnd,
    tagStart,
    tagEnd,
    paramsStart: Math.min(paramsStart, i),
    paramsEnd: i,
    end: i,
  }
}
