/**
 * The middleware that lets only accepted requests pass.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { leftOf, type LineEdit } from '../message/line-edit.ts'
import type { MessageContext, SipMessage } from '../message/types.ts'
import { viewOf } from '../message/view.ts'
import type { Decision, Pipeline } from '../pipeline/stage.ts'
import { readRequest } from './drachtio-context.ts'
import { readingFailure } from './drachtio-reading.ts'
import { markRefused } from './drachtio-refused.ts'
import type {
  Authenticated,
  DrachtioMiddleware,
  DrachtioRequest,
  DrachtioResponse,
} from './drachtio-types.ts'

/** What `guardDrachtio` takes beside the pipeline. */
export interface GuardOptions {
  /** Told of every decision, for log and metrics. What it throws is lost. */
  readonly onDecision?: (decision: Decision, req: DrachtioRequest) => void
}

/**
 * Makes the middleware: judges `req.raw` (or `req.msg.raw`), sets `req.identity` and takes the token out of
 * `req.headers` where accepted, answers a refusal with its status and the host's phrase. An ACK is never answered. Never
 * throws; what fails is answered 503, never accepted, and what drachtio-srf reads otherwise than it was judged, 400.
 * Requests that the server makes itself (`req.source` is `application`: the BYE of a call whose ACK never came) came from
 * no network and pass without identity.
 * @example srf.use(guardDrachtio(createPipeline([verifyPeer({ peer: 'carrier', verifier })])))
 */
export function guardDrachtio(pipeline: Pipeline, options: GuardOptions = {}): DrachtioMiddleware {
  const { onDecision } = options

  function tell(decision: Decision, req: DrachtioRequest): void {
    try {
      onDecision?.(decision, req)
    } catch {
      // A log that fails changes no decision.
    }
  }

  return function guard(req, res, next) {
    if (req.source === 'application') return next()
    const read = readRequest(req)
    const decision: Decision | Promise<Decision> = read.ok
      ? decide(pipeline, read.context)
      : { verdict: 'reject', status: read.status, reason: read.reason, stage: 'parse' }

    const act = (given: Decision): void => {
      const settled = read.ok && given.verdict === 'accept' ? afterReading(given, req, read.context) : given
      tell(settled, req)
      if (settled.verdict !== 'accept') return refuse(settled, req, res)
      const { identity, answer, remove, edit = [] } = settled
      Object.assign(req, { identity, ...(answer !== undefined && { answer }) } satisfies Authenticated)
      removeHeaders(req, remove)
      if (read.ok && edit.length > 0) editLines(req, read.context.message, edit)
      next()
    }
    if (!(decision instanceof Promise)) return act(decision)
    // What the application throws goes where drachtio-srf takes it when it is thrown at once.
    const rethrow = (error: unknown): void => {
      try {
        next(error)
      } catch {
        // An unhandled rejection would end the process.
      }
    }
    void decision
      .catch(() => FAILED)
      .then(act)
      .catch(rethrow)
  }
}

const FAILED: Decision = { verdict: 'reject', status: 503, reason: 'pipeline-failed', stage: 'pipeline' }

/** Asks the pipeline; one of the user's own making may throw. */
function decide(pipeline: Pipeline, context: MessageContext): Decision | Promise<Decision> {
  try {
    return pipeline.decide(context)
  } catch {
    return FAILED
  }
}

/** An accepted request goes on only where the application will read what was judged. */
function afterReading(
  accepted: Extract<Decision, { verdict: 'accept' }>,
  req: DrachtioRequest,
  { message }: MessageContext,
): Decision {
  const reason = readingFailure(req, viewOf(message))
  return reason === undefined ? accepted : { verdict: 'reject', status: 400, reason, stage: 'parse' }
}

/** Takes out every spelling of the names: drachtio-srf keeps `X-Auth` and `x-auth` apart. */
function removeHeaders(req: DrachtioRequest, names: readonly string[]): void {
  const { headers } = req
  if (headers === undefined || names.length === 0) return
  const unwanted = new Set(names.map((name) => name.toLowerCase()))
  for (const name of Object.keys(headers)) if (unwanted.has(name.toLowerCase())) delete headers[name]
}

/** drachtio-srf keeps the lines of a name as one text, joined by commas. */
function editLines(req: DrachtioRequest, message: SipMessage, edits: readonly LineEdit[]): void {
  const { headers = {} } = req
  for (const edited of new Set(edits.map(({ name }) => headerSelector(name).name))) {
    const key = Object.keys(headers).find((name) => name.toLowerCase() === edited)
    const values = message.headers(edited).map((value) => leftOf(edits, edited, value) ?? value)
    const left = values.filter((value) => value !== '').join(',')
    if (key === undefined) continue
    removeHeaders(req, [edited])
    if (left !== '') headers[key] = Buffer.from(left, 'latin1').toString('utf8')
  }
}

function refuse(
  decision: Exclude<Decision, { verdict: 'accept' }>,
  req: DrachtioRequest,
  res: DrachtioResponse,
): void {
  markRefused(req)
  if (req.method === 'ACK') return
  if (decision.verdict === 'drop') return forget(req)
  try {
    const { status, headers = [] } = decision
    const phrase = decision.verdict === 'reject' ? decision.phrase : undefined
    if (phrase !== undefined) res.send(status, phrase, { headers: rowsOf(headers) })
    else if (headers.length > 0) res.send(status, { headers: rowsOf(headers) })
    else res.send(status)
  } catch {
    answerFailure(res)
  }
}

/** drachtio-srf throws on a status that it does not know, and where its server has gone. */
function answerFailure(res: DrachtioResponse): void {
  try {
    res.send(503)
  } catch {
    // Nobody is left to answer through.
  }
}

/**
 * Headers as drachtio-srf takes them. It would join rows of one name with commas, which RFC 3261 §7.3.1 forbids for
 * challenges: further rows ride behind the first, line by line, which is how its wire protocol writes them anyway.
 */
function rowsOf(headers: readonly (readonly [string, string])[]): Record<string, string> {
  const rows = new Map<string, readonly [name: string, text: string]>()
  for (const [name, value] of headers) {
    if (/[\r\n\0]/.test(name + value)) throw new RangeError(`a value of header ${name} holds a line break`)
    const known = rows.get(name.toLowerCase())
    rows.set(
      name.toLowerCase(),
      known === undefined ? [name, value] : [known[0], `${known[1]}\r\n${known[0]}: ${value}`],
    )
  }
  return Object.fromEntries(rows.values())
}

/** What drachtio-srf keeps of an INVITE until its final response. */
interface Pending {
  readonly agent?: {
    readonly mapServer?: Map<
      unknown,
      { readonly pendingNetworkInvites?: Map<unknown, { readonly req?: unknown }> }
    >
  }
  readonly socket?: unknown
  get?(name: string): unknown
}

/** A request that is dropped gets no final response: without this, each would be kept for ever. */
function forget(req: DrachtioRequest): void {
  const host = req as DrachtioRequest & Pending
  const pending = host.agent?.mapServer?.get(host.socket)?.pendingNetworkInvites
  const callId = host.get?.('call-id')
  if (pending?.get(callId)?.req === req) pending.delete(callId)
}
