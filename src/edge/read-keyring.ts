/**
 * A shared keyring read once, for commands that look at a configuration: from its store, or else from the local copy.
 * @module
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { parseKeyring } from '../keyring/parse-toml.ts'
import { checkKeyring } from './check-keyring.ts'
import type { RedisConfig } from './config-redis.ts'
import { copyPathOf } from './follow-keyring.ts'
import { openKeyringStore } from './open-keyring.ts'
import type { LoadedConfig } from './service.ts'

/** What was found. `why` says why the store has not given it; without `keyring` there is no local copy either. */
export interface SharedReading {
  /** The store, for messages. */
  readonly place: string
  readonly keyring?: Keyring
  readonly why?: string
}

/**
 * Reads it.
 * @throws ConfigError where what was found cannot be used
 */
export async function readSharedKeyring(
  loaded: LoadedConfig,
  place: RedisConfig,
  now: Date,
): Promise<SharedReading> {
  const store = await openKeyringStore(place, { env: loaded.env, folder: dirname(loaded.path) })
  const named = { place: store.place }
  try {
    const stored = await store.read()
    if (stored !== 'empty') return { ...named, keyring: readText(loaded, stored.text, now) }
    return { ...named, ...readCopy(loaded, now), why: 'it has no keyring: xkeys fleet seed puts one there' }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const why = error instanceof Error ? error.message : 'it cannot be asked'
    return { ...named, ...readCopy(loaded, now), why }
  } finally {
    await store.close().catch(() => {})
  }
}

function readCopy(loaded: LoadedConfig, now: Date): { readonly keyring?: Keyring } {
  const { config, path } = loaded
  let text: string
  try {
    text = readFileSync(copyPathOf(resolve(dirname(path), config.state!), config.node), 'utf8')
  } catch {
    return {}
  }
  return { keyring: readText(loaded, text, now) }
}

function readText({ config, kek }: LoadedConfig, text: string, now: Date): Keyring {
  const keyring = parseKeyring(text, { now, kek })
  const issues = checkKeyring(config, keyring)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return keyring
}
