/**
 * Where nonce counts are claimed.
 * @module
 */
import type { UserFacts } from '../metrics/users.ts'
import type { Claims } from '../pipeline/claim.ts'
import { createMemoryClaims } from '../stores/claim-memory.ts'

/** The settings of `[users.claims]`. */
export interface ClaimsConfig {
  /** Nonce counts remembered at once. */
  readonly capacity: number
}

/** Claims of a running edge. */
export interface EdgeClaims {
  readonly claims: Claims
  /** For metrics. */
  facts(): UserFacts['claims']
  close(): Promise<void>
}

/** What `openClaims` takes. */
export interface OpenClaimsOptions {
  /** The clock by which nonces are made, epoch milliseconds. */
  readonly time: () => number
  /** Milliseconds of a clock that does not step. */
  readonly monotonic: () => number
}

/** Opens the claims that are configured: those of this process. */
export async function openClaims(
  { capacity }: ClaimsConfig,
  { time, monotonic }: OpenClaimsOptions,
): Promise<EdgeClaims> {
  const claims = createMemoryClaims({ capacity, since: new Date(time()), monotonic })
  return {
    claims,
    facts: () => ({ store: 'memory', entries: claims.size, capacity }),
    close: async () => {},
  }
}
