/**
 * Accepted INVITEs, so that what belongs to them may come without a token: a CANCEL, and the ACK of a failure, which a
 * stateful Kamailio makes itself and cannot sign (RFC 3261 §9, §17.1.1.3). Matching is an extension of ours:
 * §16.11 lets a stateless proxy forward a CANCEL blindly.
 * @module
 */
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
interface Invite {
  readonly source: Endpoint
  readonly requestUri: string
  readonly target: Endpoint
  expires: number
}

/** The accepted INVITEs of one trunk. Times are milliseconds of one clock that does not step back. */
export interface InviteTable {
  /** Remembers an accepted INVITE and where it went. `full`: there is no room, and nothing was evicted for it. */
  remember(invite: MessageView, source: Endpoint, target: Endpoint, now: number): 'new' | 'same' | 'full'
  /** Takes note of a response to a remembered INVITE: ringing keeps it, a final one leaves it to its ACK. */
  note(response: MessageView, now: number): void
  /** Where the INVITE went that a CANCEL or the ACK of a failure belongs to; undefined where it belongs to none. */
  match(request: MessageView, source: Endpoint, now: number): Endpoint | undefined
  readonly size: number
}

type State = 'calling' | 'ringing' | 'completed'

/** Creates an empty table. @param capacity most INVITEs remembered at once */
export function createInviteTable(capacity: number, times: InviteTimes = INVITE_TIMES): InviteTable {
  // One map a state: all entries of a map live equally long, so the oldest is the first to go.
  const maps: Record<State, Map<string, Invite>> = {
    calling: new Map(),
    ringing: new Map(),
    completed: new Map(),
  }

  function sweep(now: number): void {
    for (const map of Object.values(maps)) {
      for (const [key, { expires }] of map) {
        if (expires > now) break
        map.delete(key)
      }
    }
  }

  function find(key: string): { readonly state: State; readonly invite: Invite } | undefined {
    for (const state of ['calling', 'ringing', 'completed'] as const) {
      const invite = maps[state].get(key)
      if (invite !== undefined) return { state, invite }
    }
    return undefined
  }

  const size = (): number => maps.calling.size + maps.ringing.size + maps.completed.size

  return {
    get size() {
      return size()
    },
    remember(view, source, target, now) {
      const key = keyOf(view, 0)
      if (key === undefined) return 'full'
      if (find(key) !== undefined) return 'same'
      sweep(now)
      if (size() >= capacity) return 'full'
      maps.calling.set(key, {
        source,
        requestUri: view.requestUri ?? '',
        target,
        expires: now + times.calling,
      })
      return 'new'
    },
    note(response, now) {
      const { status } = response.layout
      if (response.method !== 'INVITE' || status === 100) return
      const key = keyOf(response, 1)
      const found = key === undefined ? undefined : find(key)
      if (key === undefined || found === undefined || found.state === 'completed') return
      const next = status < 200 ? 'ringing' : 'completed'
      if (next === found.state) return
      maps[found.state].delete(key)
      // The ACK of a 2xx is a request of its own (§13.2.2.4) and must carry a token.
      if (status >= 200 && status < 300) return
      found.invite.expires = now + times[next]
      maps[next].set(key, found.invite)
    },
    match(request, source, now) {
      const key = keyOf(request, 0)
      const found = key === undefined ? undefined : find(key)
      if (found === undefined || found.invite.expires <= now) return undefined
      const { invite, state } = found
      if (request.method === 'ACK' ? state !== 'completed' : state === 'completed') return undefined
      const same =
        invite.source.address === source.address &&
        invite.source.port === source.port &&
        invite.requestUri === request.requestUri
      return same ? invite.target : undefined
    },
  }
}

/** What names the transaction, from the `nth` Via: sent-by and branch, Call-ID, CSeq number, From tag. */
function keyOf(view: MessageView, nth: 0 | 1): string | undefined {
  const via = viaAt(view, nth)
  const from = view.from
  if (via === undefined || from === null) return undefined
  const { callId, cseq, cseqNumberEnd } = view.layout
  return [
    via,
    view.text(view.valueStart(callId), view.valueEnd(callId)).trimEnd(),
    view.text(view.valueStart(cseq), cseqNumberEnd),
    from.tagStart < 0 ? '' : view.text(from.tagStart, from.tagEnd),
  ].join('\n')
}

function viaAt(view: MessageView, nth: 0 | 1): string | undefined {
  let row = view.layout.via
  let via = parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
  if (via !== null && nth === 1) {
    if (via.end < view.valueEnd(row)) {
      via = parseVia(view.bytes, via.end + 1, view.valueEnd(row))
    } else {
      row = view.nextVia(row)
      via = row < 0 ? null : parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
    }
  }
  if (via === null || via.branchStart < 0) return undefined
  return `${view.text(via.hostStart, via.sentByEnd)} ${view.text(via.branchStart, via.branchEnd)}`
}
