/**
 * The way in: bytes are parsed strictly, the pipeline decides, and what it accepts becomes an object for a transaction of
 * the package's and the app's handler. Nothing else does.
 * @module
 */
import { parseMessage } from '../message/parse.ts'
import { buildResponse, isAckOf } from '../message/respond.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import { refuseUnparsed } from '../pipeline/authenticate.ts'
import { transactionName, type InviteTable } from '../pipeline/invite-table.ts'
import type { Decision, Identity, Pipeline } from '../pipeline/stage.ts'
import type { Limiter } from '../transport/limiter.ts'
import { toSipMessage } from './sip-message.ts'
import type { SipDecided, SipLimits } from './sip-options.ts'
import type { PackageConnection } from './sip-package.ts'
import { transactionId, type ServerTransaction, type Transactions } from './sip-transactions.ts'
import type { SipLogger, SipRemote, SipRequest, SipResponse } from './sip-types.ts'

/** Where bytes came from, and the way back. */
export interface Arrival {
  readonly from: Omit<MessageContext, 'message'>
  /** Bytes of ours to the source. */
  readonly answer: (bytes: Buffer) => void
  /** For a transaction. */
  readonly reply: () => PackageConnection
  /** The stream cannot be trusted any more. */
  readonly close: () => void
}

/** What the way in needs. */
export interface InboundOptions {
  readonly pipeline: Pipeline
  readonly transactions: Transactions
  /** Undefined where nothing passes without a token. */
  readonly invites: InviteTable<Identity> | undefined
  readonly limits: SipLimits
  readonly mayRefuse: Limiter
  /** Keys the To tags of our refusals, by which their ACKs are known. */
  readonly secret: string
  readonly now: () => number
  readonly logger: SipLogger | undefined
  readonly onDecision: (decided: SipDecided) => void
  /** The app. `transaction`: absent for an ACK. */
  readonly onRequest: (
    request: SipRequest,
    remote: SipRemote,
    identity: Identity,
    transaction: ServerTransaction | undefined,
  ) => void
  /** What should not have thrown, and did. */
  readonly onThrown: (what: 'logger.recv' | 'adapter', error: unknown, remote: Endpoint) => void
}

/** Takes one message, whole. Never throws because of it. */
export type Receive = (bytes: Buffer, arrival: Arrival) => void

const ADAPTER = 'adapter'

/** Refusals for which a CANCEL or ACK may still belong to an INVITE: nobody tried to prove anything. */
const UNPROVEN: ReadonlySet<string> = new Set(['header-missing', 'unauthenticated'])

/** What is done with an accepted message, or why it is not. */
type Act = { readonly run: () => void; readonly accepted: Accepted } | { readonly refused: Decision }

type Accepted = Extract<Decision, { verdict: 'accept' }>

const rejected = (view: MessageView, status: number, reason: string): Decision =>
  view.kind === 'response' || view.method === 'ACK'
    ? { verdict: 'drop', reason, stage: ADAPTER }
    : { verdict: 'reject', status, reason, stage: ADAPTER }

/** Creates the way in. */
export function createInbound(options: InboundOptions): Receive {
  const { pipeline, transactions, invites, limits, mayRefuse, secret, now, logger, onDecision } = options
  let deciding = 0

  const refuse = ({ from, answer }: Arrival, bytes: Buffer): void => {
    if (mayRefuse(from.source.address, now())) answer(bytes)
  }
  function receive(bytes: Buffer, arrival: Arrival): void {
    const { from } = arrival
    const parsed = parseMessage(bytes)
    if (!parsed.ok) {
      if (parsed.reason === 'empty') return
      const { decision, respond } = refuseUnparsed(bytes, from, parsed.reason)
      onDecision({ decision, ...from })
      if (respond !== undefined) refuse(arrival, respond)
      // Where it ends is a matter of opinion, and so is where the next one begins.
      return arrival.close()
    }
    const view = viewOf(parsed.message)
    if (view.kind === 'request' && view.method === 'ACK' && isAckOf(view, secret)) return
    const context: MessageContext = { message: parsed.message, ...from }
    const settle = (decision: Decision): void => judged(decision, view, context, arrival)
    if (deciding >= limits.decisions) {
      return onDecision({
        decision: { verdict: 'drop', reason: 'too-many-waiting', stage: ADAPTER },
        ...context,
      })
    }
    const decision = pipeline.decide(context)
    if (!(decision instanceof Promise)) return settle(decision)
    deciding++
    void decision
      .then(settle)
      .catch((error: unknown) => options.onThrown('adapter', error, from.source))
      .finally(() => deciding--)
  }

  function judged(decision: Decision, view: MessageView, context: MessageContext, arrival: Arrival): void {
    const { source, local } = context
    const protocol = context.transport === 'udp' ? 'UDP' : 'TCP'
    const remote: SipRemote = { protocol, ...source, local: { ...local } }
    const act = actOn(decision, view, context, remote, arrival)
    if ('run' in act) {
      onDecision({ decision: act.accepted, ...context })
      return act.run()
    }
    const { refused } = act
    onDecision({ decision: refused, ...context })
    if (refused.verdict !== 'challenge' && refused.verdict !== 'reject') return
    const headers = refused.verdict === 'challenge' ? refused.headers : []
    refuse(arrival, buildResponse(view, source, { status: refused.status, headers, tagSecret: secret }))
  }

  function actOn(
    decision: Decision,
    view: MessageView,
    context: MessageContext,
    remote: SipRemote,
    arrival: Arrival,
  ): Act {
    const accepted = decision.verdict === 'accept' ? decision : byItsInvite(decision, view, context)
    if (accepted === undefined) return { refused: decision }
    const remove = new Set(accepted.remove.map((name) => name.toLowerCase()))
    const made = toSipMessage(view, remote, remove)
    if (!made.ok) return { refused: rejected(view, 400, made.reason) }
    const { message } = made
    if (message.method === undefined) return { accepted, run: () => respond(message, remote) }
    return take(message, accepted, view, context, remote, arrival)
  }

  /** A CANCEL or ACK without a token is accepted where its INVITE was, as that one's. */
  function byItsInvite(
    decision: Decision,
    view: MessageView,
    { source }: MessageContext,
  ): Accepted | undefined {
    const { kind, method, layout } = view
    if (kind === 'response' || (method !== 'CANCEL' && method !== 'ACK')) return undefined
    const reason = decision.verdict === 'drop' || decision.verdict === 'reject' ? decision.reason : ''
    if (!UNPROVEN.has(reason) || layout.bodyStart !== layout.end) return undefined
    const name = transactionName(view)
    const identity = name === null ? undefined : invites?.match(name, view, source, now())
    // Nothing vouches for a Route that it brings, so that it leads nowhere but to its INVITE.
    return identity && { verdict: 'accept', identity, remove: ['Route'], stage: ADAPTER }
  }

  function respond(response: SipResponse, remote: SipRemote): void {
    hook(response, remote)
    transactions.client(response)?.message(response, remote)
  }

  function take(
    request: SipRequest,
    accepted: Accepted,
    view: MessageView,
    { source }: MessageContext,
    remote: SipRemote,
    arrival: Arrival,
  ): Act {
    const { identity } = accepted
    const id = transactionId(request, request.method === 'ACK' ? 'INVITE' : request.method)
    if (id === undefined) return { refused: rejected(view, 400, 'via-malformed') }
    const known = transactions.server(id)
    if (known !== undefined) {
      // The sent-by is the sender's own word: nobody else may have somebody's responses sent once more.
      if (known.source !== source.address) return { refused: rejected(view, 482, 'transaction-taken') }
      return {
        accepted,
        run() {
          hook(request, remote)
          known.message(request)
        },
      }
    }
    if (request.method === 'ACK') {
      return {
        accepted,
        run() {
          hook(request, remote)
          options.onRequest(request, remote, identity, undefined)
        },
      }
    }
    const from = { source: source.address, identity }
    const connection = arrival.reply()
    const transaction = transactions.openServer(id, request, connection, from, now())
    if (transaction === undefined) {
      connection.release()
      return { refused: rejected(view, 503, 'transactions-full') }
    }
    if (request.method === 'INVITE' && invites !== undefined) {
      const name = transactionName(view)
      if (name !== null && invites.remember(name, view, source, identity, now()) !== 'full')
        transaction.invite = name
    }
    return {
      accepted,
      run() {
        hook(request, remote)
        options.onRequest(request, remote, identity, transaction)
      },
    }
  }

  function hook(message: SipRequest | SipResponse, remote: SipRemote): void {
    if (logger?.recv === undefined) return
    try {
      logger.recv(message, remote)
    } catch (error) {
      options.onThrown('logger.recv', error, remote)
    }
  }

  return receive
}
