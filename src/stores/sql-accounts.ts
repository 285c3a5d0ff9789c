/**
 * The accounts of a table such as Kamailio's `subscriber`, for commands that list, change and copy them.
 * @module
 */
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import type { AccountInput, AccountPlace, AccountRow } from './account-change.ts'
import { changeAccounts, type AccountTable } from './sql-account-change.ts'
import type { RunSql, SqlCell } from './sql-connection.ts'
import { openSqlDatabase, type SqlDatabase, type SqlDatabaseOptions } from './sql-database.ts'
import { parameter, quoteName } from './sql-dialect.ts'
import { configIssue, SqlError } from './sql-error.ts'
import { readSubscriberColumns } from './sql-subscriber-columns.ts'
import {
  HASH_COLUMNS,
  readSubscriberOptions,
  type SubscriberColumn,
  type SubscriberOptions,
} from './sql-subscriber-options.ts'

/** What `openSqlAccounts` takes. */
export interface SqlAccountPlaceOptions extends SqlDatabaseOptions {
  readonly subscriber?: SubscriberOptions | undefined
}

/** Accounts of a table. */
export interface SqlAccounts extends AccountPlace {
  /** All of them with their secrets, to be written elsewhere. `realm` is the domain: the table has none of its own. */
  read(): AsyncIterable<AccountInput>
}

/** Rows that are read at once. */
const PAGE = 1000

/**
 * Opens the accounts of a database.
 * @throws ConfigError `ERR_CONFIG_INVALID`: it cannot be reached, refuses, or has no such table or columns; so throws
 *   everything that is asked of the accounts afterwards
 * @example
 * const accounts = await openSqlAccounts({ url: 'sqlite:accounts.db' }, 'write')
 */
export async function openSqlAccounts(
  options: SqlAccountPlaceOptions,
  access: 'read' | 'write',
): Promise<SqlAccounts> {
  // Accounts are written by user name and domain, whatever look-ups make of it.
  const described = readSubscriberOptions({ ...options.subscriber, useDomain: true })
  const database = await openSqlDatabase(options, access)
  const { engine, name } = database
  const run: RunSql = (statement) => telling(name, () => database.run(statement))
  try {
    const { columns } = described
    const names = await telling(name, () => readSubscriberColumns(described, engine, database.run))
    const table: AccountTable = {
      engine,
      name: quoteName(engine, described.table),
      columns: { ...names, domain: columns.domain },
    }
    return {
      list: () => listAccounts(table, run),
      read: () => readAccounts(table, run),
      change: (changes, mode) => telling(name, () => changeAccounts(database, table, changes, mode)),
      close: database.close,
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

/** What a database fails with, as an error of the configuration that names it. */
export async function telling<T>(name: SqlDatabase['name'], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SqlError ? configIssue(name, error.message) : error
  }
}

async function* listAccounts(table: AccountTable, run: RunSql): AsyncIterable<AccountRow> {
  for await (const account of readAccounts(table, run)) {
    const { ha1, ha1b, password } = account.secrets
    yield {
      username: account.username,
      domain: account.domain,
      algorithms: HASH_ALGORITHMS.filter((algorithm) => (ha1[algorithm] ?? ha1b[algorithm]) !== undefined),
      password: password === undefined ? 'not stored' : 'stored',
    }
  }
}

/** Page by page, each from the last account of the one before. */
async function* readAccounts(table: AccountTable, run: RunSql): AsyncIterable<AccountInput> {
  const { engine, name, columns } = table
  const quote = (column: string): string => quoteName(engine, column)
  const [username, domain] = [quote(columns.username), quote(columns.domain)]
  const others = (Object.keys(columns) as SubscriberColumn[]).filter(
    (column) => column !== 'username' && column !== 'domain',
  )
  const selected = [username, domain, ...others.map((column) => quote(columns[column]!))].join(', ')
  const order = `ORDER BY ${username}, ${domain} LIMIT ${PAGE}`
  const [p1, p2, p3] = [1, 2, 3].map((place) => parameter(engine, place))
  const after = `WHERE ${username} > ${p1} OR ${username} = ${p2} AND ${domain} > ${p3}`
  let last: readonly [string, string] | undefined
  for (;;) {
    const { rows } = await run(
      last === undefined
        ? { text: `SELECT ${selected} FROM ${name} ${order}`, values: [] }
        : { text: `SELECT ${selected} FROM ${name} ${after} ${order}`, values: [last[0], ...last] },
    )
    for (const row of rows) yield accountOf(row, others)
    const end = rows.at(-1)
    if (end === undefined || rows.length < PAGE) return
    last = [end[0] ?? '', end[1] ?? '']
  }
}

function accountOf(row: readonly SqlCell[], others: readonly SubscriberColumn[]): AccountInput {
  const cell = (column: SubscriberColumn): string | undefined => {
    const at = others.indexOf(column)
    // Kamailio's columns are never NULL: nothing is an empty text there.
    return at < 0 ? undefined : row[at + 2] || undefined
  }
  const hashes = (form: 'plain' | 'full'): Partial<Record<HashAlgorithm, string>> =>
    Object.fromEntries(
      HASH_ALGORITHMS.flatMap((algorithm) => {
        const value = cell(HASH_COLUMNS[algorithm][form])
        return value === undefined ? [] : [[algorithm, value.toLowerCase()]]
      }),
    )
  const domain = row[1] ?? ''
  const password = cell('password')
  return {
    username: row[0] ?? '',
    domain,
    realm: domain,
    secrets: { ha1: hashes('plain'), ha1b: hashes('full'), ...(password !== undefined && { password }) },
  }
}
