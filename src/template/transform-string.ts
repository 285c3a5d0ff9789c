/**
 * `{s.…}`: strings.
 * @module
 */
import { createHash } from 'node:crypto'
import { trimBoth, trimLeft, trimRight } from './blanks.ts'
import { bare, wholeNumber, withNumber, withText, type Transform, type Transformation } from './transform.ts'

const hash =
  (algorithm: string): Transform =>
  (value) =>
    createHash(algorithm).update(value, 'latin1').digest('hex')

/** Copies as strncpy does: after the first NUL all is NUL, the length stays. */
function strncpy(value: string): string {
  const nul = value.indexOf('\0')
  return nul < 0 ? value : value.slice(0, nul).padEnd(value.length, '\0')
}

/** ASCII only: bytes above 0x7f stay, as C's tolower leaves them in the C locale. */
const fold =
  (from: RegExp, shift: number): Transform =>
  (value) =>
    value.replace(from, (letter) => String.fromCharCode(letter.charCodeAt(0) + shift))

/** `{s.substr,offset,length}`: offset < 0 counts from the end; length 0, or beyond, means to the end. */
const substr: Transformation = (parameters) => {
  const [offset, length, ...rest] = (parameters ?? '').split(',').map(wholeNumber)
  if (offset === undefined || length === undefined || length < 0 || rest.length > 0) {
    return { fault: 'it needs an offset and a length of 0 or more, as in {s.substr,0,3}' }
  }
  return (value) => {
    const start = offset < 0 ? value.length + offset : offset
    if (start < 0 || (offset >= 0 && start >= value.length)) return null
    return strncpy(length === 0 ? value.slice(start) : value.slice(start, start + length))
  }
}

/** `{s.select,index,separator}`: index < 0 counts from the end; nothing where out of range. */
const select: Transformation = (parameters) => {
  const match = /^\s*([+-]?\d{1,9})\s*,([^]*)$/.exec(parameters ?? '')
  const separator = match?.[2] === '\\s' ? ' ' : match?.[2]
  if (match === null || separator?.length !== 1) {
    return { fault: 'it needs an index and one separator character, as in {s.select,1,@}' }
  }
  const index = Number(match[1])
  return (value) => strncpy(value.split(separator).at(index) ?? '')
}

/** `{s.replace,from,to}`: every occurrence. */
const replace: Transformation = (parameters) => {
  const comma = (parameters ?? '').indexOf(',')
  if (parameters === undefined || comma < 1) return { fault: 'it needs two texts, as in {s.replace,a,b}' }
  const from = parameters.slice(0, comma)
  const to = parameters.slice(comma + 1)
  return (value) => value.split(from).join(to)
}

/** The text itself where it is an integer of 32 bits; a sign alone counts as 0, and nothing too. */
const int: Transform = (value) => {
  if (!/^[+-]?\d*$/.test(value)) return null
  const number = Number(value)
  return number < -0x80000000 || number > 0x7fffffff ? null : value
}

const unquote: Transform = (value) => {
  const quote = value[0]
  const quoted = value.length >= 2 && (quote === '"' || quote === "'") && value.endsWith(quote)
  return quoted ? value.slice(1, -1) : value
}

/** escape_common (core/strutils.c): `'`, `"`, `\` and NUL get a backslash. */
const escapeCommon: Transform = (value) =>
  value.replace(/['"\\\0]/g, (char) => (char === '\0' ? '\\0' : `\\${char}`))

const unescapeCommon: Transform = (value) =>
  value.replace(/\\(['"\\0])/g, (_all, char: string) => (char === '0' ? '\0' : char))

/** escape_user: what a SIP user part cannot hold becomes %xx; anything outside printable ASCII is an error. */
const escapeUser: Transform = (value) => {
  if (/[^\x20-\x7e]/.test(value)) return null
  return value.replace(/[^A-Za-z0-9\-_.!~*'()&=+$,;?]/g, (char) => `%${hexByte(char)}`)
}

/** unescape_user: %xx to its character, which must be printable ASCII. */
const unescapeUser: Transform = (value) => {
  let bad = false
  const text = value.replace(/%(..?)?/g, (_all, hex: string | undefined) => {
    const code = hex !== undefined && /^[0-9a-f]{2}$/i.test(hex) ? Number.parseInt(hex, 16) : -1
    if (code < 32 || code > 126) bad = true
    return String.fromCharCode(Math.max(code, 0))
  })
  return bad ? null : text
}

function hexByte(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, '0')
}

const decode =
  (encoding: 'hex' | 'base64', shape: RegExp): Transform =>
  (value) =>
    shape.test(value) ? Buffer.from(value, encoding).toString('latin1') : null

/** The class `s`. */
export const stringTransformations: ReadonlyMap<string, Transformation> = new Map<string, Transformation>([
  ['s.len', bare((value) => String(value.length))],
  ['s.int', bare(int)],
  ['s.md5', bare(hash('md5'))],
  ['s.sha256', bare(hash('sha256'))],
  ['s.sha384', bare(hash('sha384'))],
  ['s.sha512', bare(hash('sha512'))],
  ['s.tolower', bare(fold(/[A-Z]/g, 32))],
  ['s.toupper', bare(fold(/[a-z]/g, -32))],
  ['s.substr', substr],
  ['s.select', select],
  ['s.strip', withNumber((n) => (value) => (n < 0 ? null : strncpy(value.slice(n))))],
  [
    's.striptail',
    withNumber((n) => (value) => (n < 0 ? null : strncpy(value.slice(0, Math.max(0, value.length - n))))),
  ],
  ['s.before', withText((text) => (value) => value.split(text[0]!)[0]!)],
  [
    's.after',
    withText((text) => (value) => {
      const at = value.indexOf(text[0]!)
      return at < 0 ? '' : value.slice(at + 1)
    }),
  ],
  ['s.count', withText((text) => (value) => String(value.split(text[0]!).length - 1))],
  ['s.rm', withText((text) => (value) => value.split(text).join(''))],
  ['s.rmws', bare((value) => value.replace(/[ \t\r\n]/g, ''))],
  ['s.trim', bare(trimBoth)],
  ['s.ltrim', bare(trimLeft)],
  ['s.rtrim', bare(trimRight)],
  ['s.unquote', bare(unquote)],
  ['s.numeric', bare((value) => value.replace(/[^0-9]/g, ''))],
  ['s.replace', replace],
  ['s.encode.base64', bare((value) => Buffer.from(value, 'latin1').toString('base64'))],
  ['s.encode.hexa', bare((value) => Buffer.from(value, 'latin1').toString('hex'))],
  ['s.decode.base64', bare(decode('base64', /^[A-Za-z0-9+/]*={0,2}$/))],
  ['s.decode.hexa', bare(decode('hex', /^(?:[0-9a-fA-F]{2})*$/))],
  ['s.escape.common', bare(escapeCommon)],
  ['s.unescape.common', bare(unescapeCommon)],
  ['s.escape.user', bare(escapeUser)],
  ['s.unescape.user', bare(unescapeUser)],
])
