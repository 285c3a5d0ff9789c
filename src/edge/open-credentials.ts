/**
 * Opens where accounts are looked up: a file, a database, a service.
 * @module
 */
import type { HashAlgorithm } from '../digest/algorithm.ts'
import type { CredentialHook } from '../digest/credential-hook.ts'
import type { CredentialStore } from '../digest/credential-store.ts'
import { ConfigError, type Issue } from '../errors.ts'
import type { BackendFacts } from '../metrics/users.ts'
import { createCredentialCache } from '../stores/credential-cache.ts'
import { createHttpPasswords } from '../stores/http-password.ts'
import { openSqlCredentials } from '../stores/sql-credentials.ts'
import type { OnState } from '../stores/joined-state.ts'
import { formatPath } from '../toml.ts'
import { settingPath, type CredentialsConfig } from './config-credentials.ts'
import { databasePlace, loadAccounts } from './credential-files.ts'
import { openHook } from './open-hook.ts'
import { fetchSecret, type SecretPlaces } from './secret-reference.ts'

/** An open store of accounts. */
export interface EdgeCredentials {
  readonly credentials: CredentialStore | CredentialHook
  /** For metrics. */
  facts(): BackendFacts
  /** The hashes that accounts can have; undefined where that is not known. */
  hashes(): readonly HashAlgorithm[] | undefined
  /**
   * Reads a file again, and forgets what was remembered.
   * @throws ConfigError where the file cannot be used; the accounts before stay in force
   */
  reload(): void
  close(): Promise<void>
}

/** Where secrets are, and who is told of outages. */
export interface OpenCredentialsOptions extends SecretPlaces {
  /** Told when look-ups begin to fail, and once they are answered again. */
  readonly onState: OnState
}

/**
 * Opens the store.
 * @throws ConfigError with every issue, its path that of the setting
 */
export async function openCredentials(
  config: CredentialsConfig,
  options: OpenCredentialsOptions,
): Promise<EdgeCredentials> {
  const counts = { misses: 0, failures: 0 }
  let state: BackendFacts['state'] = 'up'
  const onState: OnState = (now, code) => {
    state = now
    options.onState(now, code)
  }
  const opened = await namingSettings(() => openStore(config, { ...options, onState }, counts))
  return {
    credentials: opened.credentials,
    facts: () => ({ backend: config.kind, state, hits: 0, waiting: 0, ...counts, ...opened.facts?.() }),
    hashes: () => opened.hashes?.(),
    reload: () => opened.reload?.(),
    close: async () => opened.close?.(),
  }
}

/** A store of one kind. */
interface Opened {
  readonly credentials: CredentialStore | CredentialHook
  facts?(): Partial<BackendFacts>
  hashes?(): readonly HashAlgorithm[] | undefined
  reload?(): void
  close?(): void | Promise<void>
}

/** Look-ups that no cache counts. */
interface Counts {
  misses: number
  failures: number
}

async function openStore(
  config: CredentialsConfig,
  options: OpenCredentialsOptions,
  counts: Counts,
): Promise<Opened> {
  const { kind, source, username, timeoutMs, connections, queue, http } = config
  const { onState, folder } = options
  const password = fetchSecret(config.password, 'users.credentials.password', options)
  const limits = { timeoutMs, maxConnections: connections, maxQueue: queue, onState }
  switch (kind) {
    case 'toml':
    case 'flexisip': {
      let accounts = loadAccounts(config, folder)
      return {
        credentials: counted({ find: (query) => accounts.find(query) }, counts),
        reload: () => {
          accounts = loadAccounts(config, folder)
        },
      }
    }
    case 'sql': {
      const { sql } = config
      const pool = { poolSize: connections, maxQueue: queue, timeoutMs, onState }
      const store = await openSqlCredentials({ ...databasePlace(config, options), ...pool, ...sql })
      return { ...remembering(store, config, counts, store.waiting), hashes: store.hashes }
    }
    case 'decision': {
      const hook = await openHook(config, options)
      return {
        credentials: {
          decide: (query) => count(counts, async () => hook.decide(query)),
        },
        facts: () => ({ waiting: hook.waiting() }),
        reload: hook.forget,
        close: hook.close,
      }
    }
    case 'password': {
      const store = createHttpPasswords({ ...limits, url: source, gives: http.gives, username, password })
      return remembering(store, config, counts, () => store.waiting)
    }
  }
}

function remembering(
  store: CredentialStore & { close(): void | Promise<void> },
  { cache: options, connections, queue, timeoutMs }: CredentialsConfig,
  counts: Counts,
  waiting: () => number,
): Opened {
  const close = (): void | Promise<void> => store.close()
  if (options === undefined) {
    return { credentials: counted(store, counts), facts: () => ({ waiting: waiting() }), close }
  }
  const cache = createCredentialCache(store, {
    ...options,
    maxConcurrent: connections,
    maxQueue: queue,
    timeoutMs,
  })
  return {
    credentials: cache,
    // Who waits behind the cache is few: it lets so many through as there are connections.
    facts: () => cache.counts(),
    reload: () => cache.clear(),
    close,
  }
}

/** A store whose look-ups are counted; what comes at once costs no promise. */
function counted(store: CredentialStore, counts: Counts): CredentialStore {
  return {
    find(query) {
      counts.misses++
      const found = store.find(query)
      if (found instanceof Promise) found.catch(() => void counts.failures++)
      return found
    },
  }
}

async function count<T>(counts: Counts, ask: () => Promise<T>): Promise<T> {
  counts.misses++
  try {
    return await ask()
  } catch (error) {
    counts.failures++
    throw error
  }
}

/** Paths of issues as they are called in `edge.toml`. */
async function namingSettings<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const issues = error.issues.map((issue): Issue => {
      const isNamed = issue.file !== undefined || issue.path.startsWith('users.')
      return isNamed
        ? issue
        : { ...issue, path: formatPath(['users', 'credentials', ...settingPath(issue.path)]) }
    })
    throw new ConfigError(error.code, issues, { cause: error })
  }
}
