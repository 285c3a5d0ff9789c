/**
 * Header values as the objects that the npm package `sip` makes of them: one pass, no regular expression.
 * @module
 */
import { parseNameAddr } from '../message/name-addr.ts'
import { parseUri } from '../message/uri.ts'
import { parseVia } from '../message/via.ts'
import type { SipAddress, SipAuth, SipParams, SipRoute, SipUri, SipVia } from './sip-types.ts'

/** Bytes of one header value. */
export interface FieldBytes {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

const COMMA = 44
/** Tab, LF, CR, space. */
const WHITE: ReadonlySet<number> = new Set([9, 10, 13, 32])

/** Most entries of Via, Contact, Route and their kin in one message; each becomes several objects. */
export const MAX_ENTRIES = 500

/** Text with its folds made blanks. A CRLF inside of a value is always a fold. */
export function unfolded({ bytes, start, end }: FieldBytes): string {
  const text = bytes.toString('latin1', start, end)
  return text.includes('\r') ? text.replaceAll('\r\n', ' ') : text
}

/** Without blanks at its ends. Not `trim`: that takes NBSP as well, a byte that belongs to the text. */
export function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlankAt(text, start)) start++
  while (end > start && isBlankAt(text, end - 1)) end--
  return text.slice(start, end)
}

/** An object to which a parameter called `__proto__` does nothing. */
function put<T>(record: Record<string, T>, name: string, value: T): void {
  if (name !== '__proto__') record[name] = value
}

function isBlankAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code === 32 || code === 9
}

/** Behind the closing quote of the string that opens at `start`; the end where it never closes. */
function quotedEnd(text: string, start: number): number {
  let i = start + 1
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return Math.min(i + 1, text.length)
}

/** `;name=value;name` with blanks anywhere; names in lower case. */
export function parseParams(text: string): SipParams {
  const params: SipParams = {}
  let i = 0
  while (i < text.length) {
    while (i < text.length && (text[i] === ';' || isBlankAt(text, i))) i++
    const nameStart = i
    while (i < text.length && text[i] !== ';' && text[i] !== '=' && !isBlankAt(text, i)) i++
    const name = text.slice(nameStart, i).toLowerCase()
    while (isBlankAt(text, i)) i++
    let value: string | null = null
    if (text[i] === '=') {
      i++
      while (isBlankAt(text, i)) i++
      const valueStart = i
      if (text[i] === '"') i = quotedEnd(text, i)
      while (i < text.length && text[i] !== ';' && !isBlankAt(text, i)) i++
      value = text.slice(valueStart, i)
    }
    if (name !== '') put<string | number | null>(params, name, value === '' ? null : value)
  }
  return params
}

/** A `sip:` or `sips:` URI as an object; any other as text. */
export function toUri(text: string): SipUri | string {
  const bytes = Buffer.from(text, 'latin1')
  const uri = parseUri(bytes, 0, bytes.length)
  if (uri === null || (uri.scheme !== 'sip' && uri.scheme !== 'sips')) return text
  const hasUser = uri.hostStart > uri.userStart
  const hasPassword = uri.passwordEnd > uri.passwordStart
  const params: SipParams = {}
  for (const pair of text.slice(uri.paramsStart, uri.paramsEnd).split(';')) {
    const [name = '', value = ''] = pair.split('=', 2)
    if (name !== '') put<string | number | null>(params, name, value === '' ? null : value)
  }
  const headers: Record<string, string> = {}
  for (const pair of text.slice(uri.headersStart, uri.headersEnd).split('&')) {
    const [name = '', value = ''] = pair.split('=', 2)
    if (name !== '') put(headers, name, value)
  }
  return {
    schema: uri.scheme,
    user: hasUser
      ? text.slice(uri.userStart, (hasPassword ? uri.passwordStart : uri.hostStart) - 1)
      : undefined,
    password: hasPassword ? text.slice(uri.passwordStart, uri.passwordEnd) : undefined,
    host: text.slice(uri.hostStart, uri.hostEnd),
    port: uri.port === 0 ? NaN : uri.port,
    params,
    headers,
  }
}

/** From, To, Refer-To; undefined where it is none. */
export function toAddress(field: FieldBytes): SipAddress | undefined {
  return addressAt(field, field.start, 'single')?.address
}

/** Contact; undefined where one of its entries is none, or there are too many. */
export function toAddresses(field: FieldBytes): SipAddress[] | undefined {
  const list: SipAddress[] = []
  let start = field.start
  for (;;) {
    const found = addressAt(field, start, 'list')
    if (found === undefined) return undefined
    if (list.push(found.address) > MAX_ENTRIES) return undefined
    if (field.bytes[found.end] !== COMMA || found.end >= field.end) return list
    start = found.end + 1
  }
}

/** Route, Record-Route, Path; undefined where one of its entries is none. */
export function toRoutes(field: FieldBytes): SipRoute[] | undefined {
  return toAddresses(field)?.map(({ name, uri, params }) => ({ name, uri: toUri(uri), params }))
}

function addressAt(
  { bytes, end }: FieldBytes,
  start: number,
  list: 'single' | 'list',
): { readonly address: SipAddress; readonly end: number } | undefined {
  const parts = parseNameAddr(bytes, start, end, list)
  // A NUL cannot be among what the strict parser took, so what ended the entry is the end or a comma.
  if (parts === null) return undefined
  const { displayStart, displayEnd, uriStart, uriEnd, paramsStart, paramsEnd } = parts
  const name = displayStart < 0 ? undefined : unfolded({ bytes, start: displayStart, end: displayEnd })
  const address: SipAddress = {
    name,
    uri: bytes.toString('latin1', uriStart, whiteBefore(bytes, uriStart, uriEnd)),
    params: parseParams(unfolded({ bytes, start: paramsStart, end: paramsEnd })),
  }
  // Templates verify the tag that Kamailio reads: an app must not see another one.
  const { tagStart, tagEnd } = parts
  const tag = tagStart < 0 ? '' : bytes.toString('latin1', tagStart, tagEnd)
  if (list === 'single' && tag !== (address.params['tag'] ?? '')) return undefined
  return { address, end: parts.end }
}

/** Where the blanks and folds begin that end at `end`. */
function whiteBefore(bytes: Buffer, start: number, end: number): number {
  let i = end
  while (i > start && WHITE.has(bytes[i - 1]!)) i--
  return i
}

/** Via; undefined where one of its entries is none. */
export function toVias({ bytes, start, end }: FieldBytes): SipVia[] | undefined {
  const list: SipVia[] = []
  let i = start
  for (;;) {
    const via = parseVia(bytes, i, end)
    if (via === null || list.length === MAX_ENTRIES) return undefined
    list.push({
      version: '2.0',
      protocol: bytes.toString('latin1', via.transportStart, via.transportEnd),
      host: bytes.toString('latin1', via.hostStart, via.hostEnd),
      port: via.port === 0 ? undefined : via.port,
      params: parseParams(unfolded({ bytes, start: via.sentByEnd, end: via.end })),
    })
    if (via.end >= end) return list
    i = via.end + 1
  }
}

/** `name=value, name="value"`; undefined where it is anything else. */
export function toPairs(text: string): Record<string, string> | undefined {
  const pairs: Record<string, string> = {}
  let i = 0
  for (;;) {
    while (i < text.length && (text[i] === ',' || isBlankAt(text, i))) i++
    if (i >= text.length) return pairs
    const nameStart = i
    while (i < text.length && text[i] !== '=' && text[i] !== ',' && text[i] !== '"' && !isBlankAt(text, i))
      i++
    const name = text.slice(nameStart, i)
    while (isBlankAt(text, i)) i++
    if (name === '' || text[i] !== '=') return undefined
    i++
    while (isBlankAt(text, i)) i++
    const valueStart = i
    if (text[i] === '"') i = quotedEnd(text, i)
    else while (i < text.length && text[i] !== ',' && text[i] !== '"' && !isBlankAt(text, i)) i++
    if (i === valueStart) return undefined
    put(pairs, name, text.slice(valueStart, i))
    while (isBlankAt(text, i)) i++
    if (i < text.length && text[i] !== ',') return undefined
  }
}

/** Credentials or a challenge: a scheme and pairs; undefined where it is anything else. */
export function toAuth(text: string): SipAuth | undefined {
  let i = 0
  while (i < text.length && !isBlankAt(text, i)) i++
  const pairs = i === 0 || i === text.length ? undefined : toPairs(text.slice(i))
  if (pairs === undefined) return undefined
  // A parameter called `scheme` would otherwise take the place of the scheme.
  delete pairs['scheme']
  return Object.assign({ scheme: text.slice(0, i) }, pairs)
}
