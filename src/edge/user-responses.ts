/**
 * Responses from and to phones. They go where our own branch says, which we know again by its MAC: a phone behind NAT is
 * answered at the address that it sent from, whatever its Via says.
 * @module
 */
import { LRUCache } from 'lru-cache'
import { unprovedHeaders } from '../digest/identity.ts'
import { headerSelector } from '../message/header-names.ts'
import { parseMessage } from '../message/parse.ts'
import { splice } from '../message/splice.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import { transactionName } from '../pipeline/invite-table.ts'
import type { HeaderLines } from '../pipeline/stage.ts'
import type { UdpSocket } from '../transport/udp.ts'
import { NAME_LENGTH, nameOf, ownVia, type Branches, type OwnVia } from './branch.ts'
import type { Side } from './event.ts'
import { topVia } from './facts.ts'
import { forwardResponse, responseTarget, viaBelow } from './forward.ts'
import type { DropReason, MessageCounter } from './message-counter.ts'
import { readUserPath } from './user-path.ts'

/** Headers for a 2xx. */
type Answer = (body?: Uint8Array) => HeaderLines

interface Kept {
  readonly answer: Answer
  /** Milliseconds of the clock that does not step. */
  readonly until: number
}

/** Responses of phones and to them. */
export interface UserResponses {
  /** Keeps what the 2xx to a request that goes by the way of this name is to bear. */
  expect(path: string, view: MessageView, answer: Answer): void
  /** Of the upstream: goes to the phone that asked. False where no phone did. */
  toUser(view: MessageView, context: MessageContext): boolean
  /** Of a source that is no trunk's: goes to the upstream where we asked that source. */
  fromUser(view: MessageView, context: MessageContext): void
}

/** What `createUserResponses` takes. */
export interface UserResponseOptions {
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  readonly branches: Branches
  readonly countOut: MessageCounter
  readonly isUpstream: (address: Endpoint) => boolean
  readonly isOurs: (address: Endpoint) => boolean
  readonly drop: (side: Side, reason: DropReason, source: Endpoint) => void
  /** Told of a response to an INVITE of a phone. */
  readonly note: (transaction: string, status: number) => void
}

/** Answers that are kept at once: of one that is forgotten the phone misses only the server's proof. */
const MAX_ANSWERS = 10_000
/** Bytes of their requests, which answers hold: whoever has an account could fill the memory with large ones. */
const MAX_BYTES = 32 << 20
/** Longest time to a final response: Timer C (RFC 3261 §16.6), milliseconds. */
const ANSWER_TTL = 200_000

/** Creates them. */
export function createUserResponses(options: UserResponseOptions): UserResponses {
  const { sockets, branches, countOut, isUpstream, isOurs, drop, note } = options
  // Without a lifetime of its own: for that it would start a timer with nearly every entry.
  const answers = new LRUCache<string, Kept>({ max: MAX_ANSWERS, maxSize: MAX_BYTES })
  const name = Buffer.alloc(NAME_LENGTH)

  function expect(path: string, view: MessageView, answer: Answer): void {
    const via = topVia(view)
    if (via === null) return
    branches.write(view, via, path, name, 0)
    const kept = { answer, until: performance.now() + ANSWER_TTL }
    answers.set(name.toString('latin1'), kept, { size: view.bytes.length })
  }

  function toUser(view: MessageView, { source }: MessageContext): boolean {
    const own = ownVia(view, sockets.upstream.local)
    const path = own && readUserPath(own.name)
    if (own === undefined || path?.way !== 'from') return false
    const below = viaBelow(view, { via: own.via, row: view.layout.via })
    if (below === undefined) drop('upstream', 'via-malformed', source)
    else if (!branches.isOwn(view, own, below.via)) drop('upstream', 'via-not-ours', source)
    else if (isOurs(path.flow)) drop('upstream', 'target-unknown', source)
    else sendToUser(view, own, path.flow)
    return true
  }

  function sendToUser(view: MessageView, own: OwnVia, flow: Endpoint): void {
    let bytes = forwardResponse(view, own.via, [])
    const { status } = view.layout
    if (view.method === 'INVITE') {
      const forwarded = parseMessage(bytes)
      const transaction = forwarded.ok ? transactionName(viewOf(forwarded.message)) : null
      if (transaction !== null) note(transaction, status)
    }
    if (status >= 200 && status < 300) bytes = withAnswer(bytes, view, own)
    countOut(view)
    sockets.trunk.send(bytes, flow)
  }

  /** With Authentication-Info, unless a server behind us has written one for a realm of its own. */
  function withAnswer(bytes: Buffer, view: MessageView, own: OwnVia): Buffer {
    const kept = answers.get(nameOf(view, own))
    if (kept === undefined || kept.until <= performance.now()) return bytes
    let changed = bytes
    for (const [header, value] of kept.answer(view.body)) {
      if (view.headers(header).length > 0) continue
      // Nothing was cut behind the headers.
      const at = changed.length - (view.layout.end - view.layout.headersEnd)
      const line = { start: at, end: at, text: `${header}: ${value}\r\n` }
      changed = splice(changed, 0, changed.length, [line])
    }
    return changed
  }

  function fromUser(view: MessageView, { source }: MessageContext): void {
    const own = ownVia(view, sockets.trunk.local)
    const path = own && readUserPath(own.name)
    const isAsked = path?.way === 'to' && path.flow.address === source.address
    if (own === undefined || !isAsked) return drop('trunk', 'via-not-ours', source)
    const below = viaBelow(view, { via: own.via, row: view.layout.via })
    const target = below && responseTarget(view, below.via)
    if (below === undefined || target === undefined) return drop('trunk', 'via-malformed', source)
    if (!branches.isOwn(view, own, below.via)) return drop('trunk', 'via-not-ours', source)
    if (!isUpstream(target) || isOurs(target)) return drop('trunk', 'target-unknown', source)
    countOut(view)
    // RFC 3325 §7: only we may say so of a phone.
    sockets.upstream.send(
      forwardResponse(view, own.via, unprovedHeaders(view, []).map(headerSelector)),
      target,
    )
  }

  return { expect, toUser, fromUser }
}
