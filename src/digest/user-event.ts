/**
 * What the digest stage tells of each request, for metrics and log.
 * @module
 */
import type { AnswerFault, ProofFault } from './answer.ts'
import type { AuthFault } from './header.ts'
import type { DomainFault } from './user-domain.ts'

/** Every reason of a challenge, refusal or drop; a closed list, fit for a metric's label. */
export type UserReason =
  | AnswerFault
  | AuthFault
  | ProofFault
  | DomainFault
  | 'credentials-missing'
  | 'scanner'
  | 'banned'
  | 'stranger'
  | 'invite-unknown'
  | 'nonce-stale'
  | 'nonce-replayed'
  | 'nonce-key-missing'
  | 'account-inactive'
  | 'identity-mismatch'
  | 'hook-refused'
  | 'hook-forbidden'
  | 'claims-full'
  | 'claims-unavailable'
  | 'store-unavailable'

/** One request judged. Exactly one for each that the stage did not leave to the next one. */
export type UserEvent =
  | {
      readonly event: 'accepted'
      /** Absent: it came from a trusted source, and nobody was asked who it is. */
      readonly username?: string | undefined
      readonly realm?: string | undefined
    }
  | {
      readonly event: 'challenged' | 'refused' | 'dropped'
      readonly reason: UserReason
      /** As the client wrote it, where it did: anything printable may stand in it. */
      readonly username?: string | undefined
      readonly realm?: string | undefined
      /** A ban that this failure brought. */
      readonly ban?: 'source' | 'user' | undefined
      /** What a hook gave as its reason: up to 200 printable characters, never for the wire. */
      readonly message?: string | undefined
    }
