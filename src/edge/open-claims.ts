/**
 * Where nonce counts are claimed: in a node's own memory, or in a Redis that all nodes share.
 * @module
 */
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import type { UserFacts } from '../metrics/users.ts'
import type { Claims } from '../pipeline/claim.ts'
import { createMemoryClaims } from '../stores/claim-memory.ts'
import { createRedisClaims } from '../stores/claim-redis.ts'
import { createSharedClaims, type ClaimsState } from '../stores/claim-shared.ts'
import { openRedis } from '../stores/redis-client.ts'
import type { RedisConfig } from './config-redis.ts'
import { redisSettingsOf } from './open-keyring.ts'
import type { LoadedConfig } from './service.ts'

/** The settings of `[users.claims]`. */
export interface ClaimsConfig {
  /** Nonce counts that this node's own memory holds at once. */
  readonly capacity: number
  /** A Redis for them; absent: that of a shared keyring, where there is one. */
  readonly shared: RedisConfig | undefined
}

/** Claims of a running edge. */
export interface EdgeClaims {
  readonly claims: Claims
  /** For metrics: of the node's own memory. */
  facts(): UserFacts['claims']
  /** Whether all nodes know them at this moment, for metrics; absent where they are this node's alone. */
  readonly state?: () => ClaimsState
  close(): Promise<void>
}

/** What `openClaims` takes. */
export interface OpenClaimsOptions {
  readonly log: Logger
  /** The clock by which nonces are made, epoch milliseconds. */
  readonly time: () => number
  /** Milliseconds of a clock that does not step. */
  readonly monotonic: () => number
}

/**
 * Opens them. Shared ones hold without their store, too: then each node knows its own, which is told.
 * @throws ConfigError `ERR_CONFIG_INVALID` where the settings of the store cannot be used
 */
export async function openClaims(
  { path, config, env }: Pick<LoadedConfig, 'path' | 'config' | 'env'>,
  { capacity, shared }: ClaimsConfig,
  { log, time, monotonic }: OpenClaimsOptions,
): Promise<EdgeClaims> {
  const place = shared ?? (typeof config.keyring === 'string' ? undefined : config.keyring)
  const local = createMemoryClaims({ capacity, since: new Date(time()), monotonic })
  const facts = (store: string): UserFacts['claims'] => ({ store, entries: local.size, capacity })
  if (place === undefined) return { claims: local, facts: () => facts('memory'), close: async () => {} }
  const at = shared === undefined ? ['keyring'] : ['users', 'claims']
  const client = await openRedis(redisSettingsOf(place, at, { env, folder: dirname(path) }))
  // Or the first claims of every start would be this node's alone. Where it cannot be reached, it is looked for again.
  await client.ready().catch(() => {})
  const claims = createSharedClaims({
    // A name of its own: the keyring's keys and these need not be on one node of a Cluster.
    shared: createRedisClaims({ client, prefix: `${place.name}-claims` }),
    local,
    now: () => new Date(time()),
    onState: (state) => {
      if (state === 'shared') log.info({ event: 'claims-shared' }, 'all nodes know of claims again')
      else
        log.warn(
          { event: 'claims-local' },
          'the shared store of claims is away: what another node has seen is not known here, so a replay there may pass here',
        )
    },
  })
  return {
    claims,
    facts: () => facts('redis'),
    state: () => claims.state,
    async close() {
      claims.close()
      await client.close()
    },
  }
}
