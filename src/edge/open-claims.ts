/**
 * The claims of an edge: in its own memory, or shared by all nodes where they share a Redis.
 * @module
 */
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import type { Claims } from '../pipeline/claim.ts'
import { createMemoryClaims } from '../stores/claim-memory.ts'
import { createRedisClaims } from '../stores/claim-redis.ts'
import { createSharedClaims, type ClaimsState } from '../stores/claim-shared.ts'
import { openRedis } from '../stores/redis-client.ts'
import { redisSettingsOf } from './open-keyring.ts'
import type { LoadedConfig } from './service.ts'

/** What claims are opened with. */
export interface OpenClaimsOptions {
  /** Claims that this node's own memory holds at once. */
  readonly capacity: number
  readonly log: Logger
}

/** Claims of an edge. */
export interface OpenClaims {
  readonly claims: Claims
  /** Whether all nodes know them at this moment, for the metrics; absent where they are this node's alone. */
  readonly state?: () => ClaimsState
  close(): Promise<void>
}

/**
 * Opens them. Shared ones hold without their store, too: then each node knows its own, which is told.
 * @throws ConfigError `ERR_CONFIG_INVALID` where the settings of the store cannot be used
 */
export async function openClaims(
  loaded: LoadedConfig,
  { capacity, log }: OpenClaimsOptions,
): Promise<OpenClaims> {
  const { path, config, env } = loaded
  const place = config.keyring
  const local = createMemoryClaims({ capacity, since: new Date(), monotonic: () => performance.now() })
  if (typeof place === 'string') return { claims: local, close: async () => {} }
  const client = await openRedis(redisSettingsOf(place, { env, directory: dirname(path) }))
  // Or the first claims of every start would be this node's alone. Where it cannot be reached, it is looked for again.
  await client.ready().catch(() => {})
  const claims = createSharedClaims({
    // A name of its own: the keyring's keys and these need not be on one node of a Cluster.
    shared: createRedisClaims({ client, prefix: `${place.name}-claims` }),
    local,
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
    state: () => claims.state,
    async close() {
      claims.close()
      await client.close()
    },
  }
}
