/**
 * Signing requests that drachtio sends: the headers to give to `createUAC`, `createB2BUA`, `request` and `proxyRequest`.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { ConfigError } from '../errors.ts'
import type { KeyRef } from '../keyring/keyring.ts'
import { parseMessage } from '../message/parse.ts'
import { splice } from '../message/splice.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { KeyOptions } from '../xkeys/selection.ts'
import { createSigner, type SignFailure } from '../xkeys/sign.ts'
import { localEndpoint, localOf, readRequest } from './drachtio-context.ts'
import { fieldsOf, isRewritten } from './drachtio-fields.ts'
import type { DrachtioRequest } from './drachtio-types.ts'

/** What `signDrachtio` takes. */
export interface SignDrachtioOptions extends KeyOptions {
  /** The address that the server sends from: needed where the request template reads `$Ri` or `$Rp`. */
  readonly local?: Endpoint
}

/** A request that the application is about to send. */
export interface OutgoingRequest {
  /** Default: INVITE. */
  readonly method?: string
  /** With From where the template reads it. Call-ID, CSeq and To are set where the template reads them and they lack. */
  readonly headers?: Readonly<Record<string, string>>
  /** What will be given as `localSdp` or `body`. */
  readonly body?: string | undefined
}

/** Why a request could not be signed. */
export type DrachtioSignFailure =
  | SignFailure
  /** The Request-URI that the server will write cannot be foreseen: a new target for a URI that is not the server's own. */
  | 'request-uri-unknown'
  /** The proxied request has a header of that name, which cannot be taken out; the peer would look at the first. */
  | 'header-repeated'

/** All headers to give to the host, the token among them; or why there are none. */
export type DrachtioSignResult =
  | { readonly ok: true; readonly headers: Record<string, string>; readonly key: KeyRef }
  | { readonly ok: false; readonly reason: DrachtioSignFailure }

/** Signs requests. Never throws because of a message. */
export interface DrachtioSigner {
  /** For `createUAC`, `createB2BUA` and `srf.request`, each call once: a retry with credentials has another CSeq. */
  outgoing(uri: string, request?: OutgoingRequest): DrachtioSignResult
  /** For `proxyRequest` to one target. */
  proxied(req: DrachtioRequest, destination: string): DrachtioSignResult
}

/** Stands for an address that no variable reads. */
const UNREAD: Endpoint = { address: '0.0.0.0', port: 0 }

const failed = (reason: DrachtioSignFailure): DrachtioSignResult => ({ ok: false, reason })

/**
 * Creates the signer of requests under one agreement.
 * @throws ConfigError `ERR_AGREEMENT_INVALID` where the request template reads what the server makes afterwards, with
 *   every variable and why; `ERR_CONFIG_INVALID` where `local` is no address.
 * @example
 * const signed = signer.outgoing(uri, { headers: { From: '<sip:alice@atlanta.example>' }, body: sdp })
 * if (signed.ok) await srf.createUAC(uri, { headers: signed.headers, localSdp: sdp })
 */
export function signDrachtio(options: SignDrachtioOptions): DrachtioSigner {
  const { agreement } = options
  const { header } = agreement
  const fields = fieldsOf(agreement, 'request', options.local === undefined ? 'unknown' : 'known')
  const local = localOption(options.local)
  const signer = createSigner(options)

  function sign(bytes: Buffer, headers: Record<string, string>): DrachtioSignResult {
    const parsed = parseMessage(bytes)
    if (!parsed.ok) return failed('message-unparsable')
    const context: MessageContext = { message: parsed.message, transport: 'udp', source: local, local }
    const result = signer.sign(context)
    return result.ok ? { ok: true, headers: { ...headers, [header]: result.token }, key: result.key } : result
  }

  return {
    outgoing(uri, { method = 'INVITE', headers = {}, body = '' } = {}) {
      // The server makes a SIP URI of anything else.
      if (!/^(?:sips?|tel):[!-~]+$/i.test(uri)) return failed('field-illegal')
      const all = Object.fromEntries(
        Object.entries(headers).filter(([name]) => name.toLowerCase() !== header.toLowerCase()),
      )
      if (fields.has('Call-ID')) setHeader(all, 'Call-ID', randomUUID())
      if (fields.has('CSeq')) setHeader(all, 'CSeq', `1 ${method}`)
      if (fields.has('To')) setHeader(all, 'To', `<${uri}>`)
      const from = headerOf(all, 'From') ?? ''
      const to = headerOf(all, 'To') ?? `<${uri}>`
      const cseq = headerOf(all, 'CSeq') ?? `1 ${method}`
      if (fields.has('From') && from === '') return failed('variable-missing')
      // The server writes the number without zeros.
      const rewritten =
        (fields.has('From') && isRewritten(from)) ||
        (fields.has('To') && isRewritten(to)) ||
        !/^(?:0|[1-9]\d*) \S+$/.test(cseq)
      if (rewritten) return failed('field-illegal')
      const lines = [
        ['Via', 'SIP/2.0/UDP drachtio.invalid'],
        ['From', from === '' ? '<sip:drachtio.invalid>' : from],
        ['To', to],
        ['Call-ID', headerOf(all, 'Call-ID') ?? 'drachtio.invalid'],
        ['CSeq', cseq],
      ] as const
      const bytes = requestBytes(`${method} ${uri} SIP/2.0`, lines, body)
      return bytes === undefined ? failed('field-illegal') : sign(bytes, all)
    },
    proxied(req, destination) {
      const read = readRequest(req)
      if (!read.ok) return failed('message-unparsable')
      const view = viewOf(read.context.message)
      if (view.headers(header).length > 0) return failed('header-repeated')
      const uri = fields.has('Request-URI') ? proxiedUri(req, view, destination) : view.requestUri
      if (uri === undefined) return failed('request-uri-unknown')
      const { secondStart, secondEnd, messageStart, end } = view.layout
      return sign(
        splice(view.bytes, messageStart, end, [{ start: secondStart, end: secondEnd, text: uri }]),
        {},
      )
    },
  }
}

function localOption(given: Endpoint | undefined): Endpoint {
  if (given === undefined) return UNREAD
  const local = localEndpoint(given.address, given.port)
  if (local !== undefined) return local
  const message = 'it is an IP address and a port that the server sends from, e.g. 192.0.2.20 and 5060'
  throw new ConfigError('ERR_CONFIG_INVALID', [{ path: 'local', message }])
}

/**
 * The Request-URI under which the server passes a request on. It puts the target there where the request named the
 * server itself; otherwise older versions do, and newer ones leave it as it is.
 */
function proxiedUri(req: DrachtioRequest, view: MessageView, destination: string): string | undefined {
  // drachtio-srf lays `sip:` before anything else.
  if (!/^sip:[!-~]+$/.test(destination)) return undefined
  if (destination === view.requestUri) return destination
  const local = localOf(req)
  const { uri } = view
  if (local === undefined || uri === null || (uri.scheme !== 'sip' && uri.scheme !== 'sips')) return undefined
  const host = view.text(uri.hostStart, uri.hostEnd).replace(/^\[|\]$/g, '')
  return host === local.address && (uri.port === 0 ? 5060 : uri.port) === local.port ? destination : undefined
}

function headerOf(headers: Readonly<Record<string, string>>, name: string): string | undefined {
  const key = Object.keys(headers).find((key) => key.toLowerCase() === name.toLowerCase())
  return key === undefined ? undefined : headers[key]?.trim()
}

function setHeader(headers: Record<string, string>, name: string, value: string): void {
  if (headerOf(headers, name) === undefined) headers[name] = value
}

/** What the signer is shown of a request: only headers that a template may read, as UTF-8, which the host sends. */
function requestBytes(
  startLine: string,
  headers: readonly (readonly [name: string, value: string])[],
  body: string,
): Buffer | undefined {
  const lines: string[] = [startLine]
  for (const [name, value] of headers) {
    // The server would cut such a value at the line break.
    if (/[\r\n\0]/.test(value)) return undefined
    lines.push(`${name}: ${value}`)
  }
  const payload = Buffer.from(body, 'utf8')
  return Buffer.concat([
    Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${payload.length}\r\n\r\n`, 'utf8'),
    payload,
  ])
}
