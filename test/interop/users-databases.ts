/**
 * The databases of users: with the accounts that the tests need, for an edge and for Kamailio.
 */
import { openSqlDatabase } from '../../src/stores/sql-database.ts'
import { parameter } from '../../src/stores/sql-dialect.ts'
import { createKamailioTables, type TestDatabase } from '../support/databases.ts'
import { hashesOf, type Subscriber } from './digest-cases.ts'

/** Kamailio does not decode what it finds in a URL, so it gets a user with a plain password. */
const KAMAILIO = 'kamailio'

/** Makes Kamailio's tables, with columns for SHA-256 as well, and fills them. */
export async function fillSubscriber(database: TestDatabase, accounts: readonly Subscriber[]): Promise<void> {
  // Its names are UTF-8; a database of MariaDB that is told nothing holds less.
  if (database.engine === 'mysql') await database.exec('ALTER DATABASE kamailio CHARACTER SET utf8mb4')
  await createKamailioTables(database)
  const hashes = ['ha1_sha256', 'ha1b_sha256']
  await database.exec(
    ...hashes.map((name) => `ALTER TABLE subscriber ADD COLUMN ${name} VARCHAR(128) DEFAULT '' NOT NULL`),
  )
  const columns = ['username', 'domain', 'password', 'ha1', 'ha1b', ...hashes]
  const values = columns.map((_, i) => parameter(database.engine, i + 1))
  const connection = await database.open()
  for (const account of accounts) {
    const { username, domain, password } = account
    const [md5, sha256] = [hashesOf(account, 'MD5'), hashesOf(account, 'SHA-256')]
    await connection.run({
      text: `INSERT INTO subscriber (${columns.join(', ')}) VALUES (${values.join(', ')})`,
      values: [username, domain, password, md5.ha1, md5.ha1b, sha256.ha1, sha256.ha1b],
    })
  }
  await connection.close()
}

/** The database's URL for Kamailio, which may do everything in it. */
export async function kamailioUrl(database: TestDatabase): Promise<string> {
  const { engine, url } = database
  const { port, pathname } = new URL(url)
  if (engine === 'postgres') {
    await database.exec(`CREATE ROLE ${KAMAILIO} LOGIN SUPERUSER PASSWORD '${KAMAILIO}'`)
  } else {
    const root = await openSqlDatabase({ url: `mysql://root@127.0.0.1:${port}/mysql` }, 'write')
    for (const text of [
      `CREATE USER ${KAMAILIO}@'127.0.0.1' IDENTIFIED BY '${KAMAILIO}'`,
      `GRANT ALL ON ${pathname.slice(1)}.* TO ${KAMAILIO}@'127.0.0.1'`,
    ])
      await root.run({ text, values: [] })
    await root.close()
  }
  return `${engine}://${KAMAILIO}:${KAMAILIO}@127.0.0.1:${port}${pathname}`
}

/** What an edge is told of its accounts. */
export interface AccountSettings {
  /** Lines of `[users.credentials]`. */
  readonly lines: string
  /** Files that they name. */
  readonly files: Readonly<Record<string, string>>
}

const lines = (source: string, more = ''): string => `source = "${source}"\ncache_found = 0\n${more}`

/** Settings for accounts in a database: its password in a file, and nothing remembered, so that each is asked for. */
export function accountSettings({ engine, url }: Pick<TestDatabase, 'engine' | 'url'>): AccountSettings {
  if (engine === 'sqlite') return { lines: lines(url), files: {} }
  const place = new URL(url)
  const password = decodeURIComponent(place.password)
  place.password = ''
  return { lines: lines(place.href, 'password = "file:password"\n'), files: { password: `${password}\n` } }
}

/** Settings for accounts of example.org in a file. */
export function fileSettings(accounts: Readonly<Record<string, string>>): AccountSettings {
  const users = Object.entries(accounts).map(
    ([username, password]) =>
      `[[users]]\nusername = "${username}"\nrealm = "example.org"\npassword = "${password}"\n`,
  )
  return { lines: 'source = "users.toml"\n', files: { 'users.toml': users.join('\n') } }
}
