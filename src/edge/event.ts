/**
 * What the edge tells of itself while it works.
 * @module
 */
import type { Endpoint, MessageContext } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import type { Decision } from '../pipeline/stage.ts'
import { callIdOf } from './facts.ts'

/** Which socket: towards the peers, or towards the upstream. */
export type Side = 'trunk' | 'upstream'

/** One thing that happened, for the log; no secret, no token, no message text. */
export interface EdgeEvent {
  readonly event:
    | 'decided'
    | 'refused'
    | 'dropped'
    | 'socket-error'
    | 'sign-failed'
    | 'invites-full'
    | 'auth-failed'
  readonly side: Side
  readonly source?: Endpoint
  readonly peer?: string
  readonly method?: string
  readonly verdict?: string
  readonly reason?: string
  readonly key?: string
  readonly callId?: string
  /** Of a user, as the client wrote it. */
  readonly realm?: string
  readonly username?: string
  /** A ban that a wrong password brought. */
  readonly ban?: 'source' | 'user'
  /** Why, in the words of the service that decided. */
  readonly detail?: string
  /** How many of the kind were not told since the last one that was. */
  readonly held?: number
}

/** The event of a decision. */
export function decided(
  decision: Decision,
  peer: string,
  view: MessageView,
  context: MessageContext,
): EdgeEvent {
  return {
    event: 'decided',
    side: 'trunk',
    source: context.source,
    peer,
    method: view.method,
    verdict: decision.verdict,
    callId: callIdOf(view),
    ...('reason' in decision && { reason: decision.reason }),
    ...(decision.verdict === 'accept' &&
      decision.identity.kind === 'user' && {
        username: decision.identity.username,
        realm: decision.identity.realm,
      }),
    ...(decision.verdict === 'accept' &&
      decision.identity.kind === 'peer' && { key: decision.identity.key.name }),
  }
}
