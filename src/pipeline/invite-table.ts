/**
 * Accepted INVITEs, so that what belongs to them may come without a token: a CANCEL, and the ACK of a failure, which a
 * stateful Kamailio makes itself and cannot sign (RFC 3261 §9, §17.1.1.3). Matching is an extension of ours:
 * §16.11 lets a stateless proxy forward a CANCEL blindly.
 * @module
 */
import { hash } from 'node:crypto'
import type { Endpoint } from '../message/types.ts'
import { parseVia } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'

/** Times, milliseconds. */
export interface InviteTimes {
  /** How long an INVITE without any answer can be cancelled: Timer C, over 3 minutes (§16.6). */
  readonly calling: number
  /** How long a ringing one can: until its final response, at most this. */
  readonly ringing: number
  /** How long the ACK of a failure is expected: 64·T1 (§17.1.1.2). */
  readonly completed: number
}

/** Times of RFC 3261, and two hours for a phone that nobody picks up. */
export const INVITE_TIMES: InviteTimes = { calling: 200_000, ringing: 7_200_000, completed: 32_000 }

/** What is remembered of an INVITE. */
interface Invite<Target> {
  readonly source: Endpoint
  readonly uri: string
  readonly target: Target
  expires: number
}

/**
 * The accepted INVITEs of one peer, by the name of their transaction: it must cover sent-by and branch of the top Via,
 * Call-ID, CSeq number and From tag, which a CANCEL and the ACK of a failure share with their INVITE beside source and
 * Request-URI (`transactionName`, or a branch made of them). Times are milliseconds of one clock that does not step back.
 */
export interface InviteTable<Target> {
  /** Remembers an accepted INVITE and where it went. `full`: there is no room, and nothing was evicted for it. */
  remember(
    transaction: string,
    invite: MessageView,
    source: Endpoint,
    target: Target,
    now: number,
  ): 'new' | 'same' | 'full'
  /** Takes note of a response to a remembered INVITE: ringing keeps it, a final one leaves it to its ACK. */
  note(transaction: string, status: number, now: number): void
  /** Where the INVITE went that a CANCEL or the ACK of a failure belongs to; undefined where it belongs to none. */
  match(transaction: string, request: MessageView, source: Endpoint, now: number): Target | undefined
  readonly size: number
}

type State = 'calling' | 'ringing' | 'completed'
const STATES = ['calling', 'ringing', 'completed'] as const

/** How often what has ended is looked for, milliseconds: looking costs where much has moved on to another state. */
const SWEEP_EVERY = 100

/** Creates an empty table. @param capacity most INVITEs remembered at once */
export function createInviteTable<Target>(
  capacity: number,
  times: InviteTimes = INVITE_TIMES,
): InviteTable<Target> {
  // One map a state: all entries of a map live equally long, so the oldest is the first to go.
  const maps: Record<State, Map<string, Invite<Target>>> = {
    calling: new Map(),
    ringing: new Map(),
    completed: new Map(),
  }
  let nextSweep = 0

  function sweep(now: number): void {
    nextSweep = now + SWEEP_EVERY
    for (const state of STATES) {
      for (const [transaction, { expires }] of maps[state]) {
        if (expires > now) break
        maps[state].delete(transaction)
      }
    }
  }

  function stateOf(transaction: string): State | undefined {
    if (maps.calling.has(transaction)) return 'calling'
    if (maps.ringing.has(transaction)) return 'ringing'
    return maps.completed.has(transaction) ? 'completed' : undefined
  }

  const size = (): number => maps.calling.size + maps.ringing.size + maps.completed.size

  return {
    get size() {
      return size()
    },
    remember(transaction, invite, source, target, now) {
      const state = stateOf(transaction)
      if (state !== undefined && maps[state].get(transaction)!.expires > now) return 'same'
      if (now >= nextSweep) sweep(now)
      if (size() >= capacity) return 'full'
      if (state !== undefined) maps[state].delete(transaction)
      maps.calling.set(transaction, { source, uri: uriOf(invite), target, expires: now + times.calling })
      return 'new'
    },
    note(transaction, status, now) {
      const state = status === 100 ? undefined : stateOf(transaction)
      if (state === undefined || state === 'completed') return
      const next = status < 200 ? 'ringing' : 'completed'
      if (next === state) return
      const invite = maps[state].get(transaction)!
      maps[state].delete(transaction)
      // The ACK of a 2xx is a request of its own (§13.2.2.4) and must carry a token.
      if (status >= 200 && status < 300) return
      invite.expires = now + times[next]
      maps[next].set(transaction, invite)
    },
    match(transaction, request, source, now) {
      const state = stateOf(transaction)
      // A CANCEL that is sent again may come behind the final response; an ACK never comes before it.
      if (state === undefined || (request.method === 'ACK' && state !== 'completed')) return undefined
      const invite = maps[state].get(transaction)!
      const same =
        invite.expires > now &&
        invite.source.address === source.address &&
        invite.source.port === source.port &&
        invite.uri === uriOf(request)
      return same ? invite.target : undefined
    },
  }
}

/** Longest Request-URI that is kept as it is, bytes. */
const MAX_URI = 128

/** The Request-URI, or its hash: an entry takes the same room whatever a peer writes there. */
function uriOf(view: MessageView): string {
  const { secondStart, secondEnd } = view.layout
  const uri = view.text(secondStart, secondEnd)
  return uri.length <= MAX_URI ? uri : hash('sha256', uri, 'base64')
}

/**
 * A name for the transaction of an INVITE, its CANCEL and the ACK of its failure: a hash, so that it takes the same room
 * whatever a peer writes there. Null where the top Via cannot be parsed.
 */
export function transactionName(view: MessageView): string | null {
  const { via: row, callId, cseq, cseqNumberEnd } = view.layout
  const via = parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
  if (via === null) return null
  const { from } = view
  const parts = [
    view.text(via.hostStart, via.sentByEnd),
    via.branchStart < 0 ? '' : view.text(via.branchStart, via.branchEnd),
    view.text(view.valueStart(callId), view.valueEnd(callId)).trimEnd(),
    view.text(view.valueStart(cseq), cseqNumberEnd),
    from === null || from.tagStart < 0 ? '' : view.text(from.tagStart, from.tagEnd),
  ]
  return hash('sha256', parts.join('\n'), 'base64')
}
