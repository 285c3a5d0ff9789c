/**
 * The messages that the stand-in of the drachtio server makes: what it takes from an application, and what it adds.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Endpoint } from '../../src/message/types.ts'
import {
  bytesOf,
  endpointIn,
  tagOf,
  textOf,
  uriIn,
  withTag,
  type Line,
  type Text,
} from './fake-drachtio-text.ts'

/** Headers that the server never takes from an application. */
const IMMUTABLE = new Set(['via', 'route', 'rseq', 'record-route', 'content-length'])
/** Those that it takes, and puts in their own place. */
const OWN = new Set(['from', 'to', 'call-id', 'cseq', 'contact', 'max-forwards'])

/** A request that came in. */
export interface ServerTransaction {
  readonly id: string
  readonly request: Text
  readonly source: Endpoint
  readonly toTag: string
  last: Buffer | undefined
  final: boolean
}

/** A request that went out. */
export interface ClientTransaction {
  readonly id: string
  readonly request: Text
  readonly target: Endpoint
  /** Of a proxied request: the one that came in, and the frame to tell of responses. */
  readonly proxied?: { readonly server: ServerTransaction; readonly rid: string }
  readonly dialogId: string
}

/** A time of day, for the frames. */
export const TIME = '10:00:00.000'
/** Parts of a frame's first line. */
export type Fields = readonly (string | number)[]

/** What the frames say of a message: where from or to, when, in which transaction and dialog. */
export const meta = (
  source: string,
  text: string,
  { address, port }: Endpoint,
  id: string,
  dialogId: string,
): Fields => [source, text.length, 'udp', address, port, TIME, id, dialogId]

/** The text of a message, as the frames hold it. */
export const shown = (message: Text): string => bytesOf(message).toString('utf8')

/** A response without headers of an application's own. */
export const plain = (status: string): Text => textOf(`SIP/2.0 ${status}`, [], '')

/** A request that has just come in. */
export const newTransaction = (
  request: Text,
  source: Endpoint,
  toTag = randomBytes(6).toString('hex'),
): ServerTransaction => ({
  id: randomUUID(),
  request,
  source,
  toTag,
  last: undefined,
  final: false,
})

/** A dialog, as the server keeps it. */
export interface Dialog {
  readonly id: string
  readonly callId: string
  /** From and To of requests to the peer. */
  readonly local: string
  readonly remote: string
  readonly target: string
  readonly routes: readonly string[]
  cseq: number
}

/** An application's headers that go out as they are; names as the server capitalises them. */
function custom(message: Text): readonly Line[] {
  const given = message.headers
    .filter(([name]) => !OWN.has(name.toLowerCase()) && !IMMUTABLE.has(name.toLowerCase()))
    .filter(([name]) => /^[A-Za-z0-9_-]+$/.test(name))
    .map(([name, value]): Line => [name.replace(/(^|-)[a-z]/g, (text) => text.toUpperCase()), value.trim()])
  return message.body === '' || message.get('content-type') !== undefined
    ? given
    : [...given, ['Content-Type', 'application/sdp']]
}

/** A Via of the server's own: its branch, and its line. */
export function newVia(at: string): readonly [branch: string, line: Line] {
  const branch = `z9hG4bK${randomBytes(8).toString('hex')}`
  return [branch, ['Via', `SIP/2.0/UDP ${at};branch=${branch};rport`]]
}

/** The response to `request` that an application asks for with `given`; `tag` is the To tag where it sets none. */
export function responseTo(request: Text, given: Text, tag: string, at: string): Text {
  const status = Number(given.start.slice(8, 11))
  const to = request.get('to') ?? ''
  const [number = '0', method = ''] = (request.get('cseq') ?? '').split(/\s+/)
  const ok = request.method === 'INVITE' && status >= 200 && status < 300
  const routes = request.method === 'INVITE' ? request.all('record-route') : []
  return given.made(
    given.start,
    [
      ...request.all('via').map((via): Line => ['Via', via]),
      ...routes.map((value): Line => ['Record-Route', value]),
      ['From', request.get('from') ?? ''],
      ['To', status > 100 ? withTag(to, tagOf(given.get('to') ?? '') ?? tag) : to],
      ['Call-ID', request.get('call-id') ?? ''],
      // The real one keeps a number, not its text.
      ['CSeq', `${Number(number)} ${method}`],
      ...(ok ? [['Contact', given.get('contact') ?? `<sip:${at}>`] as const] : []),
      ...custom(given),
    ],
    given.body,
  )
}

/** A new request that an application asks for. */
export function newRequest(given: Text, via: Line, at: string): Text {
  const here = (value: string): string => value.replace('@localhost', `@${at}`)
  return given.made(
    given.start,
    [
      via,
      ['Max-Forwards', given.get('max-forwards') ?? '70'],
      ['From', withTag(here(given.get('from') ?? `<sip:${at}>`), randomBytes(6).toString('hex'))],
      ['To', here(given.get('to') ?? `<${given.uri}>`)],
      ['Call-ID', given.get('call-id') ?? randomUUID()],
      ['CSeq', given.get('cseq') ?? `${randomBytes(2).readUInt16BE()} ${given.method}`],
      ['Contact', here(given.get('contact') ?? `<sip:${at}>`)],
      ...custom(given),
    ],
    given.body,
  )
}

/** A request inside a dialog that an application asks for. */
export function dialogRequest(given: Text, dialog: Dialog, via: Line, at: string): Text {
  return given.made(
    `${given.method} ${dialog.target} SIP/2.0`,
    [
      via,
      ['Max-Forwards', '70'],
      ...dialog.routes.map((value): Line => ['Route', value]),
      ['From', dialog.local],
      ['To', dialog.remote],
      ['Call-ID', dialog.callId],
      ['CSeq', given.get('cseq') ?? `${dialog.cseq} ${given.method}`],
      ['Contact', `<sip:${at}>`],
      ...custom(given),
    ],
    given.body,
  )
}

/** The CANCEL of a request, or the ACK of its failure: they share its branch and number (RFC 3261 §9.1, §17.1.1.3). */
export function companion(method: 'ACK' | 'CANCEL', request: Text, to: string, given?: Text): Text {
  const number = (request.get('cseq') ?? '').split(' ')[0]
  return request.made(`${method} ${request.uri} SIP/2.0`, [
    ['Via', request.get('via') ?? ''],
    ['Max-Forwards', '70'],
    ['From', request.get('from') ?? ''],
    ['To', to],
    ['Call-ID', request.get('call-id') ?? ''],
    ['CSeq', `${number} ${method}`],
    ...(given === undefined ? [] : custom(given)),
  ])
}

/** A request passed on. The target takes the place of a Request-URI that names this server, and of no other. */
export function proxiedRequest(
  request: Text,
  given: Text,
  destination: string,
  via: Line,
  own: Endpoint,
): Text {
  const named = endpointIn(request.uri)
  const isOwn = named?.address === own.address && named.port === own.port
  const hops = Number(request.get('max-forwards') ?? '71') - 1
  return request.made(
    isOwn ? `${request.method} ${destination} SIP/2.0` : request.start,
    [
      via,
      ...request.headers.map(([name, value]): Line =>
        name.toLowerCase() === 'max-forwards' ? [name, String(hops)] : [name, value],
      ),
      ...custom(given.made('', given.headers)),
    ],
    request.body,
  )
}

/** The dialog of an accepted INVITE that the application answered. */
export function serverDialog(id: string, invite: Text, response: Text): Dialog {
  return {
    id,
    callId: response.get('call-id') ?? '',
    local: response.get('to') ?? '',
    remote: response.get('from') ?? '',
    target: uriIn(invite.get('contact') ?? ''),
    routes: invite.all('record-route'),
    cseq: 0,
  }
}

/** The dialog of an accepted INVITE that the application placed. */
export function clientDialog(id: string, invite: Text, response: Text): Dialog {
  return {
    id,
    callId: invite.get('call-id') ?? '',
    local: invite.get('from') ?? '',
    remote: response.get('to') ?? '',
    target: uriIn(response.get('contact') ?? invite.uri),
    routes: response.all('record-route').toReversed(),
    cseq: Number.parseInt(invite.get('cseq') ?? '1', 10),
  }
}
