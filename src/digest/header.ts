/**
 * The text of Authorization, WWW-Authenticate and their kin taken apart and put together: schemes, parameters, quoted
 * strings (RFC 3261 §25.1, RFC 7235 §2.1). Text is latin1, one character a byte, as a message's headers are.
 * @module
 */
import { CR, LF, QUOTE, BACKSLASH, COMMA, EQUAL, SPACE, TAB, TOKEN } from '../message/chars.ts'

/** One `name=value`. */
export interface AuthParam {
  /** In lower case. */
  readonly name: string
  /** Without quotes, escapes resolved. */
  readonly value: string
  /** Without quotes, escapes kept: what RFC 2617 and 7616 call `unq()`, and hash. */
  readonly raw: string
  readonly form: 'quoted' | 'bare'
}

/** Credentials or a challenge. */
export interface AuthItem {
  /** In lower case. */
  readonly scheme: string
  /** Of `Digest` only: other schemes are left alone. */
  readonly params: readonly AuthParam[]
  /** Where it stands in the text, `start` at the scheme, `end` behind its last character. */
  readonly start: number
  readonly end: number
}

/** Why a header's text is not taken. */
export type AuthFault = 'malformed' | 'parameter-repeated' | 'too-many-parameters' | 'too-long'

/** What stands in a header's text: in SIP one item a line, though some combine what RFC 3261 §7.3.1 says may not be. */
export type AuthResult =
  | { readonly ok: true; readonly items: readonly AuthItem[] }
  /** `scheme`: of the item that has the fault, empty where that cannot be read either. */
  | { readonly ok: false; readonly reason: AuthFault; readonly scheme: string }

/** Parameters of one item, and items of one header, at most: RFC 7616 knows 12 of them. */
const MAX_PARAMS = 32
const MAX_ITEMS = 16

/** Longest text that is read, bytes: digest credentials have some hundred. */
const MAX_TEXT = 8192

const DIGEST = 'digest'

/** Where the scan is. */
interface Cursor {
  readonly text: string
  at: number
}

/** Takes the text of a header apart, in linear time. Never throws. */
export function parseAuth(text: string): AuthResult {
  const cursor: Cursor = { text, at: 0 }
  const items: AuthItem[] = []
  if (text.length > MAX_TEXT) return unread(cursor)
  skipLws(cursor)
  while (cursor.at < text.length) {
    const start = cursor.at
    const scheme = takeToken(cursor).toLowerCase()
    const blank = cursor.at
    skipLws(cursor)
    if (scheme === '' || (cursor.at === blank && cursor.at < text.length && text[blank] !== ','))
      return { ok: false, reason: 'malformed', scheme: '' }
    if (items.length >= MAX_ITEMS) return { ok: false, reason: 'too-many-parameters', scheme }
    const params: AuthParam[] = []
    const fault = scheme === DIGEST ? takeParams(cursor, params) : skipOther(cursor)
    if (fault !== undefined) return { ok: false, reason: fault, scheme }
    items.push({ scheme, params, start, end: trimmedEnd(text, start, cursor.at) })
    if (cursor.at < text.length) {
      cursor.at++
      skipLws(cursor)
      if (cursor.at >= text.length) return { ok: false, reason: 'malformed', scheme }
    }
  }
  return items.length === 0 ? { ok: false, reason: 'malformed', scheme: '' } : { ok: true, items }
}

/** Of what is too long only the scheme: a token of another scheme may have any length. */
function unread(cursor: Cursor): AuthResult {
  const start = cursor.at
  const scheme = takeToken(cursor).toLowerCase()
  if (scheme === '' || scheme === DIGEST) return { ok: false, reason: 'too-long', scheme }
  return { ok: true, items: [{ scheme, params: [], start, end: cursor.text.length }] }
}

/** Takes parameters up to the comma before the next item, or the end. */
function takeParams(cursor: Cursor, params: AuthParam[]): AuthFault | undefined {
  for (;;) {
    const name = takeToken(cursor).toLowerCase()
    skipLws(cursor)
    if (name === '' || code(cursor) !== EQUAL) return 'malformed'
    if (params.some((param) => param.name === name)) return 'parameter-repeated'
    if (params.length >= MAX_PARAMS) return 'too-many-parameters'
    cursor.at++
    skipLws(cursor)
    const param = code(cursor) === QUOTE ? takeQuoted(cursor, name) : takeBare(cursor, name)
    if (param === undefined) return 'malformed'
    params.push(param)
    skipLws(cursor)
    if (cursor.at >= cursor.text.length) return undefined
    if (code(cursor) !== COMMA) return 'malformed'
    if (!isParamNext(cursor)) return undefined
    cursor.at++
    skipLws(cursor)
  }
}

/** Skips what another scheme wrote, in whatever form, up to the comma before the next item. */
function skipOther(cursor: Cursor): AuthFault | undefined {
  const { text } = cursor
  while (cursor.at < text.length) {
    const char = code(cursor)
    if (char === QUOTE) {
      if (takeQuoted(cursor, '') === undefined) return 'malformed'
    } else if (char === COMMA && !isParamNext(cursor)) {
      return undefined
    } else {
      cursor.at++
    }
  }
  return undefined
}

/** Whether `name =` follows the comma at the cursor, and not the scheme of another item. Looks at each byte once more. */
function isParamNext(cursor: Cursor): boolean {
  const ahead: Cursor = { text: cursor.text, at: cursor.at + 1 }
  skipLws(ahead)
  if (takeToken(ahead) === '') return true
  skipLws(ahead)
  return code(ahead) === EQUAL
}

function takeQuoted(cursor: Cursor, name: string): AuthParam | undefined {
  const { text } = cursor
  const start = ++cursor.at
  let value = ''
  let from = start
  for (; cursor.at < text.length; cursor.at++) {
    const char = code(cursor)
    if (char === QUOTE) {
      value += text.slice(from, cursor.at)
      return { name, value, raw: text.slice(start, cursor.at++), form: 'quoted' }
    }
    if (char === BACKSLASH) {
      value += text.slice(from, cursor.at)
      from = ++cursor.at
    }
    if (isControl(code(cursor))) return undefined
  }
  return undefined
}

/** Unquoted values may hold what a token may not: telephones write `uri=sip:…` so. */
function takeBare(cursor: Cursor, name: string): AuthParam | undefined {
  const { text } = cursor
  const start = cursor.at
  while (cursor.at < text.length) {
    const char = code(cursor)
    if (char === COMMA || char === SPACE || isLineBlank(char)) break
    if (char === QUOTE || isControl(char)) return undefined
    cursor.at++
  }
  const value = text.slice(start, cursor.at)
  return value === '' ? undefined : { name, value, raw: value, form: 'bare' }
}

function takeToken(cursor: Cursor): string {
  const start = cursor.at
  while (cursor.at < cursor.text.length && isTokenChar(code(cursor))) cursor.at++
  return cursor.text.slice(start, cursor.at)
}

function skipLws(cursor: Cursor): void {
  while (cursor.at < cursor.text.length && (code(cursor) === SPACE || isLineBlank(code(cursor)))) cursor.at++
}

function trimmedEnd(text: string, start: number, end: number): number {
  let last = end
  while (last > start && (text.charCodeAt(last - 1) === SPACE || isLineBlank(text.charCodeAt(last - 1))))
    last--
  return last
}

/** NaN behind the end. */
function code(cursor: Cursor): number {
  return cursor.text.charCodeAt(cursor.at)
}

function isTokenChar(char: number): boolean {
  return TOKEN[char] === 1
}

/** Folds were checked when the message was parsed. */
function isLineBlank(char: number): boolean {
  return char === TAB || char === CR || char === LF
}

function isControl(char: number): boolean {
  return (char < SPACE && char !== TAB) || char === 127
}

/** A parameter to write: its value as it shall read, without quotes or escapes. */
export type AuthParamInput = readonly [name: string, value: string, form: 'quoted' | 'bare']

/**
 * `Digest realm="…", …`: the text of one item.
 * @throws RangeError on a name or bare value that is no token, or on a control character: they never come from a message.
 */
export function formatAuth(scheme: string, params: readonly AuthParamInput[]): string {
  const written = params.map(([name, value, form]) => {
    const isLegal = form === 'bare' ? isToken(value) : !/[^\t\x20-\x7e\x80-\xff]/.test(value)
    if (!isToken(name) || !isLegal)
      throw new RangeError(`parameter ${JSON.stringify(name)} cannot be written`)
    return form === 'bare' ? `${name}=${value}` : `${name}="${value.replace(/["\\]/g, '\\$&')}"`
  })
  return `${scheme} ${written.join(', ')}`
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isTokenChar(text.charCodeAt(i))) return false
  return text !== ''
}
