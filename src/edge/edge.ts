/**
 * The edge: a proxy between trunks and one upstream. What comes from a trunk is verified and stripped, what goes to a
 * trunk is signed.
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { KeyringSource } from '../keyring/keyring.ts'
import { parseMessage } from '../message/parse.ts'
import { buildResponse } from '../message/respond.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { parseVia } from '../message/via.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { refuseUnparsed } from '../pipeline/authenticate.ts'
import { matchRanges } from '../pipeline/source.ts'
import type { Decision } from '../pipeline/stage.ts'
import { openUdp, type UdpSocket } from '../transport/udp.ts'
import { createBranches, ownVia } from './branch.ts'
import type { EdgeConfig } from './config.ts'
import { addHeader, forwardRequest, forwardResponse, maxForwards, responseTarget } from './forward.ts'
import { createMessageCounter } from './message-counter.ts'
import { popOwnRoutes } from './route-set.ts'
import { createTrunk, createTrunkFinder, type Trunk } from './trunk.ts'

/** One thing that happened, for the log; no secret, no token, no message text. */
export interface EdgeEvent {
  readonly event: 'decided' | 'dropped' | 'socket-error' | 'sign-failed'
  readonly side: Side
  readonly source?: Endpoint
  readonly peer?: string
  readonly method?: string
  readonly verdict?: string
  readonly reason?: string
  readonly key?: string
  readonly callId?: string
}

/** Which socket: towards the peers, or towards the upstream. */
export type Side = 'trunk' | 'upstream'

/** What the edge runs with. */
export interface EdgeOptions {
  readonly config: EdgeConfig
  readonly keyring: KeyringSource
  readonly metrics: Metrics
  /** What an operator may want to know at once: socket errors, messages that could not be signed, drops. */
  readonly onEvent?: (event: EdgeEvent) => void
  /** Every decision; building the event costs, so it is apart. */
  readonly onDecision?: (event: EdgeEvent) => void
}

/** A running edge. */
export interface Edge {
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  close(): Promise<void>
}

/**
 * Starts the edge.
 * @throws the system's error where an address cannot be bound
 */
export async function createEdge(options: EdgeOptions): Promise<Edge> {
  const { config, metrics, onDecision } = options
  const emit = (event: EdgeEvent): void => options.onEvent?.(event)
  const secret = randomBytes(16).toString('hex')
  const branchOf = createBranches(secret)
  const trunks = config.trunks.map((trunk) => createTrunk(trunk, options.keyring, metrics))
  const byName = new Map(trunks.map((trunk) => [trunk.name, trunk]))
  const findTrunk = createTrunkFinder(trunks)

  const known = {
    trunk: matchRanges(config.trunks.flatMap((trunk) => trunk.sources)),
    upstream: matchRanges(config.upstream.sources),
  }
  const countIn = createMessageCounter(metrics, 'in')
  const countOut = createMessageCounter(metrics, 'out')

  const onError = (side: Side) => (error: Error) =>
    emit({ event: 'socket-error', side, reason: error.message })
  const open = (side: Side, onMessage: (bytes: Buffer, source: Endpoint) => void): Promise<UdpSocket> =>
    openUdp({
      ...config.listen[side],
      receiveBuffer: config.limits.receiveBuffer,
      onMessage,
      onError: onError(side),
    })

  const trunkSocket = await open('trunk', (bytes, source) => void receive('trunk', bytes, source))
  const upstreamSocket = await open(
    'upstream',
    (bytes, source) => void receive('upstream', bytes, source),
  ).catch(async (error: unknown) => {
    await trunkSocket.close()
    throw error
  })
  const sockets = { trunk: trunkSocket, upstream: upstreamSocket }
  const own = [trunkSocket.local, upstreamSocket.local]

  const drop = (side: Side, reason: string, source: Endpoint): void => {
    metrics.dropped.cell({ reason }).value++
    emit({ event: 'dropped', side, reason, source })
  }
  const send = (side: Side, bytes: Buffer, to: Endpoint, view: MessageView): void => {
    countOut(view)
    sockets[side].send(bytes, to)
  }
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
      const { respond: answer } = refuseUnparsed(bytes, from, parsed.reason)
      if (answer !== undefined && known[side](source)) sockets[side].send(answer, source)
      return
    }
    const view = viewOf(parsed.message)
    const context: MessageContext = { message: parsed.message, ...from }
    countIn(view)
    return side === 'trunk' ? fromTrunk(view, context) : fromUpstream(view, context)
  }

  // ── from a trunk: verify, strip, pass on ──

  function fromTrunk(view: MessageView, context: MessageContext): void | Promise<void> {
    const trunk = findTrunk(context.source, context.message)
    if (trunk === undefined) return drop('trunk', 'source-unknown', context.source)
    const decision = trunk.pipeline.decide(context)
    if (decision instanceof Promise) return decision.then((settled) => act(trunk, settled, view, context))
    act(trunk, decision, view, context)
  }

  function act(trunk: Trunk, decision: Decision, view: MessageView, context: MessageContext): void {
    trunk.count(decision, view)
    if (onDecision !== undefined) onDecision(decided(decision, trunk, view, context))
    if (decision.verdict !== 'accept') {
      if (decision.verdict !== 'drop') respond('trunk', view, context.source, decision.status)
      return
    }
    if (view.kind === 'response') return returnResponse('upstream', trunk, view, context)
    passRequest('upstream', trunk, view, context)
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
    if (trunk === undefined) return respond('upstream', view, context.source, 404)
    passRequest('trunk', trunk, view, context)
  }

  /** By the dialog's Record-Route, by the Request-URI, or the only one there is. */
  function routeToTrunk(view: MessageView): Trunk | undefined {
    const named = popOwnRoutes(view, own).trunk
    if (named !== undefined && byName.has(named)) return byName.get(named)
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
    return trunks.length === 1 ? trunks[0] : undefined
  }

  // ── both ways ──

  function passRequest(to: Side, trunk: Trunk, view: MessageView, context: MessageContext): void {
    const from: Side = to === 'trunk' ? 'upstream' : 'trunk'
    const row = view.layout.via
    const via = parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
    if (via === null) return drop(from, 'via-malformed', context.source)
    const left = maxForwards(view)
    if (left === 'malformed') return respond(from, view, context.source, 400)
    if (left === 0) return respond(from, view, context.source, 483)
    const bytes = forwardRequest(view, via, {
      source: context.source,
      back: sockets[from].local,
      out: sockets[to].local,
      branch: branchOf(view, via, trunk.name),
      trunk: trunk.name,
      routes: popOwnRoutes(view, own),
      remove: trunk.remove,
    })
    const target = to === 'trunk' ? trunk.config.target : config.upstream.target
    const signed = to === 'trunk' ? sign(trunk, bytes, context) : bytes
    if (signed === undefined) return respond(from, view, context.source, 500)
    send(to, signed, target, view)
  }

  function returnResponse(to: Side, trunk: Trunk, view: MessageView, context: MessageContext): void {
    const from: Side = to === 'trunk' ? 'upstream' : 'trunk'
    const own = ownVia(view, sockets[from].local)
    if (own === undefined) return drop(from, 'via-not-ours', context.source)
    const target = responseTarget(view, own.via)
    if (target === undefined) return drop(from, 'via-malformed', context.source)
    // A response only ever goes back to where its request came from: one of that side's own addresses.
    if (!known[to](target)) return drop(from, 'target-unknown', context.source)
    const bytes = forwardResponse(view, own.via, trunk.remove)
    const signed = to === 'trunk' ? sign(trunk, bytes, context) : bytes
    if (signed === undefined) return
    send(to, signed, target, view)
  }

  /** The bytes with the trunk's token; as they are where the direction carries none; undefined where signing failed. */
  function sign(trunk: Trunk, bytes: Buffer, context: MessageContext): Buffer | undefined {
    const parsed = parseMessage(bytes)
    if (!parsed.ok) return undefined
    const { message } = parsed
    const result = trunk.sign({ ...context, message, local: sockets.trunk.local })
    if (result.ok) return addHeader(viewOf(message), result.header, result.token)
    if (result.reason === 'direction-unsigned') return bytes
    emit({ event: 'sign-failed', side: 'trunk', peer: trunk.name, reason: result.reason })
    return undefined
  }

  return {
    sockets,
    close: async () => {
      await Promise.all([sockets.trunk.close(), sockets.upstream.close()])
    },
  }
}

function decided(decision: Decision, trunk: Trunk, view: MessageView, context: MessageContext): EdgeEvent {
  const { callId } = view.layout
  return {
    event: 'decided',
    side: 'trunk',
    source: context.source,
    peer: trunk.name,
    method: view.method,
    verdict: decision.verdict,
    callId: view.text(view.valueStart(callId), view.valueEnd(callId)),
    ...('reason' in decision && { reason: decision.reason }),
    ...(decision.verdict === 'accept' &&
      decision.identity.kind === 'peer' && { key: decision.identity.key.name }),
  }
}
