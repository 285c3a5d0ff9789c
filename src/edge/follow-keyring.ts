/**
 * The keyring of a configuration, followed where it is: in its file, or in the store that the nodes of a fleet share.
 * @module
 */
import { dirname, join, resolve } from 'node:path'
import type { Logger } from 'pino'
import type { KeyringStore } from '../keyring/keyring-store.ts'
import { openKeyringFile, type LiveKeyring, type LiveKeyringOptions } from '../stores/keyring-file.ts'
import { openSharedKeyring, type SharedEvent, type SharedState } from '../stores/keyring-shared.ts'
import type { RedisConfig } from './config-redis.ts'
import { openKeyringStore } from './open-keyring.ts'
import type { LoadedConfig } from './service.ts'

/** A keyring that is followed. */
export interface FollowedKeyring {
  readonly live: LiveKeyring
  /** What kind of place it is in, for the metrics. */
  readonly source: 'file' | 'redis'
  /** Of a shared one. */
  readonly shared?: {
    readonly store: KeyringStore
    readonly state: () => SharedState
  }
}

/** What looks at a keyring, and whom it tells. */
export interface FollowOptions extends Required<Pick<LiveKeyringOptions, 'check' | 'onLoaded' | 'onFailed'>> {
  readonly log: Logger
  /** How it stands with the store of a shared keyring has changed. */
  readonly onStore: (event: SharedEvent) => void
}

/** Where a node keeps its copy of a shared keyring. */
export function copyPathOf(state: string, node: string): string {
  return join(state, `${node}.keyring.toml`)
}

/**
 * Opens it.
 * @throws ConfigError where it cannot be used at the start; of a shared one neither what is stored nor the local copy
 */
export async function followKeyring(loaded: LoadedConfig, options: FollowOptions): Promise<FollowedKeyring> {
  const { path, config, kek, env } = loaded
  const { check, onLoaded, onFailed } = options
  const place = config.keyring
  if (typeof place !== 'string') return followStore(loaded, place, options)
  const file = resolve(dirname(path), place)
  return {
    live: openKeyringFile(file, { env, kek, now: () => new Date(), check, onLoaded, onFailed }),
    source: 'file',
  }
}

/** How what is told of a store stands in the log. */
const TOLD: Readonly<Record<SharedEvent, readonly [level: 'info' | 'warn' | 'error', message: string]>> = {
  away: [
    'warn',
    'the store of the keyring cannot be asked; the keyring in force stays, revocations do not arrive',
  ],
  empty: ['error', 'the store has no keyring; the one in force stays: xkeys fleet seed puts one there'],
  older: ['error', 'the store has an older keyring than the one in force, which stays: it has lost changes'],
  back: ['info', 'the store of the keyring is as it should be again'],
  'copy-failed': [
    'warn',
    'the local copy of the keyring cannot be written: without the store this node starts with an older one',
  ],
  'copy-written': ['info', 'the local copy of the keyring can be written again'],
}

async function followStore(
  { path, config, kek, env }: LoadedConfig,
  place: RedisConfig,
  { log, check, onLoaded, onFailed, onStore }: FollowOptions,
): Promise<FollowedKeyring> {
  const directory = dirname(path)
  const store = await openKeyringStore(place, { env, folder: directory })
  const localCopy = copyPathOf(resolve(directory, config.state!), config.node)
  try {
    const live = await openSharedKeyring(store, {
      kek,
      now: () => new Date(),
      check,
      localCopy,
      onLoaded,
      onFailed,
      onStore: (event, detail) => {
        const [level, message] = TOLD[event]
        const name = event.startsWith('copy') ? `keyring-${event}` : `keyring-store-${event}`
        log[level]({ event: name, store: store.place, detail }, message)
        onStore(event)
      },
    })
    return { live, source: 'redis', shared: { store, state: () => live.status().store } }
  } catch (error) {
    await store.close().catch(() => {})
    throw error
  }
}
