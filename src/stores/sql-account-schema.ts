/**
 * The table of accounts as each engine makes it: Kamailio's `subscriber`, and columns for the hashes of every algorithm.
 * @module
 */
import { HASH_ALGORITHMS } from '../digest/algorithm.ts'
import type { SqlEngine } from './sql-connection.ts'
import { openSqlDatabase, type SqlDatabaseOptions } from './sql-database.ts'
import { telling } from './sql-accounts.ts'
import { HASH_COLUMNS, SUBSCRIBER_COLUMNS } from './sql-subscriber-options.ts'

const ID: Readonly<Record<SqlEngine, string>> = {
  sqlite: 'id INTEGER PRIMARY KEY',
  mysql: 'id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY',
  postgres: 'id SERIAL PRIMARY KEY',
}

const text = (name: string, size: number): string => `  ${name} VARCHAR(${size}) DEFAULT '' NOT NULL`

/** The statements that make the table. */
export function accountSchema(engine: SqlEngine): readonly string[] {
  const { username, domain, password } = SUBSCRIBER_COLUMNS
  const lines = [
    `  ${ID[engine]}`,
    text(username, 64),
    text(domain, 64),
    text(password, 64),
    ...HASH_ALGORITHMS.toReversed().flatMap((algorithm) =>
      Object.values(HASH_COLUMNS[algorithm]).map((column) => text(SUBSCRIBER_COLUMNS[column], 128)),
    ),
    `  CONSTRAINT subscriber_account_idx UNIQUE (${username}, ${domain})`,
  ]
  // Names are compared byte for byte.
  const collation = engine === 'mysql' ? ' CHARACTER SET utf8mb4 COLLATE utf8mb4_bin' : ''
  const table = `CREATE TABLE subscriber (\n${lines.join(',\n')}\n)${collation}`
  // In this mode accounts can be written while others are looked up.
  return engine === 'sqlite' ? ['PRAGMA journal_mode = WAL', table] : [table]
}

/**
 * Makes the table; of SQLite the file as well, readable by its owner only.
 * @throws ConfigError `ERR_CONFIG_INVALID`: the database cannot be reached or refuses, or the table is there already
 */
export async function createAccountTable(options: SqlDatabaseOptions): Promise<void> {
  const { engine, name, run, close } = await openSqlDatabase(options, 'create')
  try {
    for (const text of accountSchema(engine)) await telling(name, () => run({ text, values: [] }))
  } finally {
    await close()
  }
}
