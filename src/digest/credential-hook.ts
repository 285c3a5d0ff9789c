/**
 * Where somebody else decides on an answer: a service that has the passwords and is shown the digest. The contract that
 * HTTP hooks fill. Whether the nonce is ours and fresh, and its count unused, is never left to it.
 * @module
 */
import type { Endpoint } from '../message/types.ts'
import type { AccountFacts } from './credential-store.ts'
import type { DigestCredentials } from './credentials.ts'

/** An answer to decide on. Its shape, nonce, algorithm, qop and URI have been checked. */
export interface HookQuery {
  readonly credentials: DigestCredentials
  /** The one that was hashed: of an ACK its INVITE's. */
  readonly method: string
  /** Of a REGISTER, what its first Contact or its Expires asks for, seconds. */
  readonly expires: number | undefined
  readonly source: Endpoint
  /** All headers, by long name in lower case; repeated ones joined by commas. UTF-8 as characters. */
  readonly headers: () => Readonly<Record<string, string>>
}

/** What a hook decides. */
export type HookDecision =
  /** The answer proves the password. What else it tells goes into the account's attributes. */
  | { readonly decision: 'ok'; readonly account: AccountFacts }
  /** It does not: counts as a wrong password. */
  | {
      readonly decision: 'fail'
      /** Up to 200 printable characters, for the log. */
      readonly message?: string | undefined
      /** `ban`: the source is not listened to any more. */
      readonly source?: 'ban' | undefined
    }
  /** It does, but this is not allowed: counts as no failure. */
  | { readonly decision: 'forbid'; readonly message?: string | undefined }

/**
 * Decides on answers. Throws or rejects where it cannot tell, which is answered with 503, never with an accept or a 403.
 * What it throws must hold no secret. It is told no body, so `auth-int` cannot be offered with it.
 */
export interface CredentialHook {
  decide(query: HookQuery): HookDecision | Promise<HookDecision>
}
