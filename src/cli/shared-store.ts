/**
 * The store of a shared keyring, as commands ask it: opened for one command, and closed whatever comes of it.
 * @module
 */
import { Option, type Command } from 'commander'
import { DEFAULT_KEYRING_NAME } from '../edge/config-keyring.ts'
import { isRedisUrl, type RedisConfig } from '../edge/config-redis.ts'
import { openKeyringStore } from '../edge/open-keyring.ts'
import { ConfigError } from '../errors.ts'
import type { KeyringStore, StoredKeyring } from '../keyring/keyring-store.ts'
import { readRedisSettings } from '../stores/redis-settings.ts'
import { UsageError } from './exit.ts'

/** The options of `addStoreOptions`. */
export interface StoreOptions {
  readonly keyring?: string
  readonly keyringName?: string
}

/** Adds `--keyring-name`. */
export function addNameOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--keyring-name <name>',
      `of a keyring in Redis, where --keyring names one; default: ${DEFAULT_KEYRING_NAME}`,
    ),
  )
}

/** The place that `--keyring` names, where that is a store. @throws UsageError where its URL cannot be one */
export function placeOfOptions({ keyring, keyringName }: StoreOptions): RedisConfig | undefined {
  if (keyring !== undefined && isRedisUrl(keyring)) {
    const read = readRedisSettings({ url: keyring })
    if (!('place' in read)) throw new UsageError(`--keyring ${read[0]?.message}`)
    return { source: keyring, name: keyringName ?? DEFAULT_KEYRING_NAME, redis: {} }
  }
  if (keyringName !== undefined) throw new UsageError('--keyring-name goes with --keyring redis://…')
  return undefined
}

/**
 * Runs `work` with the store of a place.
 * @throws ConfigError where it cannot be reached; and what `work` throws
 */
export async function withStore<T>(
  place: RedisConfig,
  folder: string,
  work: (store: KeyringStore) => Promise<T>,
): Promise<T> {
  const store = await openKeyringStore(place, { env: process.env, folder })
  try {
    return await work(store)
  } finally {
    await store.close().catch(() => {})
  }
}

/**
 * What a store answers.
 * @throws ConfigError that names the store and says why it cannot be asked
 */
export async function asking<T>(store: KeyringStore, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw cannotBeAsked(store, error)
  }
}

/** That a store cannot be asked. */
export function cannotBeAsked({ place }: KeyringStore, error: unknown): ConfigError {
  const message = error instanceof Error ? error.message : 'it cannot be asked'
  return new ConfigError('ERR_KEYRING_INVALID', [{ path: place, message }], { cause: error })
}

/**
 * The keyring that a store has.
 * @throws ConfigError where it has none, or cannot be asked
 */
export async function readStored(store: KeyringStore): Promise<StoredKeyring> {
  const stored = await asking(store, store.read())
  if (stored !== 'empty') return stored
  const message = 'there is no keyring: xkeys fleet seed puts a sealed one there'
  throw new ConfigError('ERR_KEYRING_INVALID', [{ path: store.place, message }])
}
