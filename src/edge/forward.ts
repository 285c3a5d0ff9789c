/**
 * What a stateless proxy does to the bytes of a request and of a response (RFC 3261 §16.6, §16.7, §16.11, §18.2).
 * @module
 */
import { isBlank, isDigit } from '../message/chars.ts'
import { headerSelector, type HeaderSelector } from '../message/header-names.ts'
import { splice, type Cut } from '../message/splice.ts'
import { stampVia } from '../message/stamp.ts'
import type { Endpoint } from '../message/types.ts'
import { parseVia, type Via } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'
import { isIP } from 'node:net'

const VIA = headerSelector('Via')
const MAX_FORWARDS = headerSelector('Max-Forwards')

/** How a request goes on. */
export interface RequestHop {
  readonly source: Endpoint
  /** Our lines above its top Via: our Via, and Record-Route where it creates a dialog. */
  readonly lines: Uint8Array
  /** Hops left before this one. */
  readonly hops: number | 'none'
  /** What becomes of its Route headers, and of the Request-URI with them. */
  readonly routes: readonly Cut[]
  /** Headers to take out. */
  readonly remove: readonly HeaderSelector[]
}

/** Hops left: a number, `none` where the header is absent, `malformed`. */
export function maxForwards(view: MessageView): number | 'none' | 'malformed' {
  const row = view.find(MAX_FORWARDS, 0)
  if (row < 0) return 'none'
  let hops = 0
  let i = view.valueStart(row)
  let end = view.valueEnd(row)
  while (end > i && isBlank(view.bytes[end - 1])) end--
  if (i === end) return 'malformed'
  for (; i < end; i++) {
    if (!isDigit(view.bytes[i])) return 'malformed'
    hops = hops * 10 + view.bytes[i]! - 48
    if (hops > 255) return 'malformed'
  }
  return hops
}

/** The bytes of a request as it leaves: its token and our routes gone, our Via and Record-Route on it, one hop less. */
export function forwardRequest(view: MessageView, via: Via, hop: RequestHop): Buffer {
  const { layout, bytes } = view
  // Above every header: a peer may have laid its Record-Route above its Via, and ours belongs in front of it.
  const top = view.nameStart(0)
  const cuts: Cut[] = [{ start: top, end: top, text: hop.lines }]
  if (hop.hops === 'none') cuts.push({ start: top, end: top, text: 'Max-Forwards: 70\r\n' })
  stampVia(bytes, via, hop.source, cuts)
  for (const cut of hop.routes) cuts.push(cut)
  if (hop.hops !== 'none') {
    const row = view.find(MAX_FORWARDS, 0)
    cuts.push({ start: view.valueStart(row), end: view.valueEnd(row), text: String(hop.hops - 1) })
  }
  removeHeaders(view, hop.remove, cuts)
  return splice(bytes, layout.messageStart, layout.end, cuts)
}

/** The bytes of a response as it leaves: our Via and its token gone. */
export function forwardResponse(view: MessageView, own: Via, remove: readonly HeaderSelector[]): Buffer {
  const { layout, bytes } = view
  const row = layout.via
  const end = view.valueEnd(row)
  const cuts: Cut[] = [
    own.end >= end
      ? { start: view.nameStart(row), end: end + 2, text: '' }
      : { start: view.valueStart(row), end: own.end + 1, text: '' },
  ]
  removeHeaders(view, remove, cuts)
  return splice(bytes, layout.messageStart, layout.end, cuts)
}

/** A Via entry and the row that it stands in. */
export interface ViaAt {
  readonly via: Via
  readonly row: number
}

/** The Via below the one in `row`; undefined where there is none, or none that can be parsed. */
export function viaBelow(view: MessageView, { via, row }: ViaAt): ViaAt | undefined {
  const sameLine = via.end < view.valueEnd(row)
  const next = sameLine ? row : view.find(VIA, row + 1)
  if (next < 0) return undefined
  const found = parseVia(view.bytes, sameLine ? via.end + 1 : view.valueStart(next), view.valueEnd(next))
  return found === null ? undefined : { via: found, row: next }
}

/** Where a response goes by the Via below ours (RFC 3261 §18.2.2, RFC 3581 §4); undefined where nowhere. */
export function responseTarget(view: MessageView, via: Via): Endpoint | undefined {
  const received = via.receivedAt >= 0 ? view.text(via.receivedStart, via.receivedEnd) : ''
  const address = (received === '' ? view.text(via.hostStart, via.hostEnd) : received).replace(/^\[|\]$/g, '')
  if (isIP(address) === 0) return undefined
  const rport = via.rportAt >= 0 ? view.text(via.rportStart, via.rportEnd) : ''
  // Digits alone: `Number` would also take `5060.5`, and a socket throws on such a port.
  if (!/^\d{0,5}$/.test(rport)) return undefined
  const port = Number(rport) || via.port || 5060
  return port >= 1 && port <= 65535 ? { address, port } : undefined
}

function removeHeaders(view: MessageView, headers: readonly HeaderSelector[], cuts: Cut[]): void {
  for (const selector of headers) {
    for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) {
      cuts.push({ start: view.nameStart(row), end: view.valueEnd(row) + 2, text: '' })
    }
  }
}

/** Lays one more header directly before the empty line. */
export function addHeader(view: MessageView, name: string, value: string): Buffer {
  const at = view.layout.headersEnd
  return splice(view.bytes, view.layout.messageStart, view.layout.end, [
    { start: at, end: at, text: `${name}: ${value}\r\n` },
  ])
}
