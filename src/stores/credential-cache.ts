/**
 * Accounts remembered for a while in front of a store that takes time; an old password works as long as it is remembered,
 * and a new account waits as long as it is remembered that there is none.
 * @module
 */
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import type { Account, CredentialQuery, CredentialStore } from '../digest/credential-store.ts'
import { createLookupCache, type LookupCacheCounts, type LookupCacheOptions } from './lookup-cache.ts'

/** What `createCredentialCache` takes. */
export type CredentialCacheOptions = LookupCacheOptions

/** Counts since the start, for metrics. */
export type CredentialCacheCounts = LookupCacheCounts

/** A store with a memory. */
export interface CredentialCache extends CredentialStore {
  /** Forgets an account, in every algorithm, with its domain in the name and without: its password was changed. */
  invalidate(username: string, realm: string): void
  /** Forgets all. */
  clear(): void
  counts(): CredentialCacheCounts
}

/**
 * Puts a memory in front of a store. A store that never settles keeps its place among the questions asked at once: it must
 * end them itself, as those here do.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every number that is not a whole one above 0
 */
export function createCredentialCache(
  store: CredentialStore,
  options: CredentialCacheOptions = {},
): CredentialCache {
  const { find, forget, clear, counts } = createLookupCache<CredentialQuery, Account>(
    (query) => store.find(query),
    ({ username, realm, algorithm }) => keyOf(username, realm, algorithm),
    options,
  )
  return {
    find,
    invalidate(username, realm) {
      for (const name of [username, `${username}@${realm}`])
        forget(HASH_ALGORITHMS.map((algorithm) => keyOf(name, realm, algorithm)))
    },
    clear,
    counts,
  }
}

/** No name or realm holds a control character. */
const keyOf = (username: string, realm: string, algorithm: HashAlgorithm): string =>
  `${algorithm}\0${realm}\0${username}`
