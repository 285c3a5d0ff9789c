/**
 * What happens to a message: from a trunk it is verified before it is passed on, from the upstream its source must be
 * known; responses go back by Via.
 * @module
 */
import { parseMessage } from '../message/parse.ts'
import { buildResponse, isAckOf } from '../message/respond.ts'
import type { Endpoint, MessageContext, ParseFailure } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { isAnswerable, refuseUnparsed } from '../pipeline/authenticate.ts'
import { matchRanges } from '../pipeline/source.ts'
import type { Decision } from '../pipeline/stage.ts'
import { createLimiter } from '../transport/limiter.ts'
import type { UdpSocket } from '../transport/udp.ts'
import { NAME_LENGTH, createBranches, ownVia, type OwnVia } from './branch.ts'
import type { EdgeConfig } from './config.ts'
import { decided, type EdgeEvent, type Side } from './event.ts'
import { inDialog, topVia } from './facts.ts'
import { viaBelow } from './forward.ts'
import { createMessageCounter, dropCounters, parseErrorCounters, type DropReason } from './message-counter.ts'
import type { Path } from './path.ts'
import { createRefusalSampler } from './refusal-sampler.ts'
import { createRelay } from './relay.ts'
import { readRoutes, withoutRoutes } from './route-set.ts'
import { createRouting } from './routing.ts'
import { createTrunkFinder, type Trunk } from './trunk.ts'
import type { EdgeUsers, UserFlow } from './users.ts'

/** What traffic needs. */
export interface TrafficOptions {
  readonly config: EdgeConfig
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  readonly trunks: readonly Trunk[]
  /** Phones, where they are configured. */
  readonly users: EdgeUsers | undefined
  readonly metrics: Metrics
  /** Keys branches and To tags of this node. */
  readonly secret: string
  /** Milliseconds of a clock that never steps. */
  readonly now: () => number
  readonly emit: (event: EdgeEvent) => void
  readonly onDecision: ((event: EdgeEvent) => void) | undefined
}

/** The traffic of a running edge. */
export interface Traffic {
  /** Takes one datagram. Never throws because of it. */
  receive(side: Side, bytes: Buffer, source: Endpoint): void | Promise<void>
  /** From now on requests outside a dialog are answered 503. */
  drain(): void
  /** What still waits for a decision is forgotten. */
  close(): void
}

/** Wires trunks and sockets. */
export function createTraffic(options: TrafficOptions): Traffic {
  const { config, sockets, trunks, metrics, secret, now, emit, onDecision } = options
  const locals = { trunk: sockets.trunk.local, upstream: sockets.upstream.local }
  const own = [locals.trunk, locals.upstream]
  const branches = createBranches(Buffer.from(secret, 'latin1'))
  const routing = createRouting(config, trunks, locals)
  const findTrunks = createTrunkFinder(trunks)
  const known = {
    trunk: matchRanges(config.trunks.flatMap((trunk) => trunk.sources)),
    upstream: matchRanges(config.upstream.sources),
  }
  const countIn = createMessageCounter(metrics, 'in')
  const drops = dropCounters(metrics)
  const parseErrors = parseErrorCounters(metrics)
  const sampleRefusal = createRefusalSampler(emit, now)
  const mayRefuse = createLimiter(config.limits.refusalsPerSecond)
  const suppressed = {
    trunk: metrics.suppressed.cell({ side: 'trunk' }),
    upstream: metrics.suppressed.cell({ side: 'upstream' }),
  }

  const drop = (side: Side, reason: DropReason, source: Endpoint): void => {
    drops[reason].value++
    emit({ event: 'dropped', side, reason, source })
  }
  /** Answers whoever it is; of what one source provokes only so much, since the address may be somebody else's. */
  const refuse = (side: Side, source: Endpoint, answer: () => Buffer | undefined): void => {
    if (!mayRefuse(source.address, now())) {
      suppressed[side].value++
      return
    }
    const bytes = answer()
    if (bytes !== undefined) sockets[side].send(bytes, source)
  }
  /** Answers the upstream, or whoever's request was accepted; a stranger's may have been, so others than trunks are limited. */
  const respond = (side: Side, view: MessageView, source: Endpoint, status: number): void => {
    if (view.kind === 'response' || view.method === 'ACK') return
    const headers = status === 420 ? unsupported(view) : []
    const answer = (): Buffer => buildResponse(view, source, { status, headers, tagSecret: secret })
    if (side === 'trunk' && !known.trunk(source)) return refuse(side, source, answer)
    sockets[side].send(answer(), source)
  }
  /** Nothing that comes from our own sockets, or would go there, is anybody's. */
  const isOurs = ({ address, port }: Endpoint): boolean =>
    (port === locals.trunk.port && address === locals.trunk.address) ||
    (port === locals.upstream.port && address === locals.upstream.address)
  const countOut = createMessageCounter(metrics, 'out')
  const relay = createRelay({
    sockets,
    branches,
    countOut,
    isUpstream: known.upstream,
    isOurs,
    now,
    emit,
    drop,
    respond,
  })
  const users: UserFlow | undefined = options.users?.open({
    sockets,
    branches,
    relay,
    secret,
    countOut,
    isTrunk: known.trunk,
    isUpstream: known.upstream,
    isOurs,
    drop,
    refuse,
    respond,
  })

  function receive(side: Side, bytes: Buffer, source: Endpoint): void | Promise<void> {
    if (isOurs(source)) return drop(side, 'source-unknown', source)
    const parsed = parseMessage(bytes)
    if (!parsed.ok) return unparsed(side, bytes, source, parsed.reason)
    const { message } = parsed
    const view = viewOf(message)
    countIn(view)
    // The ACK of a refusal of our own ends here (RFC 3261 §8.2.7).
    if (view.kind === 'request' && view.method === 'ACK' && isAckOf(view, secret)) return
    const context: MessageContext = { message, transport: 'udp', source, local: locals[side] }
    return side === 'trunk' ? fromTrunk(view, context) : fromUpstream(view, context)
  }

  function unparsed(side: Side, bytes: Buffer, source: Endpoint, reason: ParseFailure): void {
    // Keep-alives (RFC 5626 §3.5.1) are no message and no fault.
    if (reason === 'empty') return
    parseErrors[reason].value++
    if (!isAnswerable(reason) || !known[side](source)) return
    const from = { transport: 'udp', source, local: locals[side] } as const
    refuse(side, source, () => refuseUnparsed(bytes, from, reason, secret).respond)
  }

  function fromTrunk(view: MessageView, context: MessageContext): void | Promise<void> {
    const claims = findTrunks(context.source, context.message)
    const answer = view.kind === 'response' ? answered('trunk', view) : undefined
    // Of several trunks on one address, the one whose answer it is.
    const isAsked =
      claims.length > 1 &&
      answer?.path.to !== undefined &&
      claims.includes(answer.path.to) &&
      isMade(answer, view)
    const trunk = isAsked ? answer.path.to : claims[0]
    if (trunk === undefined) {
      return users === undefined
        ? drop('trunk', 'source-unknown', context.source)
        : users.fromUser(view, context)
    }
    // Without a token nothing tells trunks on one address apart: the INVITE does.
    for (const claim of claims) {
      const mayMatch = claim.invites.size > 0 && claim.mayMatch(view)
      const path = mayMatch ? matchedPath(claim, view, context.source) : undefined
      // Where it goes is settled: whatever route it asks for, it gets its INVITE's.
      if (path !== undefined) return relay.request(path, view, context, withoutRoutes(view))
    }
    const decision = trunk.pipeline.decide(context)
    if (!(decision instanceof Promise)) return act(trunk, decision, view, context, answer)
    return decision
      .then((settled) => act(trunk, settled, view, context, answer))
      .catch((error: unknown) => emit({ event: 'socket-error', side: 'trunk', reason: String(error) }))
  }

  /** By which way an INVITE went that a CANCEL or ACK without a token belongs to. */
  function matchedPath(trunk: Trunk, view: MessageView, source: Endpoint): Path | undefined {
    const via = topVia(view)
    if (via === null) return undefined
    branches.write(view, via, trunk.name, transaction, 0)
    const path = trunk.invites.match(transaction.toString('latin1'), view, source, now())
    if (path !== undefined) trunk.countSkipped()
    return path
  }
  const transaction = Buffer.alloc(NAME_LENGTH)

  /** Whether we made the branch of a response's top Via, for the Via below it. */
  function isMade({ own: top }: Answer, view: MessageView): boolean {
    const below = viaBelow(view, { via: top.via, row: view.layout.via })
    return below !== undefined && branches.isOwn(view, top, below.via)
  }

  function answered(side: Side, view: MessageView): Answer | undefined {
    const top = ownVia(view, locals[side])
    const path = top && routing.answered(side, top.name)
    return top && path && { own: top, path }
  }

  function act(
    trunk: Trunk,
    decision: Decision,
    view: MessageView,
    context: MessageContext,
    answer: Answer | undefined,
  ): void {
    trunk.count(decision, view)
    if (onDecision !== undefined) onDecision(decided(decision, trunk.name, view, context))
    const { source } = context
    if (decision.verdict !== 'accept') {
      if (onDecision === undefined) sampleRefusal(decision, trunk.name, view, context)
      if (decision.verdict === 'drop') return
      const headers = decision.verdict === 'challenge' ? decision.headers : []
      const { status } = decision
      return refuse('trunk', source, () =>
        buildResponse(view, source, { status, headers, tagSecret: secret }),
      )
    }
    if (view.kind === 'response') {
      // A trunk answers what it was asked, not what another was.
      if (answer === undefined || answer.path.to !== trunk) return drop('trunk', 'via-not-ours', source)
      return relay.response(answer.path, answer.own, view, context)
    }
    const routes = readRoutes(view, own, 'trunk')
    if (routes === 'malformed') return respond('trunk', view, source, 400)
    relay.request(routing.fromTrunk(trunk, view, routes.mark), view, context, routes)
  }

  function fromUpstream(view: MessageView, context: MessageContext): void {
    const { source } = context
    if (!known.upstream(source)) return drop('upstream', 'source-unknown', source)
    if (view.kind === 'response') {
      const answer = answered('upstream', view)
      if (answer !== undefined) return relay.response(answer.path, answer.own, view, context)
      if (users?.toUser(view, context) !== true) drop('upstream', 'via-not-ours', source)
      return
    }
    const routes = readRoutes(view, own, 'upstream')
    if (routes === 'malformed') return respond('upstream', view, source, 400)
    if (users !== undefined && routes.flow !== undefined) return users.fromUpstream(view, context, routes)
    const path = routing.fromUpstream(view, routes.mark)
    if (path === undefined) return respond('upstream', view, source, inDialog(view) ? 481 : 404)
    relay.request(path, view, context, routes)
  }

  return {
    receive,
    drain() {
      relay.drain()
      users?.drain()
    },
    close: () => users?.close(),
  }
}

/** RFC 3261 §20.40: what of Proxy-Require we do not know, which is all of it. */
function unsupported(view: MessageView): readonly (readonly [string, string])[] {
  const options = view.headers('Proxy-Require').map((value) => value.replace(/\s+/g, ' ').trim())
  return [['Unsupported', options.join(', ')]]
}

/** A response to what we sent: our Via on it, and the way that the request went by. */
interface Answer {
  readonly own: OwnVia
  readonly path: Path
}
