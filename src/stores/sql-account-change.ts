/**
 * Changes accounts of a table, all of them or none.
 * @module
 */
import { HASH_ALGORITHMS } from '../digest/algorithm.ts'
import { formatAccount, type AccountChange, type AccountInput, type AccountName } from './account-change.ts'
import type { RunSql, SqlEngine, SqlStatement } from './sql-connection.ts'
import type { SqlDatabase } from './sql-database.ts'
import { parameter, quoteName } from './sql-dialect.ts'
import { SqlError } from './sql-error.ts'
import type { SubscriberNames } from './sql-subscriber-columns.ts'
import { HASH_COLUMNS, type SubscriberColumn } from './sql-subscriber-options.ts'

/** A table that accounts are written to. */
export interface AccountTable {
  readonly engine: SqlEngine
  /** In quotes. */
  readonly name: string
  /** Those that are there. */
  readonly columns: SubscriberNames & { readonly domain: string }
}

/** Thrown to take a transaction back. */
class TakenBack extends Error {
  override readonly name = 'TakenBack'
}

/**
 * Changes accounts in one transaction.
 * @returns what stands against it, a line each; then nothing is changed
 */
export async function changeAccounts(
  { transaction }: Pick<SqlDatabase, 'transaction'>,
  table: AccountTable,
  changes: readonly AccountChange[],
  mode: 'make' | 'try',
): Promise<readonly string[]> {
  const against: string[] = []
  try {
    await transaction(async (run) => {
      for (const change of changes) {
        const is = await applyChange(table, change, run)
        if (is === 'done') continue
        against.push(`${formatAccount(change.account)} ${is.fault}`)
        // PostgreSQL answers nothing more in a transaction that has failed.
        if (is.stage === 'write') break
      }
      if (against.length > 0 || mode === 'try') throw new TakenBack()
    })
  } catch (error) {
    if (!(error instanceof TakenBack)) throw error
  }
  return against
}

type Applied = 'done' | { readonly fault: string; readonly stage: 'read' | 'write' }

async function applyChange(table: AccountTable, change: AccountChange, run: RunSql): Promise<Applied> {
  const statement = await prepareChange(table, change, run)
  if (typeof statement === 'string') return { fault: statement, stage: 'read' }
  try {
    await run(statement)
    return 'done'
  } catch (error) {
    const fault = error instanceof SqlError ? error.fault : undefined
    if (fault === 'duplicate') return { fault: 'is there already', stage: 'write' }
    if (fault === 'value') return { fault: 'does not fit the columns of the table', stage: 'write' }
    throw error
  }
}

/** The statement that makes a change, or what stands against it. */
async function prepareChange(
  table: AccountTable,
  change: AccountChange,
  run: RunSql,
): Promise<SqlStatement | string> {
  const { account } = change
  const { rows } = await run(selectAccount(table, account))
  const is = rows.filter(([username, domain]) => username === account.username && domain === account.domain)
  if (change.change === 'add') {
    if (is.length > 0) return 'is there already'
    // By the table's collation its name is that of another one, and an update would change both.
    const [like] = rows
    if (like !== undefined) return `is there already, as ${like.join('@')}`
  } else {
    if (is.length === 0) return 'is not there'
    if (rows.length > 1) return 'is there more than once: change it in the database'
  }
  if (change.change === 'remove') return removeAccount(table, account)
  const values = valuesOf(table, change.account)
  if (typeof values === 'string') return values
  return change.change === 'add'
    ? insertAccount(table, account, values)
    : updateAccount(table, account, values)
}

type Values = readonly (readonly [column: string, value: string])[]

/** A value for every column of secrets that the table has: what it held of an earlier password must not stay. */
function valuesOf({ columns }: AccountTable, { secrets }: AccountInput): Values | string {
  const { ha1, ha1b, password } = secrets
  const all: readonly (readonly [SubscriberColumn, string | undefined])[] = [
    ['password', password],
    ...HASH_ALGORITHMS.flatMap((algorithm) => {
      const { plain, full } = HASH_COLUMNS[algorithm]
      return [[plain, ha1[algorithm]] as const, [full, ha1b[algorithm]] as const]
    }),
  ]
  if (password !== undefined && columns.password === undefined)
    return 'has a password, and the table no column for it'
  const values = all.flatMap(([column, value]) => {
    const name = columns[column]
    return name === undefined ? [] : [[name, value ?? ''] as const]
  })
  return values.some(([, value]) => value !== '') ? values : 'has no hash that the table has a column for'
}

function keyOf({ engine, columns }: AccountTable, first: number): string {
  const is = (column: string, place: number): string =>
    `${quoteName(engine, column)} = ${parameter(engine, place)}`
  return `${is(columns.username, first)} AND ${is(columns.domain, first + 1)}`
}

function selectAccount(table: AccountTable, { username, domain }: AccountName): SqlStatement {
  const { engine, name, columns } = table
  const selected = [columns.username, columns.domain].map((column) => quoteName(engine, column)).join(', ')
  return {
    text: `SELECT ${selected} FROM ${name} WHERE ${keyOf(table, 1)} LIMIT 10`,
    values: [username, domain],
  }
}

function removeAccount(table: AccountTable, { username, domain }: AccountName): SqlStatement {
  return { text: `DELETE FROM ${table.name} WHERE ${keyOf(table, 1)}`, values: [username, domain] }
}

function insertAccount(table: AccountTable, { username, domain }: AccountName, values: Values): SqlStatement {
  const { engine, name, columns } = table
  const all: Values = [[columns.username, username], [columns.domain, domain], ...values]
  const names = all.map(([column]) => quoteName(engine, column)).join(', ')
  const places = all.map((_, i) => parameter(engine, i + 1)).join(', ')
  return { text: `INSERT INTO ${name} (${names}) VALUES (${places})`, values: all.map(([, value]) => value) }
}

function updateAccount(table: AccountTable, { username, domain }: AccountName, values: Values): SqlStatement {
  const { engine, name } = table
  const set = values
    .map(([column], i) => `${quoteName(engine, column)} = ${parameter(engine, i + 1)}`)
    .join(', ')
  return {
    text: `UPDATE ${name} SET ${set} WHERE ${keyOf(table, values.length + 1)}`,
    values: [...values.map(([, value]) => value), username, domain],
  }
}
