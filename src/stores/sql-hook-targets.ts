/**
 * Deciding services by realm, as jambonz has them: an operator's own SELECT says in a database where they are.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import { readFoundTarget, type HookTarget, type ReadHookTarget } from './http-hook-target.ts'
import type { SqlEngine } from './sql-connection.ts'
import type { SqlDatabaseOptions, SqlDrivers } from './sql-database.ts'
import { SqlError } from './sql-error.ts'
import { openSqlLookup, type OpenLookup, type SqlLookup } from './sql-lookup.ts'
import { compileSelect } from './sql-select.ts'

/** What is the same for every target that a database names. */
export interface HookTargetDefaults extends Pick<HookTarget, 'method'> {
  /** Signs where a row has no secret of its own. */
  readonly secret?: string | undefined
}

/** What `openSqlHookTargets` takes. */
export interface SqlHookTargetsOptions extends SqlDatabaseOptions, HookTargetDefaults {
  /**
   * One SELECT, to which `:realm` is bound. It gives one row at most, with a column `url` and, where they are needed,
   * `username`, `password` and `secret`. No row, or one whose `url` is null or empty: the realm has no service.
   */
  readonly hooksQuery: string
}

const COLUMNS = ['url', 'username', 'password', 'secret'] as const
type Column = (typeof COLUMNS)[number]

/**
 * Opens the database; see `openSqlLookup`. `find` rejects with `HttpError` for a URL that cannot be used.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue
 */
export async function openSqlHookTargets(
  options: SqlHookTargetsOptions,
  drivers?: SqlDrivers,
): Promise<OpenLookup<string, ReadHookTarget>> {
  return openSqlLookup((engine) => compileHooksQuery(options.hooksQuery, engine, options), options, drivers)
}

/**
 * Checks a query and makes a lookup of it.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path `hooksQuery` and line
 */
export function compileHooksQuery(
  sql: string,
  engine: SqlEngine,
  { method, secret }: HookTargetDefaults,
): SqlLookup<string, ReadHookTarget> {
  const names = ['realm'] as const
  const select = compileSelect(sql, engine, { path: 'hooksQuery', names, asked: names, maxRows: 1 })

  return {
    async prepare(run) {
      const columns = await select.columns(run)
      if (columns.length > 0) checkColumns(columns, method)
      return {
        // Collations take one name for another: no realm is sent to the service of its neighbour.
        statement: (realm) => select.bind({ realm }, names),
        read({ columns: given, rows }) {
          // Where nothing could be asked before, they are known only now.
          checkColumns(given, method)
          const [row] = rows
          if (row === undefined) return undefined
          if (rows.length > 1) throw new SqlError('failed', 'too-many-rows')
          const places = given.map((name) => name.toLowerCase())
          const cell = (name: Column): string | undefined => row[places.indexOf(name)] || undefined
          const url = cell('url')
          if (url === undefined) return undefined
          const [username, password] = [cell('username'), cell('password')]
          return readFoundTarget({ url, method, username, password, secret: cell('secret') ?? secret })
        },
      }
    },
  }
}

function checkColumns(columns: readonly string[], method: HookTarget['method']): void {
  const names = columns.map((name) => name.toLowerCase())
  const messages = names
    .filter((name) => !(COLUMNS as readonly string[]).includes(name))
    .map((name) => {
      const near = nearest(name, COLUMNS)
      const hint = near === undefined ? `it has ${COLUMNS.join(', ')}` : `did you mean ${near}?`
      return `gives a column ${JSON.stringify(name)}: ${hint}`
    })
  if (!names.includes('url')) messages.push('gives no column url')
  if (method === 'GET' && names.includes('secret'))
    messages.push('gives a secret, which signs a body: a GET has none')
  if (messages.length > 0) {
    const issues = messages.map((message): Issue => ({ path: 'hooksQuery', message }))
    throw new ConfigError('ERR_CONFIG_INVALID', issues)
  }
}
