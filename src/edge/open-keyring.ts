/**
 * The store of a shared keyring, as a configuration describes it.
 * @module
 */
import { ConfigError } from '../errors.ts'
import type { KeyringStore } from '../keyring/keyring-store.ts'
import { openRedisKeyringStore } from '../stores/redis-keyring.ts'
import type { RedisSettings } from '../stores/redis-settings.ts'
import { keyringPathOf } from './config-keyring.ts'
import type { RedisConfig } from './config-redis.ts'
import { fetchTable, type SecretPlaces } from './secret-reference.ts'

/**
 * The settings of a Redis, with what they refer to.
 * @param at the table that it stands in
 * @throws ConfigError `ERR_CONFIG_INVALID` where that cannot be fetched
 */
export function redisSettingsOf(
  { source, redis }: RedisConfig,
  at: readonly string[],
  places: SecretPlaces,
): RedisSettings {
  const { nodes, ...rest } = fetchTable(redis, [...at, 'redis'], places)
  return { url: source, options: rest, ...(nodes !== undefined && { nodes: nodes as readonly string[] }) }
}

/**
 * Opens the store; whether it can be reached shows in what it is asked.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, none with a password
 */
export async function openKeyringStore(place: RedisConfig, places: SecretPlaces): Promise<KeyringStore> {
  const settings = redisSettingsOf(place, ['keyring'], places)
  try {
    return await openRedisKeyringStore({ ...settings, name: place.name })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const issues = error.issues.map((issue) => ({ ...issue, path: keyringPathOf(issue.path) }))
    throw new ConfigError('ERR_CONFIG_INVALID', issues, { cause: error })
  }
}
