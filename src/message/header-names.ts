/**
 * Header names: compact forms and the hash by which a view's table is searched.
 * @module
 */
import { LOWER_TOKEN, TOKEN, spells } from './chars.ts'

/**
 * Compact names (IANA SIP header registry), letter → long name in lower case. Without a prototype, or a header called
 * `constructor` would have a compact name.
 */
const COMPACT: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
})

const LETTERS = new Map(Object.entries(COMPACT).map(([letter, name]) => [name, letter]))

/**
 * The hash by which names are told apart before their bytes are compared: length, first and last byte in lower case.
 * No more is needed for speed, and safety never rests on it.
 */
export function hashOf(length: number, first: number, last: number): number {
  return (length << 16) | (first << 8) | last
}

/** Hash of a header name, case-blind; compact and long names are one. */
export function hashName(name: string): number {
  const lower = name.toLowerCase()
  const long = COMPACT[lower] ?? lower
  return hashOf(long.length, long.charCodeAt(0), long.charCodeAt(long.length - 1))
}

/** Hash of the long name, by the byte of a compact one in either case; 0 where there is none. */
export const COMPACT_HASH: Int32Array = new Int32Array(256)
for (const letter of Object.keys(COMPACT)) {
  COMPACT_HASH[letter.charCodeAt(0)] = hashName(letter)
  COMPACT_HASH[letter.toUpperCase().charCodeAt(0)] = hashName(letter)
}

/** A header name, ready to be looked for. */
export interface HeaderSelector {
  readonly hash: number
  /** Long name, lower case. */
  readonly name: string
  /** Its compact letter, lower case. */
  readonly letter: string | undefined
  /** `name` as bytes. */
  readonly bytes: Uint8Array
}

/** Selectors made before. Names come from code and configuration; the bound is for a caller who breaks that. */
const selectors = new Map<string, HeaderSelector>()
const MAX_SELECTORS = 1024

/** Prepares a name for look-up. Trailing blanks are ignored, as Kamailio does with the names in its script. */
export function headerSelector(name: string): HeaderSelector {
  const known = selectors.get(name)
  if (known !== undefined) return known
  const lower = name.trimEnd().toLowerCase()
  const long = COMPACT[lower] ?? lower
  const selector = {
    hash: hashName(long),
    name: long,
    letter: LETTERS.get(long),
    bytes: Buffer.from(long, 'latin1'),
  }
  if (selectors.size >= MAX_SELECTORS) selectors.clear()
  selectors.set(name, selector)
  return selector
}

/** Whether bytes[start, end) name the selected header: equal hashes alone could be forged. */
export function names(bytes: Uint8Array, start: number, end: number, selector: HeaderSelector): boolean {
  const length = end - start
  const wanted = selector.bytes
  if (length === 1 && selector.letter !== undefined) return spells(bytes, start, end, selector.letter)
  if (length !== wanted.length) return false
  for (let i = 0; i < length; i++) if (LOWER_TOKEN[bytes[start + i]!] !== wanted[i]) return false
  return true
}

/** Whether `name` can be sent as a header name: RFC 3261 `token`, without `%`. */
export function isHeaderName(name: string): boolean {
  if (name.length === 0) return false
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code > 127 || TOKEN[code] !== 1) return false
  }
  return true
}

/** Hash of bytes[start, end) as a header name; compact names hash as their long form. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  if (end - start === 1) {
    const compact = COMPACT_HASH[bytes[start]!]!
    if (compact !== 0) return compact
  }
  return hashOf(end - start, LOWER_TOKEN[bytes[start]!]!, LOWER_TOKEN[bytes[end - 1]!]!)
}

/**
 * `name: value`, as it may be sent.
 * @throws RangeError on a name that is no token, or on CR, LF, NUL or a character outside latin1 in the value: these
 *   come from code or configuration, never from a message.
 */
export function headerLine(name: string, value: string): string {
  if (!isHeaderName(name)) throw new RangeError(`not a header name: ${JSON.stringify(name)}`)
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === 0 || code === 10 || code === 13 || code > 255) {
      throw new RangeError(`a value of header ${name} holds CR, LF, NUL or a character outside latin1`)
    }
  }
  return `${name}: ${value}`
}
