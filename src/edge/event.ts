/**
 * What the edge tells of itself while it works.
 * @module
 */
import type { Endpoint } from '../message/types.ts'

/** Which socket: towards the peers, or towards the upstream. */
export type Side = 'trunk' | 'upstream'

/** One thing that happened, for the log; no secret, no token, no message text. */
export interface EdgeEvent {
  readonly event: 'decided' | 'dropped' | 'socket-error' | 'sign-failed' | 'invites-full'
  readonly side: Side
  readonly source?: Endpoint
  readonly peer?: string
  readonly method?: string
  readonly verdict?: string
  readonly reason?: string
  readonly key?: string
  readonly callId?: string
}
