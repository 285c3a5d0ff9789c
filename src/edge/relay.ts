/**
 * Passing messages on: a request by its way, a response back along it.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { parseMessage } from '../message/parse.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import type { Via } from '../message/via.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { UdpSocket } from '../transport/udp.ts'
import { NAME_LENGTH, nameOf, type Branches, type OwnVia } from './branch.ts'
import type { EdgeEvent, Side } from './event.ts'
import { startsWork, topVia } from './facts.ts'
import {
  addHeader,
  forwardRequest,
  forwardResponse,
  maxForwards,
  responseTarget,
  viaBelow,
} from './forward.ts'
import { LOOP_LENGTH, isLoop, writeLoopMark } from './loop.ts'
import type { DropReason, MessageCounter } from './message-counter.ts'
import type { Path } from './path.ts'
import { createsDialog, type RouteSet } from './route-set.ts'
import type { Trunk } from './trunk.ts'

const VIA = headerSelector('Via')
const PROXY_REQUIRE = headerSelector('Proxy-Require')

/** What passing on needs. */
export interface RelayOptions {
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  readonly branches: Branches
  readonly countOut: MessageCounter
  /** Whether an address is one of the upstream's, or one of our own sockets. */
  readonly isUpstream: (address: Endpoint) => boolean
  readonly isOurs: (address: Endpoint) => boolean
  readonly now: () => number
  readonly emit: (event: EdgeEvent) => void
  /** Notes a message that ends here without an answer. */
  readonly drop: (side: Side, reason: DropReason, source: Endpoint) => void
  /** Answers whom we know. */
  readonly respond: (side: Side, view: MessageView, source: Endpoint, status: number) => void
}

/** Passes messages on. */
export interface Relay {
  request(path: Path, view: MessageView, context: MessageContext, routes: RouteSet): void
  /** `own`: its top Via, which is ours. */
  response(path: Path, own: OwnVia, view: MessageView, context: MessageContext): void
  /** From now on requests outside a dialog are answered 503. */
  drain(): void
}

/** Wires the sockets. */
export function createRelay(options: RelayOptions): Relay {
  const { sockets, branches, countOut, isUpstream, isOurs, now, emit, drop, respond } = options
  let draining = false

  const key = Buffer.alloc(NAME_LENGTH)

  function request(path: Path, view: MessageView, context: MessageContext, routes: RouteSet): void {
    const { source } = context
    const refuse = (status: number): void => respond(path.arrives, view, source, status)
    const via = topVia(view)
    if (via === null) return drop(path.arrives, 'via-malformed', source)
    const hops = maxForwards(view)
    if (hops === 'malformed') return refuse(400)
    if (hops === 0) return refuse(483)
    const { method } = view
    const dialog = createsDialog(method)
    const lines = dialog ? path.dialog : path.via
    writeLoopMark(view, lines, path.loopAt)
    if (isLoopBy(path, view, via, lines)) return refuse(482)
    // We know no extension that a proxy would have to (RFC 3261 §16.3 item 5).
    if (method !== 'ACK' && view.find(PROXY_REQUIRE, 0) >= 0) return refuse(420)
    if (draining && startsWork(view)) return refuse(503)
    if (dialog) path.mark(view)
    branches.write(view, via, path.name, lines, path.nameAt)
    const bytes = forwardRequest(view, via, { source, lines, hops, routes: routes.cuts, remove: path.remove })
    const signed = path.to === undefined ? bytes : sign(path.to, bytes, context)
    if (signed === undefined) return refuse(500)
    if (method === 'INVITE' && path.from !== undefined) {
      if (path.name === path.from.name) lines.copy(key, 0, path.nameAt, path.nameAt + NAME_LENGTH)
      else branches.write(view, via, path.from.name, key, 0)
      path.from.remember(key.toString('latin1'), view, source, path, now())
    }
    countOut(view)
    sockets[path.leaves].send(signed, path.target)
  }

  function isLoopBy(path: Path, view: MessageView, via: Via, lines: Buffer): boolean {
    // Most requests have one Via; then there is nothing to look at.
    if (via.end >= view.valueEnd(view.layout.via) && view.find(VIA, view.layout.via + 1) < 0) return false
    const mark = lines.toString('latin1', path.loopAt, path.loopAt + LOOP_LENGTH)
    return isLoop(view, via, { name: path.name, local: sockets[path.leaves].local }, mark, branches)
  }

  function response(path: Path, own: OwnVia, view: MessageView, context: MessageContext): void {
    const { source } = context
    const below = viaBelow(view, { via: own.via, row: view.layout.via })
    const target = below && responseTarget(view, below.via)
    if (below === undefined || target === undefined) return drop(path.leaves, 'via-malformed', source)
    // A trunk answers what it was asked: a branch that we did not make for the Via below it was never sent. The upstream
    // is believed.
    if (path.leaves === 'trunk' && !branches.isOwn(view, own, below.via)) {
      return drop(path.leaves, 'via-not-ours', source)
    }
    // A response only ever goes back to where its request came from: one of that side's own addresses, and never to us.
    const mine = path.from === undefined ? isUpstream(target) : path.from.hasSource(target)
    if (!mine || isOurs(target)) return drop(path.leaves, 'target-unknown', source)
    if (path.from !== undefined && view.method === 'INVITE') {
      const { name } = path.from
      if (path.name !== name) branches.write(view, below.via, name, key, 0)
      const transaction = path.name === name ? nameOf(view, own) : key.toString('latin1')
      path.from.invites.note(transaction, view.layout.status, now())
    }
    const bytes = forwardResponse(view, own.via, path.remove)
    const signed = path.from === undefined ? bytes : sign(path.from, bytes, context)
    if (signed === undefined) return
    countOut(view)
    sockets[path.arrives].send(signed, target)
  }

  /** The bytes with the trunk's token; as they are where the direction carries none; undefined where signing failed. */
  function sign(trunk: Trunk, bytes: Buffer, context: MessageContext): Buffer | undefined {
    const parsed = parseMessage(bytes)
    if (!parsed.ok) {
      emit({ event: 'sign-failed', side: 'trunk', peer: trunk.name, reason: parsed.reason })
      return undefined
    }
    const { message } = parsed
    const { transport, source } = context
    const result = trunk.sign({ message, transport, source, local: sockets.trunk.local })
    if (result.ok) return addHeader(viewOf(message), result.header, result.token)
    if (result.reason === 'direction-unsigned') return bytes
    // 100 and the responses to a CANCEL pass without a token; a template may ask for the To tag that a 100 has not got.
    if (message.status === 100 || (message.kind === 'response' && message.method === 'CANCEL')) return bytes
    emit({ event: 'sign-failed', side: 'trunk', peer: trunk.name, reason: result.reason })
    return undefined
  }

  return {
    request,
    response,
    drain: () => {
      draining = true
    },
  }
}
