/**
 * The neutral core for any host: bytes in; a decision, and the bytes to pass on or send back, out.
 * @module
 */
import { editHeaders } from '../message/edit.ts'
import { parseMessage } from '../message/parse.ts'
import { buildResponse, type ResponseInit } from '../message/respond.ts'
import type { MessageContext, ParseFailure, SipMessage } from '../message/types.ts'
import { viewOf } from '../message/view.ts'
import type { Decision, Pipeline } from './stage.ts'

/** What was decided. `forward`: set where accepted. `respond`: set where refused with an answer, for `from.source`. */
export interface AuthenticateResult {
  readonly decision: Decision
  readonly forward?: Buffer
  readonly respond?: Buffer
}

/**
 * Authenticates one message. Parses strictly, asks the pipeline, cuts the bytes: what goes on has no token and no
 * byte past its Content-Length. Never throws because of a message.
 * @param from where the bytes came from and arrived
 * @example
 * const { forward, respond } = await authenticate(bytes, { transport: 'udp', source, local }, pipeline)
 */
export function authenticate(
  bytes: Uint8Array,
  from: Omit<MessageContext, 'message'>,
  pipeline: Pipeline,
): AuthenticateResult | Promise<AuthenticateResult> {
  const parsed = parseMessage(bytes)
  if (!parsed.ok) return refuseUnparsed(bytes, from, parsed.reason)
  const { message } = parsed
  const context: MessageContext = { message, ...from }
  const decision = pipeline.decide(context)
  return decision instanceof Promise
    ? decision.then((settled) => apply(settled, context))
    : apply(decision, context)
}

function apply(decision: Decision, context: MessageContext): AuthenticateResult {
  const view = viewOf(context.message)
  switch (decision.verdict) {
    case 'accept': {
      const whole = view.bytes.subarray(view.layout.messageStart, view.layout.end)
      return { decision, forward: editHeaders(whole, { remove: decision.remove, edit: decision.edit }) }
    }
    case 'challenge':
    case 'reject':
      return { decision, respond: buildResponse(view, context.source, responseOf(decision)) }
    case 'drop':
      return { decision }
  }
}

/** What answers a message that is not accepted, for `buildResponse`. */
export function responseOf(
  decision: Extract<Decision, { verdict: 'challenge' | 'reject' }>,
): Omit<ResponseInit, 'tagSecret'> {
  const { status, headers } = decision
  return decision.verdict === 'reject' ? { status, headers, phrase: decision.phrase } : { status, headers }
}

/** Faults after which the headers of a request can still be trusted enough to answer it. */
const ANSWERABLE: ReadonlySet<ParseFailure> = new Set([
  'content-length-malformed',
  'content-length-exceeds',
  'cseq-mismatch',
])

/** Whether bytes with this fault may be a request that can be answered. */
export function isAnswerable(reason: ParseFailure): boolean {
  return ANSWERABLE.has(reason)
}

/** 400 where the request can be answered, silence otherwise. */
export function refuseUnparsed(
  bytes: Uint8Array,
  from: Omit<MessageContext, 'message'>,
  reason: ParseFailure,
  tagSecret = '',
): AuthenticateResult {
  const request = ANSWERABLE.has(reason) ? answerable(bytes) : undefined
  if (request === undefined) return { decision: { verdict: 'drop', reason, stage: 'parse' } }
  return {
    decision: { verdict: 'reject', status: 400, reason, stage: 'parse' },
    respond: buildResponse(viewOf(request), from.source, { status: 400, tagSecret }),
  }
}

function answerable(bytes: Uint8Array): SipMessage | undefined {
  const tolerated = parseMessage(bytes, { tolerance: 'kamailio' })
  if (!tolerated.ok || tolerated.message.kind === 'response' || tolerated.message.method === 'ACK')
    return undefined
  return tolerated.message
}
