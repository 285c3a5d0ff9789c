/**
 * Passing messages on: a request by its way, a response back along it.
 * @module
 */
import { parseMessage } from '../message/parse.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import type { Via } from '../message/via.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { UdpSocket } from '../transport/udp.ts'
import { NAME_LENGTH, asOwn, nameOf, type Branches, type OwnVia } from './branch.ts'
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
import type { DropReason, MessageCounter } from './message-counter.ts'
import type { Path } from './path.ts'
import { createsDialog, type RouteSet } from './route-set.ts'
import type { Trunk } from './trunk.ts'

/** What passing on needs. */
export interface RelayOptions {
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  readonly branches: Branches
  readonly countOut: MessageCounter
  /** Whether an address is one of the upstream's. */
  readonly isUpstream: (address: Endpoint) => boolean
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
  const { sockets, branches, countOut, isUpstream, now, emit, drop, respond } = options
  let draining = false

  function request(path: Path, view: MessageView, context: MessageContext, routes: RouteSet): void {
    const { source } = context
    const via = topVia(view)
    if (via === null) return drop(path.arrives, 'via-malformed', source)
    const hops = maxForwards(view)
    if (hops === 'malformed') return respond(path.arrives, view, source, 400)
    if (hops === 0) return respond(path.arrives, view, source, 483)
    if (isLoop(path, view, via)) return respond(path.arrives, view, source, 482)
    if (draining && startsWork(view)) return respond(path.arrives, view, source, 503)
    const { method } = view
    const dialog = createsDialog(method)
    const lines = dialog ? path.dialog : path.via
    if (dialog) path.mark(view)
    branches.write(view, via, path.name, lines, path.nameAt)
    const bytes = forwardRequest(view, via, { source, lines, hops, routes: routes.cuts, remove: path.remove })
    const signed = path.to === undefined ? bytes : sign(path.to, bytes, context)
    if (signed === undefined) return respond(path.arrives, view, source, 500)
    if (method === 'INVITE' && path.from !== undefined) {
      const transaction = lines.toString('latin1', path.nameAt, path.nameAt + NAME_LENGTH)
      path.from.remember(transaction, source, path, now())
    }
    countOut(view)
    sockets[path.leaves].send(signed, path.target)
  }

  /** RFC 3261 §16.3 item 4: it has been by this very way before, and has not changed since, as it does in a spiral. */
  function isLoop(path: Path, view: MessageView, via: Via): boolean {
    let below = viaBelow(view, { via, row: view.layout.via })
    while (below !== undefined) {
      const own = asOwn(view, below.via, sockets[path.leaves].local)
      below = viaBelow(view, below)
      if (own?.name === path.name && below !== undefined && branches.isLoop(view, own, below.via)) return true
    }
    return false
  }

  function response(path: Path, own: OwnVia, view: MessageView, context: MessageContext): void {
    const target = responseTarget(view, own.via)
    if (target === undefined) return drop(path.leaves, 'via-malformed', context.source)
    // A response only ever goes back to where its request came from: one of that side's own addresses.
    const mine = path.from === undefined ? isUpstream(target) : path.from.hasSource(target)
    if (!mine) return drop(path.leaves, 'target-unknown', context.source)
    if (path.from !== undefined && view.method === 'INVITE') {
      path.from.invites.note(nameOf(view, own), view.layout.status, now())
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
