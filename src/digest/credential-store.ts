/**
 * Where accounts are looked up: the contract that files, databases and HTTP services fill.
 * @module
 */
import type { KeyObject } from 'node:crypto'
import type { HashAlgorithm } from './algorithm.ts'

/** What is asked for. */
export interface CredentialQuery {
  /** As in the credentials: up to 255 bytes of UTF-8 without control characters, anything else may stand in it. */
  readonly username: string
  /** One of ours. */
  readonly realm: string
  /** The hash that the client used, and that `ha1` must have been made with. */
  readonly algorithm: HashAlgorithm
}

/** An account. Values are copied from a database as they are: nothing here is trusted to be a header's text. */
export interface Account {
  /** The user that its URIs have: of a credential `alice@example.org`, `alice`. */
  readonly username: string
  /** The host that its URIs have, where the realm serves several domains. */
  readonly domain?: string | undefined
  /**
   * H(username ":" realm ":" password) in the algorithm of the query, over the user name as it was asked for (a name with
   * `@domain` has its own: Kamailio's ha1b). Undefined where there is none: answered as a wrong password is.
   */
  readonly ha1: KeyObject | undefined
  /** `inactive`: neither registers nor calls. */
  readonly status: 'active' | 'inactive'
  /** Other users that may stand in its URIs: numbers, aliases. */
  readonly identities?: readonly string[] | undefined
  /** Users that it may register beside itself; `*` is any of its domain (third-party registration). */
  readonly registersFor?: readonly string[] | undefined
  /** Goes into the identity of what is accepted. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

/** An account without its secret. */
export type AccountFacts = Omit<Account, 'ha1'>

/**
 * A store of accounts. `find` answers undefined for an account that is not there, in about the time that one takes that
 * is; it throws or rejects where it cannot tell, which is answered with 503 and never with an accept or a 403. What it
 * throws must hold no secret. An answer at once costs no promise.
 */
export interface CredentialStore {
  find(query: CredentialQuery): Account | undefined | Promise<Account | undefined>
}
