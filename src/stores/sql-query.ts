/**
 * An operator's own SELECT for passwords, as Flexisip has them: checked, its names `:id`, `:domain`, `:authid` bound.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import type { CredentialQuery } from '../digest/credential-store.ts'
import { computeHa1 } from '../digest/response.ts'
import { ConfigError, nearest, type Issue } from '../errors.ts'
import type { SqlCell, SqlEngine, SqlStatement } from './sql-connection.ts'
import type { SqlLookup } from './sql-lookup.ts'
import { parameter } from './sql-dialect.ts'
import { configIssue, SqlError } from './sql-error.ts'
import { hashKey } from './sql-hash.ts'
import { scanSql } from './sql-scan.ts'

/** What can be bound. */
const NAMES = ['id', 'domain', 'authid'] as const
type Name = (typeof NAMES)[number]

/** Rows of one account, at most: one an algorithm, and some more. */
const MAX_ROWS = 16

/**
 * Checks a query and makes a lookup of it.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path `query` and line
 */
export function compileSqlQuery(sql: string, engine: SqlEngine): SqlLookup {
  const query = readQuery(sql, engine)
  const bind = (comparing: 'loosely' | 'exactly', values: Readonly<Record<Name, string>>): SqlStatement => ({
    // As a table of its own it cannot be more than one SELECT, and its rows can be counted.
    text: `SELECT * FROM (${query.text(comparing)}\n) AS account LIMIT ${MAX_ROWS + 1}`,
    values: query.bound.map((name) => values[name]),
  })

  return {
    async prepare(run) {
      let columns: readonly string[] = []
      try {
        ;({ columns } = await run(bind('loosely', { id: '', domain: '', authid: '' })))
      } catch (error) {
        const fault = error instanceof SqlError ? error.fault : undefined
        if (fault === 'statement') throw configIssue('query', (error as SqlError).message)
        // An empty text may not fit a column of numbers: then the statement is right.
        if (fault !== 'value') throw error
      }
      if (columns.length > 3)
        throw configIssue(
          'query',
          `gives ${columns.length} columns: it has password, algorithm and user name`,
        )
      // The usual collations of MySQL take ALICE and "alice " for alice. Where the rows tell whose they are, that is
      // compared here; where they do not, the database compares bytes, for which it has no index. Domains it always does.
      const comparing = columns.length === 3 ? 'loosely' : 'exactly'
      return {
        statement: ({ username, realm }) => {
          const at = username.indexOf('@')
          const [id, domain] = at < 0 ? [username, realm] : [username.slice(0, at), username.slice(at + 1)]
          return bind(comparing, { id, domain, authid: username })
        },
        read(rows, asked) {
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

interface Query {
  readonly bound: readonly Name[]
  text(comparing: 'loosely' | 'exactly'): string
}

function readQuery(sql: string, engine: SqlEngine): Query {
  const { parts, issues: found } = scanSql(sql)
  const issues: Issue[] = found.map((issue) => ({ path: 'query', ...issue }))
  const bound: Name[] = []
  const pieces = parts.map((part) => {
    if (part.kind === 'text') return { text: part.text, kind: part.kind }
    const name = NAMES.find((known) => known === part.name)
    if (name === undefined) {
      const near = nearest(part.name, NAMES)
      const hint = near === undefined ? 'it has :id, :domain, :authid' : `did you mean :${near}?`
      issues.push({ path: 'query', line: part.line, message: `:${part.name} is not known: ${hint}` })
      return { text: '', kind: 'text' as const }
    }
    // PostgreSQL's parameters have numbers and may be repeated; the others' only have places.
    const known = engine === 'postgres' ? bound.indexOf(name) : -1
    if (known < 0) bound.push(name)
    return { text: parameter(engine, known < 0 ? bound.length : known + 1), kind: name }
  })
  if (!/^\s*(?:select|with)\b/i.test(pieces.map(({ text }) => text).join('')))
    issues.push({ path: 'query', message: 'must be one SELECT' })
  if (!bound.includes('id') && !bound.includes('authid'))
    issues.push({ path: 'query', message: 'asks for nobody: bind :id, or :authid' })
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return {
    bound,
    text: (comparing) =>
      pieces
        .map(({ text, kind }) =>
          engine === 'mysql' && kind !== 'text' && (comparing === 'exactly' || kind === 'domain')
            ? `CAST(${text} AS BINARY)`
            : text,
        )
        .join(''),
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
