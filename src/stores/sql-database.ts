/**
 * A database: its URL read, its driver loaded on demand, its connections pooled.
 * @module
 */
import { createRequire } from 'node:module'
import { codeOf, ConfigError, type Issue } from '../errors.ts'
import type { RunSql, SqlDriver, SqlEngine } from './sql-connection.ts'
import { configIssue } from './sql-error.ts'
import { loadMysql } from './sql-mysql.ts'
import { createSqlPool, SQL_DEFAULTS, type SqlPoolOptions } from './sql-pool.ts'
import { loadPostgres, type PostgresModule } from './sql-postgres.ts'
import { loadSqlite, type SqliteOptions } from './sql-sqlite.ts'
import { parseSqlUrl, type SqlPlace, type SqlUrlOptions } from './sql-url.ts'

/** Where a database is and how it is used. */
export interface SqlDatabaseOptions extends SqlUrlOptions, SqlPoolOptions {
  /** `sqlite:PATH`, `mysql://user:password@host/database`, `mariadb://…`, `postgres://…`; see `parseSqlUrl`. */
  readonly url: string
  /** Options for the driver of a server, as `mysql2` and `pg` document them: they come before what the URL says. */
  readonly driver?: Readonly<Record<string, unknown>> | undefined
}

/** An open database. */
export interface SqlDatabase {
  readonly engine: SqlEngine
  /** For people: the URL without its password. */
  readonly name: string
  /** One statement. Rejects with `SqlError`. */
  readonly run: RunSql
  /** Several statements, of which all or none take effect. Rejects with what `work` rejects with. */
  transaction<T>(work: (run: RunSql) => Promise<T>): Promise<T>
  /** Questions that wait for a connection. */
  readonly waiting: () => number
  readonly close: () => Promise<void>
}

/** Where the drivers come from. */
export interface SqlDrivers {
  readonly mysql2: () => Promise<Pick<typeof import('mysql2'), 'createConnection'>>
  readonly pg: () => Promise<PostgresModule>
  /** Only finds it: a thread of its own imports it. */
  readonly libsql: () => Promise<unknown>
}

const DRIVERS: SqlDrivers = {
  mysql2: () => import('mysql2'),
  pg: async () => (await import('pg')).default,
  libsql: async () => createRequire(import.meta.url).resolve('libsql'),
}
const PACKAGES = { sqlite: 'libsql', mysql: 'mysql2', postgres: 'pg' } as const
const LIMITS = { poolSize: 1000, maxQueue: 1_000_000, timeoutMs: 60_000 } as const

/**
 * Opens a database. It is not connected to before something is asked.
 * @param access of SQLite: `read` refuses to write, `create` makes a file that is not there
 * @throws ConfigError `ERR_CONFIG_INVALID`: the URL or a number is not right, the driver is not installed
 */
export async function openSqlDatabase(
  options: SqlDatabaseOptions,
  access: SqliteOptions['access'],
  drivers: SqlDrivers = DRIVERS,
): Promise<SqlDatabase> {
  checkNumbers(options)
  const place = parseSqlUrl(options.url, options)
  const timeoutMs = options.timeoutMs ?? SQL_DEFAULTS.timeoutMs
  const driver = await loadDriver(place, { driver: options.driver ?? {}, timeoutMs, access }, drivers)
  const pool = createSqlPool(driver, options)
  return {
    engine: place.engine,
    name: place.name,
    run: pool.run,
    waiting: () => pool.waiting,
    transaction: (work) =>
      pool.session(async (run) => {
        // SQLite: a lock that is taken late cannot be waited for.
        await run({ text: place.engine === 'sqlite' ? 'BEGIN IMMEDIATE' : 'BEGIN', values: [] })
        try {
          const result = await work(run)
          await run({ text: 'COMMIT', values: [] })
          return result
        } catch (error) {
          // Where this fails the connection is gone, and the transaction with it.
          await run({ text: 'ROLLBACK', values: [] }).catch(() => {})
          throw error
        }
      }),
    close: pool.close,
  }
}

async function loadDriver(
  place: SqlPlace,
  options: Omit<SqliteOptions, 'place'> & { readonly driver: Readonly<Record<string, unknown>> },
  drivers: SqlDrivers,
): Promise<SqlDriver> {
  const name = PACKAGES[place.engine]
  try {
    if (place.engine === 'sqlite') return await loadSqlite({ ...options, place }, drivers.libsql)
    const server = { ...options, place }
    return place.engine === 'mysql'
      ? await loadMysql(server, drivers.mysql2)
      : await loadPostgres(server, drivers.pg)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'EACCES')
      throw configIssue('url', `the certificate authority cannot be read (${code})`)
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
    const message = missing
      ? `needs the package ${name}, which is not installed: npm install ${name}`
      : `the package ${name} cannot be loaded (${code})`
    throw configIssue('url', message)
  }
}

function checkNumbers(options: SqlPoolOptions): void {
  const issues = Object.entries(LIMITS).flatMap(([path, most]): Issue[] => {
    const value = options[path as keyof typeof LIMITS]
    const isRight = value === undefined || (Number.isInteger(value) && value >= 1 && value <= most)
    return isRight ? [] : [{ path, message: `must be a whole number from 1 to ${most}` }]
  })
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
}
