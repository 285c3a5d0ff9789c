/**
 * The accounts that a command works on: a database or a file, named on the command line or by an edge configuration.
 * @module
 */
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { parseEdgeConfig } from '../edge/config.ts'
import { databasePlace } from '../edge/credential-files.ts'
import { fetchSecret, parseSecretReference } from '../edge/secret-reference.ts'
import { ConfigError } from '../errors.ts'
import type { AccountName, AccountPlace } from '../stores/account-change.ts'
import { openSqlAccounts, type SqlAccountPlaceOptions } from '../stores/sql-accounts.ts'
import { isSqlUrl, parseSqlUrl } from '../stores/sql-url.ts'
import { EXIT, UsageError } from './exit.ts'
import { warn, warnOfMode } from './keyring-target.ts'
import { openTomlAccounts } from './user-toml.ts'
import { readTextFile } from '../stores/read-text.ts'

/** The options of `addAccountsOptions`. */
export interface AccountsOptions {
  readonly accounts?: string
  readonly config?: string
  readonly dbPassword?: string
}

/** Whoever waits at a terminal is no request: milliseconds that a statement may take. */
const PATIENCE = 15_000

/** Where accounts are. */
export type AccountsTarget =
  | { readonly kind: 'sql'; readonly options: SqlAccountPlaceOptions }
  | { readonly kind: 'toml'; readonly path: string }

/** Adds the options that name accounts. */
export function addAccountsOptions(command: Command): Command {
  return command
    .option('--accounts <place>', 'file in TOML, sqlite:PATH, mysql://user@host/database or postgres://…')
    .option('--config <edge.toml>', 'the accounts of an edge configuration')
    .option('--db-password <reference>', 'password of the database: env:NAME or file:PATH')
}

/**
 * The accounts that the options name.
 * @throws UsageError where none or two are named; ConfigError where they cannot be changed by commands
 */
export function readAccountsTarget(options: AccountsOptions): AccountsTarget {
  const { accounts, config } = options
  if ((accounts === undefined) === (config === undefined)) throw new UsageError('give --accounts or --config')
  if (config !== undefined) return targetOfConfig(config, options)
  return targetOf(accounts!, options.dbPassword)
}

/** The accounts at a place: URL of a database, or path of a file. */
export function targetOf(place: string, dbPassword: string | undefined): AccountsTarget {
  if (!isSqlUrl(place)) {
    if (dbPassword !== undefined) throw new UsageError('--db-password: a file has none')
    warnOfMode(place)
    return { kind: 'toml', path: place }
  }
  const url = parseSqlUrl(place)
  if (url.engine === 'sqlite') warnOfMode(url.path)
  else if (url.password !== '')
    warn('a password on the command line can be read by every user of this machine: use --db-password')
  const password = dbPassword === undefined ? undefined : secretOf('--db-password', dbPassword)
  return { kind: 'sql', options: { url: place, password, timeoutMs: PATIENCE } }
}

/** Runs `work` with the accounts open. */
export async function withAccounts<T>(
  target: AccountsTarget,
  access: 'read' | 'write',
  work: (place: AccountPlace) => Promise<T>,
): Promise<T> {
  const place =
    target.kind === 'toml' ? openTomlAccounts(target.path) : await openSqlAccounts(target.options, access)
  try {
    return await work(place)
  } finally {
    await place.close()
  }
}

/** Tells what stands against a change: exit 1. */
export function refuse(against: readonly string[]): void {
  for (const line of against.slice(0, MAX_TOLD)) process.stderr.write(`xkeys: ${line}\n`)
  if (against.length > MAX_TOLD) process.stderr.write(`xkeys: and ${against.length - MAX_TOLD} more\n`)
  process.exitCode = EXIT.refused
}

const MAX_TOLD = 20

/** `alice@example.org`. @throws UsageError */
export function accountArgument(text: string): AccountName {
  const [, username = '', domain = ''] = /^([^@]+)@([^@]+)$/.exec(text) ?? []
  const fault = username === '' ? 'it is user@domain' : (nameFault(username) ?? nameFault(domain))
  if (fault !== undefined) throw new UsageError(`${JSON.stringify(text)} is not an account: ${fault}`)
  return { username, domain }
}

/** Why a text cannot be a user name, a domain or a realm. */
export function nameFault(text: string): string | undefined {
  if (text === '') return 'a name is empty'
  if (/["\\\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) return 'no name has control characters, quotes or backslashes'
  if (text.trim() !== text) return 'no name begins or ends with a blank'
  return Buffer.byteLength(text) > 255 ? 'a name has at most 255 bytes' : undefined
}

function targetOfConfig(path: string, { dbPassword }: AccountsOptions): AccountsTarget {
  if (dbPassword !== undefined) throw new UsageError('--db-password: the configuration says where it is')
  const { users } = parseEdgeConfig(readTextFile(path, 'ERR_CONFIG_INVALID'))
  const folder = dirname(path)
  const issue = (message: string): ConfigError =>
    new ConfigError('ERR_CONFIG_INVALID', [{ file: path, path: 'users.credentials', message }])
  if (users === undefined) throw issue('is missing: the edge has no users')
  const { kind, source, sql } = users.credentials
  if (kind === 'toml') return targetOf(resolve(folder, source), undefined)
  if (kind !== 'sql') throw issue(`${JSON.stringify(source)} is not changed by commands`)
  if (sql.query !== undefined)
    throw issue('accounts that a query of your own finds are not changed by commands')
  const place = databasePlace(users.credentials, { env: process.env, folder })
  return { kind: 'sql', options: { ...place, timeoutMs: PATIENCE, subscriber: sql.subscriber } }
}

function secretOf(option: string, text: string): string | undefined {
  const reference = parseSecretReference(text)
  // The text itself is not shown: somebody may have put the password there.
  if (typeof reference === 'string') throw new UsageError(`${option}: it must be env:NAME or file:PATH`)
  return fetchSecret(reference, option, { env: process.env, folder: '.' })
}
