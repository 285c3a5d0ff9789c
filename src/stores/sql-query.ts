/**
 * An operator's own SELECT for passwords, as Flexisip has them, with `:id`, `:domain`, `:authid` bound.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import type { CredentialQuery } from '../digest/credential-store.ts'
import { computeHa1 } from '../digest/response.ts'
import type { SqlCell, SqlEngine } from './sql-connection.ts'
import type { SqlLookup } from './sql-lookup.ts'
import { configIssue, SqlError } from './sql-error.ts'
import { hashKey } from './sql-hash.ts'
import { compileSelect } from './sql-select.ts'

/** Rows of one account, at most: one an algorithm, and some more. */
const MAX_ROWS = 16

/**
 * Checks a query and makes a lookup of it.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path `query` and line
 */
export function compileSqlQuery(sql: string, engine: SqlEngine): SqlLookup {
  const select = compileSelect(sql, engine, {
    path: 'query',
    names: ['id', 'domain', 'authid'],
    asked: ['id', 'authid'],
    maxRows: MAX_ROWS,
  })

  return {
    async prepare(run) {
      const columns = await select.columns(run)
      if (columns.length > 3)
        throw configIssue(
          'query',
          `gives ${columns.length} columns: it has password, algorithm and user name`,
        )
      // The usual collations of MySQL take ALICE and "alice " for alice. Where the rows tell whose they are, that is
      // compared here; where they do not, the database compares bytes, for which it has no index. Domains it always does.
      const exactly = columns.length === 3 ? (['domain'] as const) : (['id', 'domain', 'authid'] as const)
      return {
        statement: ({ username, realm }) => {
          const at = username.indexOf('@')
          const [id, domain] = at < 0 ? [username, realm] : [username.slice(0, at), username.slice(at + 1)]
          return select.bind({ id, domain, authid: username }, exactly)
        },
        read({ rows }, asked) {
          if (rows.length > MAX_ROWS) throw new SqlError('failed', 'too-many-rows')
          const { username } = asked
          const user = username.split('@', 1)[0]!
          const domain = username === user ? undefined : username.slice(user.length + 1)
          const own = rows.filter(([, , name]) => name === undefined || name === user || name === username)
          if (own.length === 0) return undefined
          return { username: user, domain, status: 'active', ha1: ha1Of(own, asked) }
        },
      }
    },
  }
}

/** Of a password the HA1; of hashes that of the algorithm. A hash was made without the domain behind the user name. */
function ha1Of(rows: readonly (readonly SqlCell[])[], query: CredentialQuery): KeyObject | undefined {
  const { username, realm, algorithm } = query
  for (const [secret, name = 'MD5'] of rows) {
    if (secret === null || secret === undefined || secret === '' || name === null) continue
    if (name.toUpperCase() === 'CLRTXT')
      return createSecretKey(computeHa1(algorithm, username, realm, secret))
    if (hashNamed(name) === algorithm && !username.includes('@')) return hashKey(secret, algorithm)
  }
  return undefined
}

const hashNamed = (name: string): HashAlgorithm | undefined =>
  HASH_ALGORITHMS.find((algorithm) => algorithm === name.toUpperCase())
