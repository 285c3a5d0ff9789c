/**
 * Looks accounts up in a table such as Kamailio's `subscriber`, by one statement for an account with all that belongs to it.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import type { CredentialQuery } from '../digest/credential-store.ts'
import { computeHa1 } from '../digest/response.ts'
import type { SqlCell, SqlEngine } from './sql-connection.ts'
import type { PreparedLookup, SqlLookup } from './sql-lookup.ts'
import { parameter, quoteName } from './sql-dialect.ts'
import { SqlError } from './sql-error.ts'
import { hashKey } from './sql-hash.ts'
import { readSubscriberColumns, type SubscriberNames } from './sql-subscriber-columns.ts'
import {
  HASH_COLUMNS,
  readSubscriberOptions,
  type SubscriberOptions,
  type SubscriberTable,
} from './sql-subscriber-options.ts'

/** Rows of one account, at most: of those in the table `uri`, or that a collation takes for the same. */
const MAX_ROWS = 256

/** A user name taken apart, as Kamailio does: what stands behind its first `@` is a domain. */
interface Asked {
  readonly user: string
  readonly domain: string | undefined
}

/**
 * Makes a lookup of a table.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue
 */
export function compileSubscriber(options: SubscriberOptions, engine: SqlEngine): SqlLookup {
  const table = readSubscriberOptions(options)
  return {
    async prepare(run) {
      return prepareLookup(table, await readSubscriberColumns(table, engine, run), engine)
    },
  }
}

function prepareLookup(table: SubscriberTable, names: SubscriberNames, engine: SqlEngine): PreparedLookup {
  const { statement, at } = writeSelects(table, names, engine)
  return {
    ...(table.secret === 'hash' && {
      hashes: HASH_ALGORITHMS.filter((algorithm) => names[HASH_COLUMNS[algorithm].plain] !== undefined),
    }),
    statement(query) {
      const { user, domain } = takeApart(query.username)
      return {
        text: statement(query.algorithm, domain === undefined ? 'plain' : 'full'),
        values: table.key === 'username' ? [user] : [user, domain ?? query.realm],
      }
    },
    read({ rows }, query) {
      if (rows.length > MAX_ROWS) throw new SqlError('failed', 'too-many-rows')
      const { user, domain } = takeApart(query.username)
      const place = domain ?? query.realm
      // Bytes are compared here: collations take ALICE and "alice " for alice.
      const own = rows.filter(
        (row) => row[at.username] === user && (at.domain === undefined || row[at.domain] === place),
      )
      const [first] = own
      if (first === undefined) return undefined
      const isSame = (row: readonly SqlCell[]): boolean =>
        row.every((cell, i) => i >= at.uri || cell === first[i])
      if (!own.every(isSame)) throw new SqlError('failed', 'account-ambiguous')
      return {
        username: user,
        domain,
        ha1: ha1Of(first[at.secret] ?? '', query, table.secret),
        status: table.status?.active.includes(first[at.status] ?? '') === false ? 'inactive' : 'active',
        identities: table.uriTable === undefined ? listOf(first[at.identities]) : uriUsers(own, user, place),
        registersFor: listOf(first[at.registersFor]),
        attributes: Object.fromEntries(
          table.attributes.flatMap(({ name }, i) => {
            const value = first[at.attributes + i]
            return value === null || value === undefined ? [] : [[name, value]]
          }),
        ),
      }
    },
  }

  function uriUsers(rows: readonly (readonly SqlCell[])[], user: string, domain: string): readonly string[] {
    return rows.flatMap((row) => {
      const [name, host, uriUser] = row.slice(at.uri)
      const isOwn = name === user && (at.domain === undefined || host === domain)
      return isOwn && typeof uriUser === 'string' && uriUser !== '' ? [uriUser] : []
    })
  }
}

/** Where the columns of an account are in a row; those of the table `uri` are the last. */
interface Places {
  readonly username: number
  readonly domain: number | undefined
  readonly secret: number
  readonly status: number
  readonly identities: number
  readonly registersFor: number
  readonly attributes: number
  readonly uri: number
}

function writeSelects(
  table: SubscriberTable,
  names: SubscriberNames,
  engine: SqlEngine,
): { readonly statement: (algorithm: HashAlgorithm, form: 'plain' | 'full') => string; readonly at: Places } {
  const quote = (name: string): string => quoteName(engine, name)
  const of = (alias: string, column: string | undefined): string =>
    column === undefined ? 'NULL' : `${alias}.${quote(column)}`
  const isByDomain = table.key === 'username and domain'
  const { username, domain } = names
  const from = [`${quote(table.table)} AS account`]
  if (table.uriTable !== undefined) {
    const on = [`uri.${quote('username')} = ${of('account', username)}`]
    if (isByDomain) on.push(`uri.${quote('domain')} = ${of('account', domain)}`)
    from.push(`LEFT JOIN ${quote(table.uriTable)} AS uri ON ${on.join(' AND ')}`)
  }
  const where = [`${of('account', username)} = ${parameter(engine, 1)}`]
  if (isByDomain) where.push(`${of('account', domain)} = ${parameter(engine, 2)}`)
  const write = (secret: string | undefined): string => {
    const columns = [
      username,
      isByDomain ? domain : undefined,
      secret,
      table.status?.column,
      table.identities,
      table.registersFor,
      ...table.attributes.map(({ column }) => column),
    ].map((column) => of('account', column))
    if (table.uriTable !== undefined)
      columns.push(...['username', 'domain', 'uri_user'].map((name) => of('uri', name)))
    return `SELECT ${columns.join(', ')} FROM ${from.join(' ')} WHERE ${where.join(' AND ')} LIMIT ${MAX_ROWS + 1}`
  }
  const texts = new Map(
    HASH_ALGORITHMS.flatMap((algorithm) =>
      (['plain', 'full'] as const).map((form) => {
        const column = table.secret === 'password' ? 'password' : HASH_COLUMNS[algorithm][form]
        return [
          `${algorithm} ${form}`,
          write(names[column] ?? names[form === 'plain' ? 'ha1' : 'ha1b']),
        ] as const
      }),
    ),
  )
  return {
    statement: (algorithm, form) => texts.get(`${algorithm} ${form}`)!,
    at: {
      username: 0,
      domain: isByDomain ? 1 : undefined,
      secret: 2,
      status: 3,
      identities: 4,
      registersFor: 5,
      attributes: 6,
      uri: 6 + table.attributes.length,
    },
  }
}

function takeApart(username: string): Asked {
  const at = username.indexOf('@')
  return at < 0
    ? { user: username, domain: undefined }
    : { user: username.slice(0, at), domain: username.slice(at + 1) }
}

function ha1Of(
  stored: string,
  { username, realm, algorithm }: CredentialQuery,
  secret: SubscriberTable['secret'],
): KeyObject | undefined {
  if (secret === 'hash') return hashKey(stored, algorithm)
  // An empty column is no password: with it everybody would have the empty one.
  return stored === '' ? undefined : createSecretKey(computeHa1(algorithm, username, realm, stored))
}

function listOf(cell: SqlCell | undefined): readonly string[] {
  return (cell ?? '').split(/[,;\s]+/).filter((item) => item !== '')
}
