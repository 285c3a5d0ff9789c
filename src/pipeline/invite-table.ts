/**
 * Accepted INVITEs, so that what belongs to them may come without a token: a CANCEL, and the ACK of a failure, which a
 * stateful Kamailio makes itself and cannot sign (RFC 3261 §9, §17.1.1.3). Matching is an extension of ours:
 * §16.11 lets a stateless proxy forward a CANCEL blindly.
 * @module
 */
import { hash } from 'node:crypto'
import type { Endpoint } from '../message/types.ts'
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
interface Invite {
  readonly source: Endpoint
  readonly transaction: string
  readonly target: Endpoint
  expires: number
}

/**
 * The accepted INVITEs of one trunk, by the branch under which they went on: it follows from the sent-by and branch of
 * their top Via, so a CANCEL and an ACK come to the same one, and a response carries it. Times are milliseconds of one
 * clock that does not step back.
 */
export interface InviteTable {
  /** Remembers an accepted INVITE and where it went. `full`: there is no room, and nothing was evicted for it. */
  remember(
    branch: string,
    invite: MessageView,
    source: Endpoint,
    target: Endpoint,
    now: number,
  ): 'new' | 'same' | 'full'
  /** Takes note of a response to a remembered INVITE: ringing keeps it, a final one leaves it to its ACK. */
  note(branch: string, status: number, now: number): void
  /** Where the INVITE went that a CANCEL or the ACK of a failure belongs to; undefined where it belongs to none. */
  match(branch: string, request: MessageView, source: Endpoint, now: number): Endpoint | undefined
  readonly size: number
}

type State = 'calling' | 'ringing' | 'completed'
const STATES = ['calling', 'ringing', 'completed'] as const

/** Creates an empty table. @param capacity most INVITEs remembered at once */
export function createInviteTable(capacity: number, times: InviteTimes = INVITE_TIMES): InviteTable {
  // One map a state: all entries of a map live equally long, so the oldest is the first to go.
  const maps: Record<State, Map<string, Invite>> = {
    calling: new Map(),
    ringing: new Map(),
    completed: new Map(),
  }

  function sweep(now: number): void {
    for (const state of STATES) {
      for (const [branch, { expires }] of maps[state]) {
        if (expires > now) break
        maps[state].delete(branch)
      }
    }
  }

  function stateOf(branch: string): State | undefined {
    return STATES.find((state) => maps[state].has(branch))
  }

  const size = (): number => maps.calling.size + maps.ringing.size + maps.completed.size

  return {
    get size() {
      return size()
    },
    remember(branch, invite, source, target, now) {
      const state = stateOf(branch)
      if (state !== undefined && maps[state].get(branch)!.expires > now) return 'same'
      sweep(now)
      if (size() >= capacity) return 'full'
      maps.calling.set(branch, {
        source,
        transaction: transactionOf(invite),
        target,
        expires: now + times.calling,
      })
      return 'new'
    },
    note(branch, status, now) {
      const state = status === 100 ? undefined : stateOf(branch)
      if (state === undefined || state === 'completed') return
      const next = status < 200 ? 'ringing' : 'completed'
      if (next === state) return
      const invite = maps[state].get(branch)!
      maps[state].delete(branch)
      // The ACK of a 2xx is a request of its own (§13.2.2.4) and must carry a token.
      if (status >= 200 && status < 300) return
      invite.expires = now + times[next]
      maps[next].set(branch, invite)
    },
    match(branch, request, source, now) {
      const state = stateOf(branch)
      if (state === undefined || (request.method === 'ACK') !== (state === 'completed')) return undefined
      const invite = maps[state].get(branch)!
      const same =
        invite.expires > now &&
        invite.source.address === source.address &&
        invite.source.port === source.port &&
        invite.transaction === transactionOf(request)
      return same ? invite.target : undefined
    },
  }
}

/** What a CANCEL and an ACK share with their INVITE beside the branch: Request-URI, Call-ID, CSeq number, From tag. */
function transactionOf(view: MessageView): string {
  const { callId, cseq, cseqNumberEnd } = view.layout
  const { from } = view
  // Its hash, so that an entry takes the same room whatever a peer writes there.
  const parts = [
    view.requestUri,
    view.text(view.valueStart(callId), view.valueEnd(callId)).trimEnd(),
    view.text(view.valueStart(cseq), cseqNumberEnd),
    from === null || from.tagStart < 0 ? '' : view.text(from.tagStart, from.tagEnd),
  ]
  return hash('sha256', parts.join('\n'), 'base64')
}
