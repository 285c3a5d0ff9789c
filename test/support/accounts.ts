/**
 * Tables of accounts for tests, filled with what the contract of credential stores asks for.
 */
import { HASH_ALGORITHMS } from '../../src/digest/algorithm.ts'
import { computeHa1 } from '../../src/digest/response.ts'
import type { SqlStatement } from '../../src/stores/sql-connection.ts'
import { parameter } from '../../src/stores/sql-dialect.ts'
import type { SubscriberOptions } from '../../src/stores/sql-subscriber-options.ts'
import { STORED, type Stored } from './contracts/credentials.ts'
import type { TestDatabase } from './databases.ts'

/** How MariaDB compares text where nobody says otherwise: without regard to case, and to blanks at the end. */
export const LOOSE = 'DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci'

/** Inserts rows, with values bound. */
export async function insertRows(
  database: TestDatabase,
  table: string,
  rows: readonly Readonly<Record<string, string>>[],
): Promise<void> {
  const client = await database.open()
  try {
    for (const row of rows) {
      const columns = Object.keys(row)
      const places = columns.map((_, i) => parameter(database.engine, i + 1))
      await client.run({
        text: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`,
        values: Object.values(row),
      } satisfies SqlStatement)
    }
  } finally {
    await client.close()
  }
}

/** The options under which `createSubscribers` made its table. */
export const SUBSCRIBERS: SubscriberOptions = {
  table: 'accounts',
  status: { column: 'status', active: ['0'] },
  identities: { column: 'aliases' },
  registersFor: { column: 'devices' },
  loadCredentials: 'plan=rate_plan',
}

/** The hashes of an account in the columns of a table. */
export function hashesOf({ username, realm, password }: Stored): Readonly<Record<string, string>> {
  const suffix = { MD5: '', 'SHA-256': '_sha256', 'SHA-512-256': '_sha512t256' } as const
  return Object.fromEntries(
    HASH_ALGORITHMS.flatMap((algorithm) => [
      [`ha1${suffix[algorithm]}`, computeHa1(algorithm, username, realm, password).toString('hex')],
      [
        `ha1b${suffix[algorithm]}`,
        computeHa1(algorithm, `${username}@${realm}`, realm, password).toString('hex').toUpperCase(),
      ],
    ]),
  )
}

/** Makes the table `accounts` with every column that an account can have, and the accounts of the contract. */
export async function createSubscribers(database: TestDatabase): Promise<void> {
  const texts = [
    'username',
    'domain',
    'password',
    'ha1',
    'ha1b',
    'ha1_sha256',
    'ha1b_sha256',
    'ha1_sha512t256',
    'ha1b_sha512t256',
    'aliases',
    'devices',
  ]
  const columns = texts.map((name) => `${name} VARCHAR(128) DEFAULT '' NOT NULL`)
  await database.exec(
    `CREATE TABLE accounts (${columns.join(', ')}, status INT DEFAULT 0 NOT NULL, rate_plan VARCHAR(16)) ${
      database.engine === 'mysql' ? LOOSE : ''
    }`,
  )
  await insertRows(
    database,
    'accounts',
    STORED.map((account) => ({
      username: account.username,
      domain: account.realm,
      password: account.password,
      ...hashesOf(account),
      status: account.status === 'inactive' ? '1' : '0',
      aliases: (account.identities ?? []).join(', '),
      devices: (account.registersFor ?? []).join(';'),
      ...(account.attributes?.['plan'] === undefined ? {} : { rate_plan: account.attributes['plan'] }),
    })),
  )
}

/** Makes Flexisip's tables `accounts` and `passwords` under other names, with plain passwords and with hashes. */
export async function createPasswords(database: TestDatabase): Promise<void> {
  const loose = database.engine === 'mysql' ? LOOSE : ''
  await database.exec(
    `CREATE TABLE fx_accounts (id INT PRIMARY KEY, username VARCHAR(64), domain VARCHAR(64), activated INT) ${loose}`,
    `CREATE TABLE fx_passwords (account_id INT, password VARCHAR(128), algorithm VARCHAR(16)) ${loose}`,
  )
  for (const [i, { username, realm, password }] of STORED.entries()) {
    const id = String(i + 1)
    await insertRows(database, 'fx_accounts', [{ id, username, domain: realm, activated: '1' }])
    await insertRows(database, 'fx_passwords', [{ account_id: id, password, algorithm: 'CLRTXT' }])
  }
}

/** The query that finds them, as Flexisip's default does. */
export const PASSWORD_QUERY =
  'select password, algorithm from fx_passwords where account_id = (select id from fx_accounts where username = :id and domain = :domain and activated = 1)'

/** A query that tells whose the rows are, too. */
export const PASSWORD_AND_NAME_QUERY =
  'select password, algorithm, username from fx_passwords join fx_accounts on id = account_id where username = :id and domain = :domain'
