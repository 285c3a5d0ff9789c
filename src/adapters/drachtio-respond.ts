/**
 * Signing responses that drachtio sends: `res.send` wrapped.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { parseMessage } from '../message/parse.ts'
import type { MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { KeyOptions } from '../xkeys/selection.ts'
import { createSigner, type SignFailure, type SignResult } from '../xkeys/sign.ts'
import { localOf, readRequest } from './drachtio-context.ts'
import { fieldsOf, isRewritten } from './drachtio-fields.ts'
import { isRefused } from './drachtio-refused.ts'
import type { DrachtioMiddleware, DrachtioRequest, DrachtioResponse } from './drachtio-types.ts'

/** What `signDrachtioResponses` takes. */
export interface SignResponsesOptions extends KeyOptions {
  /** Told of every response that could not be signed. What it throws is lost. */
  readonly onFailure?: (reason: SignFailure, req: DrachtioRequest) => void
}

/** Options of `res.send`. */
interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** `res` as drachtio-srf has it, beyond its types. */
interface HostResponse {
  send(...args: readonly unknown[]): unknown
  readonly finalResponseSent?: boolean
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

/**
 * Makes the middleware that signs every response but 100 and the guard's own refusals. Put it before the guard or behind
 * it, and into `guardDialogs` too. Where a 2xx or 3xx cannot be signed (no active key), 500 is sent in its place and
 * `res.send`'s callback gets an error: the peer would take it for lost, and the application for a call that is up. A
 * provisional response is not sent then; other refusals go without a token.
 * @throws ConfigError `ERR_AGREEMENT_INVALID` where the response template reads what the server makes afterwards, with
 *   every variable and why. `$tt` is not among them: where the application sets no To tag, one is set here.
 * @example srf.use(signDrachtioResponses({ agreement, keyring }))
 */
export function signDrachtioResponses(options: SignResponsesOptions): DrachtioMiddleware {
  const { agreement, onFailure } = options
  const fields = fieldsOf(agreement, 'response', 'known')
  const signer = createSigner(options)
  const unwanted = agreement.header.toLowerCase()
  const removeToken = (headers: Headers): void => {
    for (const name of Object.keys(headers)) if (name.toLowerCase() === unwanted) delete headers[name]
  }

  function sign(context: MessageContext): SignResult {
    try {
      return signer.sign(context)
    } catch {
      // The source of the keyring threw: there is no key to sign with.
      return { ok: false, reason: 'no-active-key' }
    }
  }

  function tell(reason: SignFailure, req: DrachtioRequest): void {
    try {
      onFailure?.(reason, req)
    } catch {
      // A log that fails changes no response.
    }
  }

  /** Signs one response. Where the template reads a To tag and there is none, one goes into `headers`. */
  function signCall(
    call: SendCall,
    req: DrachtioRequest,
    host: HostResponse,
    headers: Headers,
    tag: () => string,
  ) {
    const read = readRequest(req)
    if (!read.ok) return UNPARSABLE
    if (fields.has('local') && localOf(req) === undefined) return MISSING
    const view = viewOf(read.context.message)
    let to = textOf(view, view.layout.to)
    if (fields.has('To tag') && !hasTag(view)) {
      to += `;tag=${tag()}`
      for (const name of Object.keys(headers)) if (name.toLowerCase() === 'to') delete headers[name]
      headers['To'] = Buffer.from(to, 'latin1').toString('utf8')
    }
    const from = textOf(view, view.layout.from)
    const rewritten =
      (fields.has('From') && isRewritten(from)) ||
      ((fields.has('To') || fields.has('To tag')) && isRewritten(to))
    if (rewritten) return ILLEGAL
    const parsed = parseMessage(responseBytes(view, call.status, to, call.options.body || host.body))
    return parsed.ok ? sign({ ...read.context, message: parsed.message }) : UNPARSABLE
  }

  return function signResponses(req, res, next) {
    const host = res as DrachtioResponse & HostResponse
    const send = host.send.bind(host)
    let tag: string | undefined

    host.send = (...args: readonly unknown[]): unknown => {
      const call = readCall(args)
      if (call === undefined || call.status <= 100 || host.finalResponseSent === true || isRefused(req)) {
        return send(...args)
      }
      const { status, reason, callback, onAck } = call
      // The peer looks at the first token: none but ours may go out.
      const headers = { ...call.options.headers }
      removeToken(headers)
      removeToken(host.headers ?? {})
      const ownTag = (): string => (tag ??= tagOf(headers) ?? randomBytes(8).toString('hex'))
      const result = signCall(call, req, host, headers, ownTag)
      if (result.ok) headers[result.header] = result.token
      else tell(result.reason, req)
      if (result.ok || status >= 400) {
        return send(status, reason, { ...call.options, headers }, callback, onAck)
      }
      if (status >= 200) send(500)
      return callback?.(new Error(`the response cannot be signed: ${result.reason}`))
    }
    next()
  }
}

type Headers = Record<string, string>
const UNPARSABLE: SignResult = { ok: false, reason: 'message-unparsable' }
const MISSING: SignResult = { ok: false, reason: 'variable-missing' }
const ILLEGAL: SignResult = { ok: false, reason: 'field-illegal' }

interface SendCall {
  readonly status: number
  readonly reason: string | undefined
  readonly options: SendOptions
  readonly callback: ((error: unknown) => void) | undefined
  readonly onAck: unknown
}

/** The forms of `res.send`: status, then a phrase, options, callback, callback of the ACK; phrase and options optional. */
function readCall(args: readonly unknown[]): SendCall | undefined {
  const [status, second, third, fourth, fifth] = args
  // The host's own business to complain of.
  if (typeof status !== 'number') return undefined
  const call = (reason: unknown, options: unknown, callback: unknown, onAck: unknown): SendCall => ({
    status,
    reason: typeof reason === 'string' ? reason : undefined,
    options: typeof options === 'object' && options !== null ? options : {},
    callback: typeof callback === 'function' ? (callback as (error: unknown) => void) : undefined,
    onAck,
  })
  if (typeof second === 'function') return call(undefined, undefined, second, fourth)
  if (typeof second === 'object') return call(undefined, second, third, fourth)
  return call(second, third, fourth, fifth)
}

function textOf(view: MessageView, row: number): string {
  return view.text(view.valueStart(row), view.valueEnd(row)).trimEnd()
}

function hasTag(request: MessageView): boolean {
  return request.to !== null && request.to.tagStart >= 0
}

/** The To tag that the application gives; drachtio-srf takes what stands behind `tag=`. */
function tagOf(headers: Readonly<Record<string, string>>): string | undefined {
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() === 'to') return /tag=(.*)/.exec(value)?.[1]
  }
  return undefined
}

const NOTHING = Buffer.alloc(0)

/**
 * What the signer is shown of a response: the headers that the server takes over from the request, CSeq as it writes it
 * anew, and the body.
 */
function responseBytes(request: MessageView, status: number, to: string, body: unknown): Buffer {
  const { layout } = request
  const number = request.text(request.valueStart(layout.cseq), layout.cseqNumberEnd).replace(/^0+(?=\d)/, '')
  const payload =
    Buffer.isBuffer(body) || typeof body === 'string' ? Buffer.from(body.toString(), 'utf8') : NOTHING
  const lines = [
    `SIP/2.0 ${status} OK`,
    `Via: ${textOf(request, layout.via)}`,
    `From: ${textOf(request, layout.from)}`,
    `To: ${to}`,
    `Call-ID: ${textOf(request, layout.callId)}`,
    `CSeq: ${number} ${request.method}`,
    `Content-Length: ${payload.length}`,
    '',
    '',
  ]
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), payload])
}
