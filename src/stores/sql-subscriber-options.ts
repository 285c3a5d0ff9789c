/**
 * How a table of accounts is described: Kamailio's `subscriber`, its columns, and what operators add to it.
 * @module
 */
import { HASH_ALGORITHMS, type HashAlgorithm } from '../digest/algorithm.ts'
import { ConfigError, type Issue } from '../errors.ts'
import { isSqlName, isTableName } from './sql-dialect.ts'

/** Names of columns, each with the name that it has where nothing is said. */
export const SUBSCRIBER_COLUMNS = {
  username: 'username',
  domain: 'domain',
  /** Plain text. */
  password: 'password',
  /** H(username:realm:password), of MD5, or of the algorithm that has no column of its own. */
  ha1: 'ha1',
  /** H(username@domain:realm:password), likewise. */
  ha1b: 'ha1b',
  ha1Sha256: 'ha1_sha256',
  ha1bSha256: 'ha1b_sha256',
  ha1Sha512t256: 'ha1_sha512t256',
  ha1bSha512t256: 'ha1b_sha512t256',
} as const

/** A column of the table. */
export type SubscriberColumn = keyof typeof SUBSCRIBER_COLUMNS

/** The columns of an algorithm's hashes: of the user name alone, and with its domain. */
export const HASH_COLUMNS: Readonly<
  Record<HashAlgorithm, { readonly plain: SubscriberColumn; readonly full: SubscriberColumn }>
> = {
  MD5: { plain: 'ha1', full: 'ha1b' },
  'SHA-256': { plain: 'ha1Sha256', full: 'ha1bSha256' },
  'SHA-512-256': { plain: 'ha1Sha512t256', full: 'ha1bSha512t256' },
}

/** Columns that hold a hash. */
export const HASH_COLUMN_NAMES: readonly SubscriberColumn[] = HASH_ALGORITHMS.flatMap((algorithm) =>
  Object.values(HASH_COLUMNS[algorithm]),
)

/** A table of accounts, as Kamailio's module auth_db knows it. */
export interface SubscriberOptions {
  /** Default `subscriber`; with a schema as `kamailio.subscriber`. */
  readonly table?: string | undefined
  readonly columns?: Readonly<Partial<Record<SubscriberColumn, string | undefined>>> | undefined
  /** HA1 is computed from the plain text in the column `password`; columns of hashes are not looked at. Default false. */
  readonly calculateHa1?: boolean | undefined
  /** An account is known by user name and domain, which is the realm where a name has none. Default true. */
  readonly useDomain?: boolean | undefined
  /** An account is active where the column has one of these values as text: 0, `true`. Default: every account is. */
  readonly status?: { readonly column: string; readonly active: readonly string[] } | undefined
  /** Columns that go into the identity of what is accepted: `plan=rate_plan;email_address` (`load_credentials`). */
  readonly loadCredentials?: string | undefined
  /** A column with other users that may stand in its URIs, between commas, semicolons or blanks. */
  readonly identities?: { readonly column: string } | undefined
  /** Kamailio's table `uri` with such users, a row each, in its column `uri_user`. */
  readonly uriTable?: string | undefined
  /** A column with users that it may register beside itself, written as `identities` are. */
  readonly registersFor?: { readonly column: string } | undefined
}

/** The options, checked and complete. */
export interface SubscriberTable {
  readonly table: string
  readonly columns: Readonly<Record<SubscriberColumn, string>>
  /** Columns that were named: they must be there. */
  readonly named: ReadonlySet<SubscriberColumn>
  readonly secret: 'hash' | 'password'
  readonly key: 'username' | 'username and domain'
  readonly status: { readonly column: string; readonly active: readonly string[] } | undefined
  readonly attributes: readonly { readonly name: string; readonly column: string }[]
  readonly identities: string | undefined
  readonly registersFor: string | undefined
  readonly uriTable: string | undefined
}

/**
 * Checks options of a table.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path as `subscriber.columns.ha1`
 */
export function readSubscriberOptions(options: SubscriberOptions): SubscriberTable {
  const issues: Issue[] = []
  const check = (path: string, name: string | undefined, is = isSqlName): void => {
    if (name !== undefined && !is(name)) {
      const message = 'must be a name of letters, digits and _, at most 63, not beginning with a digit'
      issues.push({ path: `subscriber.${path}`, message })
    }
  }
  const { table = 'subscriber', columns = {}, status, identities, registersFor, uriTable } = options
  check('table', table, isTableName)
  for (const [name, column] of Object.entries(columns)) {
    if (Object.hasOwn(SUBSCRIBER_COLUMNS, name)) check(`columns.${name}`, column)
    else issues.push({ path: `subscriber.columns.${name}`, message: 'is not known' })
  }
  check('status.column', status?.column)
  if (status?.active.length === 0)
    issues.push({ path: 'subscriber.status.active', message: 'lists no value: no account would be active' })
  check('identities.column', identities?.column)
  check('registersFor.column', registersFor?.column)
  check('uriTable', uriTable, isTableName)
  if (identities !== undefined && uriTable !== undefined)
    issues.push({ path: 'subscriber.uriTable', message: 'stands beside identities: give only one of them' })
  const attributes = readLoadCredentials(options.loadCredentials, issues)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  const named = Object.entries(columns).filter(([, column]) => column !== undefined)
  return {
    table,
    columns: { ...SUBSCRIBER_COLUMNS, ...Object.fromEntries(named) },
    named: new Set(named.map(([name]) => name as SubscriberColumn)),
    secret: options.calculateHa1 === true ? 'password' : 'hash',
    key: options.useDomain === false ? 'username' : 'username and domain',
    status,
    attributes,
    identities: identities?.column,
    registersFor: registersFor?.column,
    uriTable,
  }
}

/** `attribute=column;column`: a column alone is an attribute of its own name (auth_db, `load_credentials`). */
function readLoadCredentials(text: string | undefined, issues: Issue[]): SubscriberTable['attributes'] {
  const path = 'subscriber.loadCredentials'
  const items = (text ?? '')
    .split(';')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  const attributes = items.map((item) => {
    const at = item.indexOf('=')
    const column = item.slice(at + 1).trim()
    const name = at < 0 ? column : item.slice(0, at).trim()
    if (!isSqlName(column) || !/^[A-Za-z][\w.-]{0,62}$/.test(name))
      issues.push({ path, message: 'must be as "attribute=column;column", of letters, digits and _' })
    return { name, column }
  })
  const names = new Set(attributes.map(({ name }) => name))
  if (names.size < attributes.length) issues.push({ path, message: 'names an attribute twice' })
  return attributes
}
