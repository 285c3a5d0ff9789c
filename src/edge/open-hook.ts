/**
 * Opens the services that decide on digests: those of the configuration, or those that a database names by realm.
 * @module
 */
import type { CredentialHook } from '../digest/credential-hook.ts'
import { createHttpHook, type FindHookTarget } from '../stores/http-hook.ts'
import { joinStates, type OnState } from '../stores/joined-state.ts'
import { createLookupCache } from '../stores/lookup-cache.ts'
import { openSqlHookTargets } from '../stores/sql-hook-targets.ts'
import { hookTargets, type CredentialsConfig } from './config-credentials.ts'
import { databasePlace } from './credential-files.ts'
import { fetchSecret, type SecretPlaces } from './secret-reference.ts'

/** An open hook. */
export interface EdgeHook extends CredentialHook {
  /** Requests that wait for a database or a service. */
  readonly waiting: () => number
  /** Forgets which service a realm has. */
  readonly forget: () => void
  readonly close: () => Promise<void>
}

/** Where the service of a realm is found. */
interface Targets {
  readonly find: FindHookTarget
  readonly waiting: () => number
  readonly forget: () => void
  readonly close: () => Promise<void>
}

/**
 * Opens it. It is down while the database or a service is.
 * @throws ConfigError with every issue of what it names
 */
export async function openHook(
  config: CredentialsConfig,
  options: SecretPlaces & { readonly onState: OnState },
): Promise<EdgeHook> {
  const { http, timeoutMs, connections, queue } = config
  const [onState, onDatabase] = joinStates(options.onState)
  const secret = fetchSecret(http.secret, 'users.credentials.http.signing_secret', options)
  const targets =
    http.hooksQuery === undefined
      ? configuredTargets(config, secret, options)
      : await databaseTargets(config, http.hooksQuery, secret, { ...options, onState: onDatabase })
  const hook = createHttpHook({
    timeoutMs,
    maxConnections: connections,
    maxQueue: queue,
    onState,
    targets: targets.find,
    callHook: http.callHook,
  })
  return {
    decide: (query) => hook.decide(query),
    waiting: () => hook.waiting + targets.waiting(),
    forget: targets.forget,
    async close() {
      hook.close()
      await targets.close()
    },
  }
}

function configuredTargets(
  { source, username, password: reference, http: { method, hooks } }: CredentialsConfig,
  secret: string | undefined,
  places: SecretPlaces,
): Targets {
  const password = fetchSecret(reference, 'users.credentials.password', places)
  const targets = hookTargets(source, hooks, { method, username, password, secret })
  return {
    find: (realm) => (realm !== '' && Object.hasOwn(targets, realm) ? targets[realm] : targets['']),
    waiting: () => 0,
    forget: () => {},
    close: async () => {},
  }
}

async function databaseTargets(
  config: CredentialsConfig,
  hooksQuery: string,
  secret: string | undefined,
  options: SecretPlaces & { readonly onState: OnState },
): Promise<Targets> {
  const { cache, connections, queue, timeoutMs, http } = config
  const { find, waiting, close } = await openSqlHookTargets({
    ...databasePlace(config, options),
    poolSize: connections,
    maxQueue: queue,
    timeoutMs,
    onState: options.onState,
    hooksQuery,
    method: http.method,
    secret,
  })
  if (cache === undefined) return { find, waiting, forget: () => {}, close }
  const memory = createLookupCache(find, (realm) => realm, {
    ...cache,
    maxConcurrent: connections,
    maxQueue: queue,
    timeoutMs,
  })
  return {
    find: memory.find,
    waiting: () => memory.counts().waiting + waiting(),
    forget: memory.clear,
    close,
  }
}
