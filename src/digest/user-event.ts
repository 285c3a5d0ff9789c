/**
 * What the digest stage tells of each request: for metrics and log, and for what a verdict cannot carry yet.
 * @module
 */
import type { AnswerFault, ProofFault } from './answer.ts'
import type { OwnLine } from './own-credentials.ts'
import type { AuthFault } from './header.ts'
import type { DomainFault } from './user-domain.ts'

/** Every reason of a challenge, refusal or drop; a closed list, fit for a metric's label. */
export type UserReason =
  | AnswerFault
  | AuthFault
  | ProofFault
  | DomainFault
  | 'credentials-missing'
  | 'banned'
  | 'stranger'
  | 'invite-unknown'
  | 'nonce-stale'
  | 'nonce-replayed'
  | 'nonce-key-missing'
  | 'account-inactive'
  | 'identity-mismatch'
  | 'claims-full'
  | 'claims-unavailable'
  | 'store-unavailable'

/** One request judged. Exactly one for each that the stage did not leave to the next one. */
export type UserEvent =
  | {
      readonly event: 'accepted'
      readonly username: string
      readonly realm: string
      /** Lines of credentials of ours: to be taken out before the request goes on. */
      readonly credentials: readonly OwnLine[]
      /**
       * Value of Authentication-Info (Proxy-Authentication-Info where we relay) for a 2xx with this body; undefined for an
       * answer without qop, and for an ACK or CANCEL.
       */
      readonly authenticationInfo: (body?: Uint8Array) => string | undefined
    }
  | {
      readonly event: 'challenged' | 'refused' | 'dropped'
      readonly reason: UserReason
      /** As the client wrote it, where it did: anything printable may stand in it. */
      readonly username?: string | undefined
      readonly realm?: string | undefined
      /** A ban that this failure brought. */
      readonly ban?: 'source' | 'user' | undefined
    }
