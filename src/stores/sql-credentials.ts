/**
 * Accounts of a SQL database: Kamailio's table `subscriber`, or whatever an operator's own SELECT finds.
 * @module
 */
import type { HashAlgorithm } from '../digest/algorithm.ts'
import type { Account, CredentialQuery, CredentialStore } from '../digest/credential-store.ts'
import { ConfigError, type Issue } from '../errors.ts'
import type { SqlEngine } from './sql-connection.ts'
import type { SqlDatabaseOptions, SqlDrivers } from './sql-database.ts'
import { openSqlLookup, type SqlLookup } from './sql-lookup.ts'
import { compileSqlQuery } from './sql-query.ts'
import type { SubscriberOptions } from './sql-subscriber-options.ts'
import { compileSubscriber } from './sql-subscriber.ts'

/** What `openSqlCredentials` takes. */
export interface SqlAccountsOptions extends SqlDatabaseOptions {
  /** The table of accounts; default Kamailio's `subscriber` with the columns it has there. */
  readonly subscriber?: SubscriberOptions | undefined
  /**
   * In place of a table: one SELECT that gives the password or its hash and, in a second column, `CLRTXT`, `MD5`, `SHA-256`
   * or `SHA-512-256`; one column alone is an MD5. Bound to it: `:id` the user name, `:domain` what stands behind its `@`, or
   * the realm, `:authid` the user name as it was sent (Flexisip's `soci-password-request`).
   */
  readonly query?: string | undefined
}

/** A store that holds connections. */
export interface SqlCredentials extends CredentialStore {
  find(query: CredentialQuery): Promise<Account | undefined>
  /** The hashes for which the table has a column; undefined where that is not known. */
  readonly hashes: () => readonly HashAlgorithm[] | undefined
  /** Look-ups that wait for a connection. */
  readonly waiting: () => number
  readonly close: () => Promise<void>
}

/**
 * Opens accounts of a SQL database. Where the database is there it is looked at: a wrong password, table or column is a
 * configuration error. Where it is not, the store opens all the same, and `find` rejects until it is.
 * @param drivers where the packages come from; default: imported on demand
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue
 * @example
 * const accounts = await openSqlCredentials({ url: 'sqlite:/var/lib/xkeys/accounts.db' })
 */
export async function openSqlCredentials(
  options: SqlAccountsOptions,
  drivers?: SqlDrivers,
): Promise<SqlCredentials> {
  return openSqlLookup((engine) => compileLookup(options, engine), options, drivers)
}

function compileLookup({ subscriber, query }: SqlAccountsOptions, engine: SqlEngine): SqlLookup {
  if (query !== undefined && subscriber !== undefined) {
    const issue: Issue = {
      path: 'query',
      message: 'stands beside a table of accounts: give only one of them',
    }
    throw new ConfigError('ERR_CONFIG_INVALID', [issue])
  }
  return query === undefined ? compileSubscriber(subscriber ?? {}, engine) : compileSqlQuery(query, engine)
}
