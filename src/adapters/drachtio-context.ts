/**
 * A request of drachtio-srf as the library sees it: its raw text parsed, and where it came from.
 * @module
 */
import { isIP } from 'node:net'
import { parseMessage } from '../message/parse.ts'
import type { Endpoint, MessageContext, ParseFailure, Transport } from '../message/types.ts'
import { viewOf } from '../message/view.ts'
import type { DrachtioRequest } from './drachtio-types.ts'

/** Why a request cannot be judged. */
export type ContextFailure =
  | ParseFailure
  /** The host gave no text: only a stand-in or another version of it does that. */
  | 'raw-missing'
  | 'source-unknown'
  | 'transport-unknown'
  /** The application would see bytes that no token covers: past Content-Length, or not UTF-8 on the wire. */
  | 'body-exceeds'

/** A context, or the status of the refusal and its reason. */
export type ContextResult =
  | { readonly ok: true; readonly context: MessageContext }
  | { readonly ok: false; readonly status: 400 | 503; readonly reason: ContextFailure }

const TRANSPORTS: ReadonlySet<string | undefined> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss'])

const refused = (status: 400 | 503, reason: ContextFailure): ContextResult => ({ ok: false, status, reason })

/** Reads a request: strictly, from its text and never from the headers that the host has already taken apart. */
export function readRequest(req: DrachtioRequest): ContextResult {
  const raw = req.raw ?? req.msg?.raw
  if (typeof raw !== 'string' || raw === '') return refused(503, 'raw-missing')
  const source = endpointOf(req.source_address, Number(req.source_port))
  if (source === undefined) return refused(503, 'source-unknown')
  const transport = req.protocol?.toLowerCase()
  if (!TRANSPORTS.has(transport)) return refused(503, 'transport-unknown')
  // The host decodes the wire as UTF-8.
  const bytes = Buffer.from(raw, 'utf8')
  const parsed = parseMessage(bytes)
  if (!parsed.ok) return refused(400, parsed.reason)
  const { message } = parsed
  if (message.kind !== 'request') return refused(400, 'start-line-malformed')
  if (viewOf(message).layout.end < bytes.length) return refused(400, 'body-exceeds')
  const local = localOf(req) ?? UNTOLD
  return { ok: true, context: { message, transport: transport as Transport, source, local } }
}

/**
 * Stands for an address that the server did not tell. Whoever reads it fails: a stage is
 * then answered 503, a signer has no value. An empty text instead would verify or sign something else in silence.
 */
const UNTOLD: Endpoint = Object.freeze({
  get address(): string {
    throw new Error('the drachtio server did not tell the local address')
  },
  get port(): number {
    throw new Error('the drachtio server did not tell the local port')
  },
})

/** The address that the request arrived on; undefined where the server did not tell. */
export function localOf(req: DrachtioRequest): Endpoint | undefined {
  const [, address, port] = /^(.+):(\d{1,5})$/.exec(req.receivedOn ?? '') ?? []
  return localEndpoint(address, Number(port))
}

/** An address of this end; undefined where it is none, or a wildcard, on which nothing arrives and from which nothing leaves. */
export function localEndpoint(address: string | undefined, port: number): Endpoint | undefined {
  const local = endpointOf(address, port)
  return local === undefined || /^[0:.]+$/.test(local.address) ? undefined : local
}

function endpointOf(address: string | undefined, port: number): Endpoint | undefined {
  const bare = (address ?? '').replace(/^\[|\]$/g, '').replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(bare) !== 0 && Number.isInteger(port) && port >= 1 && port <= 65535
    ? { address: bare, port }
    : undefined
}
