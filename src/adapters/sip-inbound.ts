/**
 * The way in: bytes are parsed strictly, the pipeline decides, and what it accepts becomes an object for a transaction of
 * the package's and the app's handler. Nothing else does.
 * @module
 */
import { parseMessage } from '../message/parse.ts'
import { buildResponse, isAckOf } from '../message/respond.ts'
import type { Endpoint, MessageContext, ParseFailure } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import { refuseUnparsed, responseOf } from '../pipeline/authenticate.ts'
import type { Decision, Identity, Pipeline } from '../pipeline/stage.ts'
import type { Limiter } from '../transport/limiter.ts'
import { belongs, mayBelong, strip, type Arrived, type Invites } from './sip-invites.ts'
import { toSipMessage } from './sip-message.ts'
import type { SipDecided, SipLimits } from './sip-options.ts'
import {
  transactionId,
  type ServerConnection,
  type ServerTransaction,
  type Transactions,
} from './sip-transactions.ts'
import type { SipLogger, SipRemote, SipRequest, SipResponse } from './sip-types.ts'
import { createWaiting } from './sip-waiting.ts'

/** Where bytes came from, and the way back. */
export interface Arrival {
  readonly from: Omit<MessageContext, 'message'>
  /** Bytes of ours to the source. */
  readonly answer: (bytes: Buffer) => void
  /** For a transaction. @param sign whether its responses are signed */
  readonly reply: (sign: boolean) => ServerConnection
  /** The stream cannot be trusted any more. */
  readonly close: () => void
}

/** What the way in needs. */
export interface InboundOptions {
  readonly pipeline: Pipeline
  readonly transactions: Transactions
  /** Undefined where nothing passes without a token. */
  readonly invites: Invites | undefined
  readonly limits: SipLimits
  readonly mayRefuse: Limiter
  /** Keys the To tags of our refusals, by which their ACKs are known. */
  readonly secret: string
  readonly now: () => number
  /** Whether the stack was destroyed: then nothing reaches the app any more. */
  readonly closed: () => boolean
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

/** The way in. */
export interface Inbound {
  /** Takes one message, whole. Never throws because of it. */
  receive(bytes: Buffer, arrival: Arrival): void
  /** Refuses what a stage has not decided in time. */
  sweep(now: number): void
}

const ADAPTER = 'adapter'

/** Faults by which the end of a message is a matter of opinion, and so is where the next one begins. */
const FRAMING: ReadonlySet<ParseFailure> = new Set([
  'bare-cr',
  'bare-lf',
  'nul',
  'headers-unterminated',
  'content-length-malformed',
  'content-length-exceeds',
])

/** Whether the first line is a start line at least at its ends; else nobody knows where in a stream this is. */
function beginsAsSip(bytes: Buffer): boolean {
  const end = bytes.indexOf('\r\n')
  const isBlank = bytes[0] === 32 || bytes[0] === 9
  const holds = (at: number): boolean =>
    bytes
      .subarray(at, at + 7)
      .toString('latin1')
      .toUpperCase() === 'SIP/2.0'
  return !isBlank && end >= 7 && (holds(0) || holds(end - 7))
}

/** What is done with an accepted message, or why it is not. */
type Act = { readonly run: () => void; readonly accepted: Accepted } | { readonly refused: Decision }

type Accepted = Extract<Decision, { verdict: 'accept' }>

const rejected = (view: MessageView, status: number, reason: string): Decision =>
  view.kind === 'response' || view.method === 'ACK'
    ? { verdict: 'drop', reason, stage: ADAPTER }
    : { verdict: 'reject', status, reason, stage: ADAPTER }

/** Creates the way in. */
export function createInbound(options: InboundOptions): Inbound {
  const { pipeline, transactions, invites, limits, mayRefuse, secret, now, logger, onDecision } = options
  const waiting = createWaiting(limits.decisions)

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
      if (FRAMING.has(parsed.reason) || !beginsAsSip(bytes)) arrival.close()
      return
    }
    const view = viewOf(parsed.message)
    if (view.kind === 'request' && view.method === 'ACK' && isAckOf(view, secret)) return
    const context: Arrived = { message: view, ...from }
    const decision = pipeline.decide(context)
    if (decision instanceof Promise) wait(decision, context, arrival)
    else judged(decision, context, arrival)
  }

  function wait(decision: Promise<Decision>, context: Arrived, arrival: Arrival): void {
    const { message: view, source } = context
    const thrown = (error: unknown): void => options.onThrown('adapter', error, source)
    const settle = (settled: Decision): void => {
      if (!options.closed()) judged(settled, context, arrival)
    }
    const leave = waiting.enter(source.address, now(), () => {
      try {
        settle(rejected(view, 503, 'decided-too-late'))
      } catch (error) {
        thrown(error)
      }
    })
    if (leave === undefined) {
      decision.catch(thrown)
      return onDecision({
        decision: { verdict: 'drop', reason: 'too-many-waiting', stage: ADAPTER },
        ...context,
      })
    }
    const heard = (settled: Decision): void => {
      if (leave()) settle(settled)
    }
    decision.then(heard).catch((error: unknown) => {
      leave()
      thrown(error)
    })
  }

  function judged(decision: Decision, context: Arrived, arrival: Arrival): void {
    const { message: view, source, local } = context
    const protocol = context.transport === 'udp' ? 'UDP' : 'TCP'
    const remote: SipRemote = { protocol, ...source, local: { ...local } }
    const act = actOn(decision, context, remote, arrival)
    if ('run' in act) {
      onDecision({ decision: act.accepted, ...context })
      return act.run()
    }
    const { refused } = act
    onDecision({ decision: refused, ...context })
    if (refused.verdict !== 'challenge' && refused.verdict !== 'reject') return
    refuse(arrival, buildResponse(view, source, { ...responseOf(refused), tagSecret: secret }))
  }

  function actOn(decision: Decision, context: Arrived, remote: SipRemote, arrival: Arrival): Act {
    const { message: view } = context
    const invite = mayBelong(decision, view) ? invites?.match(context, now()) : undefined
    // A CANCEL or ACK without a token is accepted where its INVITE was, as that one's.
    const accepted: Decision =
      invite === undefined
        ? decision
        : { verdict: 'accept', identity: invite.identity, remove: [], stage: ADAPTER }
    if (accepted.verdict !== 'accept') return { refused: decision }
    const remove = new Set(accepted.remove.map((name) => name.toLowerCase()))
    const made = toSipMessage(view, remote, remove, accepted.edit)
    if (!made.ok) return { refused: rejected(view, 400, made.reason) }
    const { message } = made
    if (message.method === undefined) return respond(message, accepted, context, remote)
    if (invite !== undefined) {
      if (!belongs(message, invite)) return { refused: decision }
      strip(message.headers)
    }
    return take(message, accepted, context, remote, arrival, invite !== undefined)
  }

  function respond(response: SipResponse, accepted: Accepted, { source }: Arrived, remote: SipRemote): Act {
    const transaction = transactions.client(response)
    const reason = transaction?.refuses(response, source)
    if (reason !== undefined) return { refused: { verdict: 'drop', reason, stage: ADAPTER } }
    return {
      accepted,
      run() {
        hook(response, remote)
        transaction?.message(response, remote, accepted.identity)
      },
    }
  }

  /** @param vouched whether it is the INVITE's identity, and no token of its own, that lets the request pass */
  function take(
    request: SipRequest,
    accepted: Accepted,
    context: Arrived,
    remote: SipRemote,
    arrival: Arrival,
    vouched: boolean,
  ): Act {
    const { message: view } = context
    const { identity } = accepted
    const id = transactionId(request, request.method === 'ACK' ? 'INVITE' : request.method)
    if (id === undefined) return { refused: rejected(view, 400, 'via-malformed') }
    const known = transactions.server(id)
    const act = (run: () => void): Act => ({
      accepted,
      run() {
        hook(request, remote)
        run()
      },
    })
    if (known !== undefined) {
      // The sent-by is the sender's own word: nobody else may have somebody's responses sent once more, or end them.
      if (!known.isOf(remote, identity)) return { refused: rejected(view, 482, 'transaction-taken') }
      return act(() => known.message(request))
    }
    if (request.method === 'ACK') {
      // Of a failure whose transaction is over: there is nothing left that it could end.
      return act(() => {
        if (!vouched) options.onRequest(request, remote, identity, undefined)
      })
    }
    const connection = arrival.reply(!vouched)
    const transaction = transactions.openServer(id, request, connection, { source: remote, identity }, now())
    if (transaction === undefined) {
      connection.release()
      return { refused: rejected(view, 503, 'transactions-full') }
    }
    if (request.method === 'INVITE') transaction.invite = invites?.remember(request, context, identity, now())
    return act(() => options.onRequest(request, remote, identity, transaction))
  }

  function hook(message: SipRequest | SipResponse, remote: SipRemote): void {
    if (logger?.recv === undefined) return
    try {
      logger.recv(message, remote)
    } catch (error) {
      options.onThrown('logger.recv', error, remote)
    }
  }

  return { receive, sweep: (time) => waiting.sweep(time) }
}
