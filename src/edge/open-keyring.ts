/**
 * The store of a shared keyring, as a configuration describes it.
 * @module
 */
import { ConfigError } from '../errors.ts'
import type { KeyringStore } from '../keyring/keyring-store.ts'
import { openRedisKeyringStore } from '../stores/redis-keyring.ts'
import type { RedisSettings } from '../stores/redis-settings.ts'
import { keyringPathOf, type SharedKeyringConfig } from './config-keyring.ts'
import { fetchRedisOptions, type FetchOptions } from './redis-options.ts'

/**
 * The settings of its Redis, with what they refer to.
 * @throws ConfigError `ERR_CONFIG_INVALID` where that cannot be fetched
 */
export function redisSettingsOf(
  { source, redis }: SharedKeyringConfig,
  options: FetchOptions,
): RedisSettings {
  const { nodes, ...rest } = fetchRedisOptions(redis, options)
  return { url: source, options: rest, ...(nodes !== undefined && { nodes: nodes as readonly string[] }) }
}

/**
 * Opens the store; whether it can be reached shows in what it is asked.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, none with a password
 */
export async function openKeyringStore(
  place: SharedKeyringConfig,
  options: FetchOptions,
): Promise<KeyringStore> {
  const settings = redisSettingsOf(place, options)
  try {
    return await openRedisKeyringStore({ ...settings, name: place.name })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const issues = error.issues.map((issue) => ({ ...issue, path: keyringPathOf(issue.path) }))
    throw new ConfigError('ERR_CONFIG_INVALID', issues, { cause: error })
  }
}
