/**
 * Which columns a table of accounts really has.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import type { RunSql, SqlEngine } from './sql-connection.ts'
import { isSameName, quoteName } from './sql-dialect.ts'
import { configIssue, SqlError } from './sql-error.ts'
import {
  HASH_COLUMN_NAMES,
  SUBSCRIBER_COLUMNS,
  type SubscriberColumn,
  type SubscriberTable,
} from './sql-subscriber-options.ts'

/** The columns that are there, by what they are. */
export type SubscriberNames = Readonly<Partial<Record<SubscriberColumn, string>>> & {
  readonly username: string
}

/**
 * Looks at the table. Columns that were named must be there, and those without which nothing can be looked up; the others
 * count where they are there.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue; SqlError where the database cannot be asked
 */
export async function readSubscriberColumns(
  table: SubscriberTable,
  engine: SqlEngine,
  run: RunSql,
): Promise<SubscriberNames> {
  const issues: Issue[] = []
  const there = await columnsOf('subscriber.table', table.table, engine, run)
  const has = (column: string): boolean => there.some((name) => isSameName(engine, name, column))
  const need = (path: string, column: string | undefined, columns: readonly string[] = there): void => {
    if (column === undefined || columns.some((name) => isSameName(engine, name, column))) return
    const near = nearest(column, columns)
    const hint = near === undefined ? '' : `: did you mean ${near}?`
    issues.push({ path: `subscriber.${path}`, message: `the table has no column ${column}${hint}` })
  }
  const names = Object.keys(SUBSCRIBER_COLUMNS) as SubscriberColumn[]
  for (const name of names)
    if (table.named.has(name) || isNeeded(table, name)) need(`columns.${name}`, table.columns[name])
  const hasHash = HASH_COLUMN_NAMES.some((name) => has(table.columns[name]))
  if (table.secret === 'hash' && !hasHash && !table.named.has('ha1')) need('columns.ha1', table.columns.ha1)
  need('status.column', table.status?.column)
  need('identities.column', table.identities)
  need('registersFor.column', table.registersFor)
  for (const { column } of table.attributes) need('loadCredentials', column)
  if (table.uriTable !== undefined) {
    const columns = await columnsOf('subscriber.uriTable', table.uriTable, engine, run)
    for (const name of ['username', 'domain', 'uri_user']) need('uriTable', name, columns)
  }
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return {
    ...Object.fromEntries(
      names.filter((name) => has(table.columns[name])).map((name) => [name, table.columns[name]]),
    ),
    username: table.columns.username,
  }
}

function isNeeded(table: SubscriberTable, name: SubscriberColumn): boolean {
  if (name === 'domain') return table.key === 'username and domain'
  if (name === 'password') return table.secret === 'password'
  return name === 'username'
}

async function columnsOf(
  path: string,
  table: string,
  engine: SqlEngine,
  run: RunSql,
): Promise<readonly string[]> {
  try {
    const text = `SELECT * FROM ${quoteName(engine, table)} WHERE 1 = 0`
    return (await run({ text, values: [] })).columns
  } catch (error) {
    if (error instanceof SqlError && error.fault === 'statement') throw configIssue(path, error.message)
    throw error
  }
}
