/**
 * Messages that were accepted, as the objects of the npm package `sip`. Its own parser is not asked: it can be made to
 * run for seconds, drops what it does not know, and takes the last of what is repeated.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { leftOf, type LineEdit } from '../message/line-edit.ts'
import type { MessageView } from '../message/view.ts'
import {
  MAX_ENTRIES,
  toAddress,
  toAddresses,
  toAuth,
  toPairs,
  toRoutes,
  toVias,
  trimmed,
  unfolded,
  type FieldBytes,
} from './sip-fields.ts'
import type { SipHeaderValue, SipHeaders, SipRemote, SipRequest, SipResponse } from './sip-types.ts'

/** The object, or why the message cannot be one. */
export type SipObject<T extends SipRequest | SipResponse = SipRequest | SipResponse> =
  | { readonly ok: true; readonly message: T }
  | { readonly ok: false; readonly reason: SipObjectFault }

/** Why a message that the strict parser took cannot be an object: an app would trip over it. */
export type SipObjectFault = 'address-malformed' | 'via-malformed' | 'header-repeated' | 'cseq-too-large'

type Reader = (field: FieldBytes, before: SipHeaderValue | undefined) => SipHeaderValue | undefined

const auth: Reader = (field, before) => {
  const text = trimmed(unfolded(field))
  const one = toAuth(text)
  // What is no list of parameters stays text where it stands alone: it cannot be joined to anything.
  if (one === undefined) return before === undefined ? text : undefined
  if (before === undefined) return [one]
  if (!Array.isArray(before)) return undefined
  ;(before as unknown[]).push(one)
  return before
}

const list =
  (read: (field: FieldBytes) => (SipHeaderValue & unknown[]) | undefined): Reader =>
  (field, before) => {
    const entries = read(field)
    if (entries === undefined || before === undefined) return entries
    if (!Array.isArray(before)) return undefined
    if (before.length + entries.length > MAX_ENTRIES) return undefined
    for (const entry of entries) (before as unknown[]).push(entry)
    return before
  }

const contacts = list(toAddresses)

/** Refuses a second one: templates verify the first, and the app would see one of them. */
const once =
  (read: Reader): Reader =>
  (field, before) =>
    before === undefined ? read(field, before) : undefined

const star = once(() => '*')

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['via', list(toVias)],
  ['from', toAddress],
  ['to', toAddress],
  ['refer-to', once(toAddress)],
  // The package would make an address of it, and `Contact:  <*>` of that.
  ['contact', (field, before) => (trimmed(unfolded(field)) === '*' ? star : contacts)(field, before)],
  ['route', list(toRoutes)],
  ['record-route', list(toRoutes)],
  ['path', list(toRoutes)],
  ['content-length', (field) => Number(trimmed(unfolded(field)))],
  ['authorization', auth],
  ['proxy-authorization', auth],
  ['www-authenticate', auth],
  ['proxy-authenticate', auth],
  ['authentication-info', once((field) => toPairs(unfolded(field)) ?? trimmed(unfolded(field)))],
])

/** Lists of addresses: repeated, they are one. */
const LISTS = new Set(['contact', 'route', 'record-route', 'path'])

/** Names that an object has already: such a header is left out, as the package loses it. */
const INHERITED = new Set(['__proto__', 'constructor'])

/** RFC 3261 §8.1.1.5. A number beyond what an object can hold would come back as another one. */
const MAX_CSEQ = 2 ** 32 - 1

/**
 * The object of a message.
 * @param remote goes into `received` and `rport` of a request's top Via, as the package does
 * @param remove names of headers that the app does not see, lower case
 * @param edit lines of which it sees a part
 */
export function toSipMessage(
  view: MessageView,
  remote: SipRemote,
  remove: ReadonlySet<string>,
  edit: readonly LineEdit[] = [],
): SipObject {
  const { layout, bytes } = view
  const seq = Number(view.text(view.valueStart(layout.cseq), layout.cseqNumberEnd))
  if (seq > MAX_CSEQ) return { ok: false, reason: 'cseq-too-large' }
  const headers: Record<string, SipHeaderValue> = {}
  for (let row = 0; row < layout.rows; row++) {
    const name = longName(view.text(view.nameStart(row), view.nameEnd(row)))
    if (INHERITED.has(name) || remove.has(name)) continue
    const field = fieldOf(view, row, name, edit)
    if (field === undefined) continue
    const before = headers[name]
    if (name === 'cseq') {
      headers[name] = { seq, method: view.method }
      continue
    }
    const read = READERS.get(name)
    if (read === undefined) {
      const text = field.bytes.toString('latin1', field.start, field.end)
      headers[name] = typeof before === 'string' ? `${before},${text}` : text
      continue
    }
    const value = read(field, before)
    if (value === undefined) {
      return { ok: false, reason: faultOf(name, before) }
    }
    headers[name] = value
  }
  const common = {
    version: '2.0',
    // A message has these five, or the strict parser had refused it.
    headers: headers as unknown as SipHeaders,
    content: bytes.toString('latin1', Math.min(layout.bodyStart, layout.end), layout.end),
  }
  if (view.kind === 'response') {
    const reason = view.text(layout.secondStart, layout.secondEnd)
    return { ok: true, message: { status: layout.status, reason, ...common } }
  }
  const { params } = common.headers.via[0]!
  params['received'] = remote.address
  if ('rport' in params && remote.protocol === 'UDP') params['rport'] = remote.port
  const uri = view.text(layout.secondStart, layout.secondEnd)
  return { ok: true, message: { method: view.method, uri, ...common } }
}

/** The value of a header as the app sees it; undefined where nothing of it is left. */
function fieldOf(
  view: MessageView,
  row: number,
  name: string,
  edit: readonly LineEdit[],
): FieldBytes | undefined {
  const [start, end] = [view.valueStart(row), view.valueEnd(row)]
  const left = edit.length === 0 ? undefined : leftOf(edit, name, view.text(start, end))
  if (left === undefined) return { bytes: view.bytes, start, end }
  return left === '' ? undefined : { bytes: Buffer.from(left, 'latin1'), start: 0, end: left.length }
}

function faultOf(name: string, before: SipHeaderValue | undefined): SipObjectFault {
  if (name === 'via') return 'via-malformed'
  return before === undefined || LISTS.has(name) ? 'address-malformed' : 'header-repeated'
}

/** Compact names are the registered ones, of which the package knows ten, and one wrongly. */
function longName(name: string): string {
  return name.length === 1 ? headerSelector(name).name : name.toLowerCase()
}
