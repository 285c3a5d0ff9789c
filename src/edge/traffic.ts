/**
 * What happens to a message: from a trunk it is verified, stripped and passed to the upstream; from the upstream it is
 * signed and passed to a trunk; responses go back by Via.
 * @module
 */
import { parseMessage } from '../message/parse.ts'
import { buildResponse, isAckOf } from '../message/respond.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { refuseUnparsed } from '../pipeline/authenticate.ts'
import { matchRanges } from '../pipeline/source.ts'
import type { Decision } from '../pipeline/stage.ts'
import type { UdpSocket } from '../transport/udp.ts'
import { createBranches, ownVia } from './branch.ts'
import type { EdgeConfig } from './config.ts'
import { decided, type EdgeEvent, type Side } from './event.ts'
import { callIdOf, inDialog, startsWork, topVia } from './facts.ts'
import {
  addHeader,
  forwardRequest,
  forwardResponse,
  maxForwards,
  nextVia,
  responseTarget,
} from './forward.ts'
import { createLimiter } from './limiter.ts'
import { createMessageCounter, dropCounters, type DropReason } from './message-counter.ts'
import { createsDialog, hostPort, popOwnRoutes, recordRoute } from './route-set.ts'
import { createTrunkFinder, type Trunk } from './trunk.ts'

/** What traffic needs. */
export interface TrafficOptions {
  readonly config: EdgeConfig
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  readonly trunks: readonly Trunk[]
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
}

/** Wires trunks and sockets. */
export function createTraffic(options: TrafficOptions): Traffic {
  const { config, sockets, trunks, metrics, secret, now, emit, onDecision } = options
  const branchOf = createBranches(secret)
  const byName = new Map(trunks.map((trunk) => [trunk.name, trunk]))
  const findTrunks = createTrunkFinder(trunks)
  const known = {
    trunk: matchRanges(config.trunks.flatMap((trunk) => trunk.sources)),
    upstream: matchRanges(config.upstream.sources),
  }
  const countIn = createMessageCounter(metrics, 'in')
  const countOut = createMessageCounter(metrics, 'out')
  const drops = dropCounters(metrics)
  const mayRefuse = createLimiter(config.limits.refusalsPerSecond)
  const suppressed = {
    trunk: metrics.suppressed.cell({ side: 'trunk' }),
    upstream: metrics.suppressed.cell({ side: 'upstream' }),
  }
  const own = [sockets.trunk.local, sockets.upstream.local]
  const viaStart = {
    trunk: `Via: SIP/2.0/UDP ${hostPort(sockets.trunk.local)};branch=`,
    upstream: `Via: SIP/2.0/UDP ${hostPort(sockets.upstream.local)};branch=`,
  }
  let draining = false

  const drop = (side: Side, reason: DropReason, source: Endpoint): void => {
    drops[reason].value++
    emit({ event: 'dropped', side, reason, source })
  }
  const send = (side: Side, bytes: Buffer, to: Endpoint, view: MessageView): void => {
    countOut(view)
    sockets[side].send(bytes, to)
  }
  /** Answers whoever it is; of what one source provokes only so much, since the address may be somebody else's. */
  const refuse = (side: Side, bytes: Buffer, source: Endpoint): void => {
    if (mayRefuse(source.address, now())) sockets[side].send(bytes, source)
    else suppressed[side].value++
  }
  /** Answers whom we know: the upstream, or a peer whose request was accepted. */
  const respond = (side: Side, view: MessageView, source: Endpoint, status: number): void => {
    if (view.kind === 'response' || view.method === 'ACK') return
    sockets[side].send(buildResponse(view, source, { status, tagSecret: secret }), source)
  }

  function receive(side: Side, bytes: Buffer, source: Endpoint): void | Promise<void> {
    const from = { transport: 'udp', source, local: sockets[side].local } as const
    const parsed = parseMessage(bytes)
    if (!parsed.ok) {
      // Keep-alives (RFC 5626 §3.5.1) are no message and no fault.
      if (parsed.reason === 'empty') return
      metrics.parseErrors.cell({ kind: parsed.reason }).value++
      const { respond: refusal } = refuseUnparsed(bytes, from, parsed.reason)
      if (refusal !== undefined && known[side](source)) refuse(side, refusal, source)
      return
    }
    const view = viewOf(parsed.message)
    countIn(view)
    // The ACK of a refusal of our own ends here (RFC 3261 §8.2.7).
    if (view.method === 'ACK' && view.kind === 'request' && isAckOf(view, secret)) return
    const context: MessageContext = { message: parsed.message, ...from }
    return side === 'trunk' ? fromTrunk(view, context) : fromUpstream(view, context)
  }

  // ── from a trunk: verify, strip, pass on ──

  function fromTrunk(view: MessageView, context: MessageContext): void | Promise<void> {
    const claims = findTrunks(context.source, context.message)
    const trunk = askedTrunk(view, context.source) ?? claims[0]
    if (trunk === undefined) return drop('trunk', 'source-unknown', context.source)
    // Without a token nothing tells trunks on one address apart: the INVITE does.
    for (const claim of claims) {
      const target = claim.mayMatch(view) ? matchedTarget(claim, view, context.source) : undefined
      if (target !== undefined) return passRequest('upstream', claim, view, context, target, ['Route'])
    }
    const decision = trunk.pipeline.decide(context)
    if (!(decision instanceof Promise)) return act(trunk, decision, view, context)
    return decision
      .then((settled) => act(trunk, settled, view, context))
      .catch((error: unknown) => emit({ event: 'socket-error', side: 'trunk', reason: String(error) }))
  }

  /** Where the INVITE went that a CANCEL or ACK without a token belongs to. */
  function matchedTarget(trunk: Trunk, view: MessageView, source: Endpoint): Endpoint | undefined {
    const via = topVia(view)
    if (via === null || via.branchStart < 0) return undefined
    const target = trunk.invites.match(branchOf(view, via, trunk.name), view, source, now())
    if (target !== undefined) trunk.countSkipped()
    return target
  }

  /** Of several trunks on one address, the one that a response answers: our branch names it, under a keyed hash. */
  function askedTrunk(view: MessageView, source: Endpoint): Trunk | undefined {
    if (trunks.length < 2 || view.kind === 'request') return undefined
    const own = ownVia(view, sockets.trunk.local)
    const next = own && nextVia(view, own.via)
    if (own === undefined || !next || next.branchStart < 0) return undefined
    const trunk = byName.get(own.trunk)
    if (trunk === undefined || !trunk.hasSource(source)) return undefined
    const branch = view.text(own.via.branchStart, own.via.branchEnd)
    return branchOf(view, next, own.trunk) === branch ? trunk : undefined
  }

  function act(trunk: Trunk, decision: Decision, view: MessageView, context: MessageContext): void {
    trunk.count(decision, view)
    if (onDecision !== undefined) onDecision(decided(decision, trunk.name, view, context))
    if (decision.verdict !== 'accept') {
      if (decision.verdict === 'drop') return
      const init = { status: decision.status, tagSecret: secret }
      return refuse('trunk', buildResponse(view, context.source, init), context.source)
    }
    if (view.kind === 'response') return returnResponse('upstream', trunk, view, context)
    passRequest('upstream', trunk, view, context, config.upstream.target)
  }

  // ── from the upstream: sign, pass on ──

  function fromUpstream(view: MessageView, context: MessageContext): void {
    if (!known.upstream(context.source)) return drop('upstream', 'source-unknown', context.source)
    if (view.kind === 'response') {
      const name = ownVia(view, sockets.upstream.local)?.trunk
      const trunk = name === undefined ? undefined : byName.get(name)
      if (trunk === undefined) return drop('upstream', 'via-not-ours', context.source)
      return returnResponse('trunk', trunk, view, context)
    }
    const trunk = routeToTrunk(view)
    if (trunk === undefined) return respond('upstream', view, context.source, inDialog(view) ? 481 : 404)
    passRequest('trunk', trunk, view, context, trunk.config.target)
  }

  /**
   * The only one there is; or, in a dialog, the one whose mark its Record-Route bears, and otherwise the one that the
   * Request-URI names. In a dialog the Request-URI is the peer's own choice, and must not lead to another trunk.
   */
  function routeToTrunk(view: MessageView): Trunk | undefined {
    if (trunks.length === 1) return trunks[0]
    const { mark } = popOwnRoutes(view, own)
    if (mark !== undefined) {
      const callId = callIdOf(view)
      const trunk = byName.get(mark.split('.')[0] ?? '')
      if (trunk?.isRouteMark(mark, callId) === true) return trunk
    }
    if (inDialog(view)) return undefined
    const uri = view.uri
    if (uri !== null) {
      const host = view.text(uri.hostStart, uri.hostEnd).toLowerCase()
      const port = uri.port === 0 ? 5060 : uri.port
      const match = trunks.find(
        ({ config: { domains, target } }) =>
          domains.some((domain) => domain.toLowerCase() === host) ||
          (target.address === host && target.port === port),
      )
      if (match !== undefined) return match
    }
    return undefined
  }

  // ── both ways ──

  function passRequest(
    to: Side,
    trunk: Trunk,
    view: MessageView,
    context: MessageContext,
    target: Endpoint,
    remove: readonly string[] = [],
  ): void {
    const from: Side = to === 'trunk' ? 'upstream' : 'trunk'
    const via = topVia(view)
    if (via === null) return drop(from, 'via-malformed', context.source)
    const hops = maxForwards(view)
    if (hops === 'malformed') return respond(from, view, context.source, 400)
    if (hops === 0) return respond(from, view, context.source, 483)
    if (draining && startsWork(view)) return respond(from, view, context.source, 503)
    const { method } = view
    const back = sockets[from].local
    const routes = createsDialog(method)
      ? recordRoute(sockets[to].local, back, trunk.routeMark(callIdOf(view)))
      : ''
    const branch = branchOf(view, via, trunk.name)
    const bytes = forwardRequest(view, via, {
      source: context.source,
      lines: `${viaStart[to]}${branch}\r\n${routes}`,
      hops,
      // Where all Route headers go, none is left to be cut.
      routes: remove.includes('Route') ? { cuts: [], mark: undefined } : popOwnRoutes(view, own),
      remove: remove.length === 0 ? trunk.remove : [...trunk.remove, ...remove],
    })
    const signed = to === 'trunk' ? sign(trunk, bytes, context) : bytes
    if (signed === undefined) return respond(from, view, context.source, 500)
    if (to === 'upstream' && method === 'INVITE') trunk.remember(branch, view, context.source, target, now())
    send(to, signed, target, view)
  }

  function returnResponse(to: Side, trunk: Trunk, view: MessageView, context: MessageContext): void {
    const from: Side = to === 'trunk' ? 'upstream' : 'trunk'
    const own = ownVia(view, sockets[from].local)
    // A trunk answers its own transactions, not those of another.
    if (own === undefined || own.trunk !== trunk.name) return drop(from, 'via-not-ours', context.source)
    const target = responseTarget(view, own.via)
    if (target === undefined) return drop(from, 'via-malformed', context.source)
    // A response only ever goes back to where its request came from: one of that side's own addresses.
    const mine = to === 'trunk' ? trunk.hasSource(target) : known.upstream(target)
    if (!mine) return drop(from, 'target-unknown', context.source)
    if (to === 'trunk' && view.method === 'INVITE') {
      const branch = view.text(own.via.branchStart, own.via.branchEnd)
      trunk.invites.note(branch, view.layout.status, now())
    }
    const bytes = forwardResponse(view, own.via, trunk.remove)
    const signed = to === 'trunk' ? sign(trunk, bytes, context) : bytes
    if (signed === undefined) return
    send(to, signed, target, view)
  }

  /** The bytes with the trunk's token; as they are where the direction carries none; undefined where signing failed. */
  function sign(trunk: Trunk, bytes: Buffer, context: MessageContext): Buffer | undefined {
    const parsed = parseMessage(bytes)
    if (!parsed.ok) {
      emit({ event: 'sign-failed', side: 'trunk', peer: trunk.name, reason: parsed.reason })
      return undefined
    }
    const { message } = parsed
    const result = trunk.sign({ ...context, message, local: sockets.trunk.local })
    if (result.ok) return addHeader(viewOf(message), result.header, result.token)
    if (result.reason === 'direction-unsigned') return bytes
    // 100 and the responses to a CANCEL pass without a token; a template may ask for the To tag that a 100 has not got.
    if (message.status === 100 || (message.kind === 'response' && message.method === 'CANCEL')) return bytes
    emit({ event: 'sign-failed', side: 'trunk', peer: trunk.name, reason: result.reason })
    return undefined
  }

  return {
    receive,
    drain: () => {
      draining = true
    },
  }
}
