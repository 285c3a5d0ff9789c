/**
 * Opens what users need beside sockets and keys: accounts and nonce counts.
 * @module
 */
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { ConfigError } from '../errors.ts'
import { HASH_ALGORITHMS, specOf, type HashAlgorithm } from '../digest/algorithm.ts'
import { compileOffers } from '../digest/offer.ts'
import { openClaims } from './open-claims.ts'
import { openCredentials } from './open-credentials.ts'
import type { UsersConfig } from './config-users.ts'
import type { LoadedConfig } from './service.ts'
import { createUserClock, monotonicNow } from './user-stages.ts'
import type { UserStores } from './users.ts'

/** The stores of users, open. */
export interface OpenUsers extends UserStores {
  /** Reads accounts of a file again, and forgets what was remembered of others. */
  reload(): void
  close(): Promise<void>
}

/**
 * Opens the stores; undefined where no users are configured.
 * @throws ConfigError with every issue, and nothing stays open
 */
export async function openUsers(loaded: LoadedConfig, log: Logger): Promise<OpenUsers | undefined> {
  const { path, config, env } = loaded
  const { users } = config
  if (users === undefined) return undefined
  const { source, kind } = users.credentials
  const time = createUserClock()
  const claims = await openClaims(loaded, users.claims, { log, time, monotonic: monotonicNow })
  const accounts = await openCredentials(users.credentials, {
    env,
    folder: dirname(path),
    onState(state, code) {
      if (state === 'up') log.info({ event: 'accounts-up', kind }, 'accounts are there again')
      else
        log.error(
          { event: 'accounts-down', kind, code },
          'accounts cannot be looked up: users are answered 503',
        )
    },
  }).catch(async (error: unknown) => {
    await claims.close()
    throw error
  })
  const lacking = hashesWithout(accounts.hashes(), users)
  if (lacking.length > 0)
    log.warn(
      { event: 'config', path: 'users.algorithms' },
      `${lacking.join(' and ')} is offered, and the accounts have no column for it: a phone that answers with it is refused as for a wrong password`,
    )
  return {
    credentials: accounts.credentials,
    claims,
    time,
    backend: () => accounts.facts(),
    reload() {
      try {
        accounts.reload()
        log.info({ event: 'accounts-loaded', kind }, 'accounts loaded')
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        const { issues } = error
        log.error(
          { event: 'accounts-refused', source, issues },
          'the accounts cannot be used; those before stay in force',
        )
      }
    },
    async close() {
      await accounts.close()
      await claims.close()
    },
  }
}

/** What is offered in some realm, and is in no account. */
function hashesWithout(
  held: readonly HashAlgorithm[] | undefined,
  { stage }: UsersConfig,
): readonly HashAlgorithm[] {
  if (held === undefined) return []
  const offers = compileOffers(stage)
  const realms = stage.realm?.kind === 'fixed' ? [stage.realm.realm] : stage.domains
  const offered = realms.flatMap((realm) => offers(realm, undefined).algorithms)
  return HASH_ALGORITHMS.filter(
    (name) => !held.includes(name) && offered.some((algorithm) => specOf(algorithm).hash === name),
  )
}
