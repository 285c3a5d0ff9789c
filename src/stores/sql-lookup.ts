/**
 * Looking something up in a database: what a table of accounts and the SELECTs of operators have in common.
 * @module
 */
import type { HashAlgorithm } from '../digest/algorithm.ts'
import type { Account, CredentialQuery } from '../digest/credential-store.ts'
import { ConfigError } from '../errors.ts'
import { joinStates } from './joined-state.ts'
import type { RunSql, SqlEngine, SqlResult, SqlStatement } from './sql-connection.ts'
import { openSqlDatabase, type SqlDatabaseOptions, type SqlDrivers } from './sql-database.ts'
import { configFault, SqlError } from './sql-error.ts'
import { parseSqlUrl } from './sql-url.ts'

/** How something is looked up in a database of one kind; accounts where nothing else is said. */
export interface SqlLookup<Query = CredentialQuery, Found = Account> {
  /** Looks at the database once. @throws ConfigError where it is not as configured; SqlError where it cannot be asked */
  prepare(run: RunSql): Promise<PreparedLookup<Query, Found>>
}

/** What is asked, and what an answer means. */
export interface PreparedLookup<Query = CredentialQuery, Found = Account> {
  /** The hashes for which there is a column; absent where that is not known before an account is. */
  readonly hashes?: readonly HashAlgorithm[] | undefined
  statement(query: Query): SqlStatement
  /** @throws where the answer can be no right one: SqlError for rows that are not those of one thing */
  read(result: SqlResult, query: Query): Found | undefined
}

/** A lookup with connections. */
export interface OpenLookup<Query, Found> {
  /** Undefined: it is not there. Rejects where that cannot be known. */
  readonly find: (query: Query) => Promise<Found | undefined>
  /** The hashes for which the database has a column; undefined where that is not known. */
  readonly hashes: () => readonly HashAlgorithm[] | undefined
  /** Look-ups that wait for a connection. */
  readonly waiting: () => number
  readonly close: () => Promise<void>
}

/**
 * Opens a database to look something up. Where it is there it is looked at: a wrong password, table or column is a
 * configuration error. Where it is not, it is opened all the same, and `find` rejects until it is.
 * @param compile makes the lookup for the engine; what it throws is thrown
 * @param drivers where the packages come from; default: imported on demand
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue
 */
export async function openSqlLookup<Query, Found>(
  compile: (engine: SqlEngine) => SqlLookup<Query, Found>,
  options: SqlDatabaseOptions,
  drivers?: SqlDrivers,
): Promise<OpenLookup<Query, Found>> {
  const lookup = compile(parseSqlUrl(options.url, options).engine)
  const [onState, onFit] = joinStates(options.onState)
  const database = await openSqlDatabase({ ...options, onState }, 'read', drivers)
  let prepared: PreparedLookup<Query, Found> | undefined

  /** Not shared by those who wait: the pool bounds them. */
  async function prepare(): Promise<PreparedLookup<Query, Found>> {
    try {
      prepared = await lookup.prepare(database.run)
      onFit('up', 'answered')
      return prepared
    } catch (error) {
      if (error instanceof ConfigError) onFit('down', 'configuration')
      throw error
    }
  }

  try {
    await prepare()
  } catch (error) {
    const told = error instanceof ConfigError ? error : configFault('url', database.name, error)
    if (told !== undefined) {
      await database.close()
      throw told
    }
  }
  return {
    async find(query) {
      const asking = prepared ?? (await prepare())
      try {
        return asking.read(await database.run(asking.statement(query)), query)
      } catch (error) {
        // What its columns cannot hold is not in it.
        if (error instanceof SqlError && error.fault === 'value') return undefined
        throw error
      }
    },
    hashes: () => prepared?.hashes,
    waiting: database.waiting,
    close: database.close,
  }
}
