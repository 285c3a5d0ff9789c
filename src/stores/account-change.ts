/**
 * Changes to accounts, as commands make them in a database or a file: what is stored of a password, and under which name.
 * @module
 */
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import { computeHa1 } from '../digest/response.ts'

/** Which account. */
export interface AccountName {
  readonly username: string
  readonly domain: string
}

/** What is stored to prove a password, in lower-case hex; `password` is there where it is to be stored as it is. */
export interface AccountSecrets {
  /** H(username:realm:password). */
  readonly ha1: Readonly<Partial<Record<HashAlgorithm, string>>>
  /** H(username@domain:realm:password). */
  readonly ha1b: Readonly<Partial<Record<HashAlgorithm, string>>>
  readonly password?: string | undefined
}

/** An account to be written. */
export interface AccountInput extends AccountName {
  /** What its hashes were made with. */
  readonly realm: string
  readonly secrets: AccountSecrets
  /** Other users that may stand in its URIs. */
  readonly identities?: readonly string[] | undefined
}

/** One change: a new account, other secrets for one, or none of it any more. */
export type AccountChange =
  | { readonly change: 'add' | 'passwd'; readonly account: AccountInput }
  | { readonly change: 'remove'; readonly account: AccountName }

/** An account as it is listed: nothing of its secrets but of which kinds they are. */
export interface AccountRow extends AccountName {
  readonly algorithms: readonly HashAlgorithm[]
  readonly password: 'stored' | 'not stored'
}

/** Accounts that commands change. */
export interface AccountPlace {
  /** All of them, in the order of the place. */
  list(): AsyncIterable<AccountRow>
  /**
   * Makes changes, all or none of them.
   * @param mode `try` finds out what would become of them, and makes none
   * @returns what stands against them, a line each; none: they are made
   * @throws ConfigError where the place cannot be read or written
   */
  change(changes: readonly AccountChange[], mode: 'make' | 'try'): Promise<readonly string[]>
  close(): Promise<void>
}

/** What is stored of a password. @param keep `plain`: the password, too */
export function secretsOf(
  { username, domain, realm }: AccountName & { readonly realm: string },
  password: string,
  keep: 'hashes' | 'plain',
): AccountSecrets {
  const hashes = (name: string): AccountSecrets['ha1'] =>
    Object.fromEntries(
      HASH_ALGORITHMS.map((algorithm) => [
        algorithm,
        computeHa1(algorithm, name, realm, password).toString('hex'),
      ]),
    )
  return {
    ha1: hashes(username),
    ha1b: hashes(`${username}@${domain}`),
    ...(keep === 'plain' && { password }),
  }
}

/** `alice@example.org`. */
export function formatAccount({ username, domain }: AccountName): string {
  return `${username}@${domain}`
}
