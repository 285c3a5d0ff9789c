/**
 * A response of our own to a request, made from its bytes (RFC 3261 §8.2.6, §18.2.1; RFC 3581 §4).
 * @module
 */
import { createHash } from 'node:crypto'
import { headerLine, headerSelector } from './header-names.ts'
import { splice, type Cut } from './splice.ts'
import { stampVia } from './stamp.ts'
import type { Endpoint } from './types.ts'
import type { MessageView } from './view.ts'
import { parseVia } from './via.ts'

const VIA = headerSelector('Via')

/** Phrases of the status codes that we send (RFC 3261 §21). */
const PHRASES: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  407: 'Proxy Authentication Required',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  500: 'Server Internal Error',
  503: 'Service Unavailable',
}

/** What to answer. */
export interface ResponseInit {
  /** 100–699. */
  readonly status: number
  /** Default: the status code's own. */
  readonly phrase?: string | undefined
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined
  /** Distinguishes this node's To tags from another's; the same request gets the same tag (RFC 3261 §8.2.7). */
  readonly tagSecret?: string
}

/**
 * Builds the response to a request: its Via lines (the top one stamped with `source`), From, To with a tag, Call-ID
 * and CSeq as they were sent. Nothing else of the request is repeated.
 * @throws RangeError on CR, LF or NUL in the phrase or a header: they never come from a message
 */
export function buildResponse(request: MessageView, source: Endpoint, init: ResponseInit): Buffer {
  const { layout } = request
  const line = (name: string, row: number): string => `${name}: ${valueOf(request, row)}`
  const phrase = init.phrase ?? PHRASES[init.status] ?? 'Unknown'
  if (/[^\t\x20-\x7e\x80-\xff]/.test(phrase)) throw new RangeError('the phrase would not be one line')
  const lines = [`SIP/2.0 ${init.status} ${phrase}`]
  for (let row = request.find(VIA, 0); row >= 0; row = request.find(VIA, row + 1)) {
    lines.push(row === layout.via ? `Via: ${stamped(request, row, source)}` : line('Via', row))
  }
  const to = request.to
  const tag =
    to !== null && to.tagStart < 0 && init.status > 100 ? `;tag=${toTag(request, init.tagSecret ?? '')}` : ''
  lines.push(line('From', layout.from), line('To', layout.to) + tag, line('Call-ID', layout.callId))
  lines.push(line('CSeq', layout.cseq))
  for (const [name, value] of init.headers ?? []) lines.push(headerLine(name, value))
  lines.push('Content-Length: 0', '', '')
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

function stamped(request: MessageView, row: number, source: Endpoint): string {
  const start = request.valueStart(row)
  const end = request.valueEnd(row)
  const via = parseVia(request.bytes, start, end)
  if (via === null) return valueOf(request, row)
  const cuts: Cut[] = []
  stampVia(request.bytes, via, source, cuts)
  return splice(request.bytes, start, end, cuts).toString('latin1').trimEnd()
}

function valueOf(view: MessageView, row: number): string {
  return view.text(view.valueStart(row), view.valueEnd(row)).trimEnd()
}

/** Whether an ACK answers a refusal that `buildResponse` made with this secret: its To tag tells. */
export function isAckOf(ack: MessageView, secret: string): boolean {
  const to = ack.to
  return to !== null && to.tagStart >= 0 && ack.text(to.tagStart, to.tagEnd) === toTag(ack, secret)
}

/** The same for a request and the ACK of its refusal: they share top branch, From, Call-ID and CSeq number. */
function toTag(request: MessageView, secret: string): string {
  const { layout } = request
  const start = request.valueStart(layout.via)
  const via = parseVia(request.bytes, start, request.valueEnd(layout.via))
  const branch = via === null || via.branchStart < 0 ? '' : request.text(via.branchStart, via.branchEnd)
  const number = request.text(request.valueStart(layout.cseq), layout.cseqNumberEnd)
  const parts = [secret, branch, valueOf(request, layout.from), valueOf(request, layout.callId), number]
  return createHash('sha256').update(parts.join('\0'), 'latin1').digest('hex').slice(0, 16)
}
