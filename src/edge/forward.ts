/**
 * What a stateless proxy does to the bytes of a request and of a response (RFC 3261 §16.6, §16.7, §16.11, §18.2).
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { splice, type Cut } from '../message/splice.ts'
import { stampVia } from '../message/stamp.ts'
import type { Endpoint } from '../message/types.ts'
import { parseVia, type Via } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'
import { isIP } from 'node:net'
import { hostPort, recordRoute, type OwnRoutes } from './route-set.ts'

const VIA = headerSelector('Via')
const MAX_FORWARDS = headerSelector('Max-Forwards')

/** How a request goes on. */
export interface RequestHop {
  readonly source: Endpoint
  /** The socket it arrived on, the socket it leaves from. */
  readonly back: Endpoint
  readonly out: Endpoint
  readonly branch: string
  readonly trunk: string
  readonly routes: OwnRoutes
  /** Headers to take out. */
  readonly remove: readonly string[]
}

/** Hops left: a number, `none` where the header is absent, `malformed`. */
export function maxForwards(view: MessageView): number | 'none' | 'malformed' {
  const row = view.find(MAX_FORWARDS, 0)
  if (row < 0) return 'none'
  const text = view.text(view.valueStart(row), view.valueEnd(row)).trimEnd()
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : 'malformed'
}

/** The bytes of a request as it leaves: its token and our routes gone, our Via and Record-Route on it, one hop less. */
export function forwardRequest(view: MessageView, via: Via, hop: RequestHop): Buffer {
  const { layout, bytes } = view
  const top = view.nameStart(layout.via)
  const added = `Via: SIP/2.0/UDP ${hostPort(hop.out)};branch=${hop.branch}\r\n`
  const hops = view.find(MAX_FORWARDS, 0)
  const left = maxForwards(view)
  const limit = hops < 0 ? 'Max-Forwards: 70\r\n' : ''
  const cuts: Cut[] = [
    { start: top, end: top, text: added + recordRoute(view.method, hop.out, hop.back, hop.trunk) + limit },
    ...stampVia(bytes, via, hop.source),
    ...hop.routes.cuts,
    ...removeHeaders(view, hop.remove),
  ]
  if (typeof left === 'number') {
    cuts.push({ start: view.valueStart(hops), end: view.valueEnd(hops), text: String(Math.max(0, left - 1)) })
  }
  return splice(bytes, layout.messageStart, layout.end, cuts)
}

/** The bytes of a response as it leaves: our Via and its token gone. */
export function forwardResponse(view: MessageView, own: Via, remove: readonly string[]): Buffer {
  const { layout, bytes } = view
  const row = layout.via
  const end = view.valueEnd(row)
  const cut =
    own.end >= end
      ? { start: view.nameStart(row), end: end + 2, text: '' }
      : { start: view.valueStart(row), end: own.end + 1, text: '' }
  return splice(bytes, layout.messageStart, layout.end, [cut, ...removeHeaders(view, remove)])
}

/** Where a response goes once our Via is gone (RFC 3261 §18.2.2, RFC 3581 §4); undefined where nowhere. */
export function responseTarget(view: MessageView, own: Via): Endpoint | undefined {
  const row = view.layout.via
  const sameLine = own.end < view.valueEnd(row)
  const next = sameLine ? row : view.find(VIA, row + 1)
  if (next < 0) return undefined
  const via = parseVia(view.bytes, sameLine ? own.end + 1 : view.valueStart(next), view.valueEnd(next))
  if (via === null) return undefined
  const received = via.receivedAt >= 0 ? view.text(via.receivedStart, via.receivedEnd) : ''
  const address = (received === '' ? view.text(via.hostStart, via.hostEnd) : received).replace(/^\[|\]$/g, '')
  if (isIP(address) === 0) return undefined
  const rport = via.rportAt >= 0 ? Number(view.text(via.rportStart, via.rportEnd)) : 0
  const port = rport || via.port || 5060
  return port >= 1 && port <= 65535 ? { address, port } : undefined
}

function removeHeaders(view: MessageView, headers: readonly string[]): Cut[] {
  return headers.flatMap((name) => {
    const selector = headerSelector(name)
    const cuts: Cut[] = []
    for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) {
      cuts.push({ start: view.nameStart(row), end: view.valueEnd(row) + 2, text: '' })
    }
    return cuts
  })
}

/** Lays one more header directly before the empty line. */
export function addHeader(view: MessageView, name: string, value: string): Buffer {
  const at = view.layout.headersEnd
  return splice(view.bytes, view.layout.messageStart, view.layout.end, [
    { start: at, end: at, text: `${name}: ${value}\r\n` },
  ])
}
