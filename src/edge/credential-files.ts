/**
 * Accounts in files, and the secrets that stores of accounts need: read before anything is opened.
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseFlexisipCredentials } from '../digest/flexisip-credentials.ts'
import { parseCredentials } from '../digest/toml-credentials.ts'
import type { CredentialStore } from '../digest/credential-store.ts'
import { codeOf, ConfigError, issuesIn, type Issue } from '../errors.ts'
import type { SqlDatabaseOptions } from '../stores/sql-database.ts'
import type { CredentialsConfig } from './config-credentials.ts'
import { fetchSecret, fetchTable, type SecretPlaces } from './secret-reference.ts'

/**
 * Reads the file of accounts that a configuration names.
 * @throws ConfigError with every issue, each with the file's name; none holds a password
 */
export function loadAccounts(
  { kind, source }: Pick<CredentialsConfig, 'kind' | 'source'>,
  folder: string,
): CredentialStore {
  let text: string
  try {
    text = readFileSync(resolve(folder, source), 'utf8')
  } catch (error) {
    const message = `${JSON.stringify(source)} cannot be read (${codeOf(error, 'unknown')})`
    throw new ConfigError('ERR_CONFIG_INVALID', [{ path: 'users.credentials.source', message }], {
      cause: error,
    })
  }
  return issuesIn(source, () =>
    kind === 'flexisip' ? parseFlexisipCredentials(text) : parseCredentials(text),
  )
}

/**
 * The database that a configuration names, with its password and what its driver is told.
 * @throws ConfigError with each secret that cannot be read
 */
export function databasePlace(
  { source, password, driver }: Pick<CredentialsConfig, 'source' | 'password' | 'driver'>,
  places: SecretPlaces,
): Pick<SqlDatabaseOptions, 'url' | 'folder' | 'password' | 'driver'> {
  const issues: Issue[] = []
  const place = {
    url: source,
    folder: places.folder,
    password: collecting(issues, () => fetchSecret(password, 'users.credentials.password', places)),
    driver: collecting(
      issues,
      () => driver && fetchTable(driver, ['users', 'credentials', 'driver'], places),
    ),
  }
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return place
}

/** What is wrong with the files and secrets that a configuration names. */
export function credentialIssues(config: CredentialsConfig, places: SecretPlaces): readonly Issue[] {
  const issues: Issue[] = []
  collecting(issues, () => databasePlace(config, places))
  collecting(issues, () => fetchSecret(config.http.secret, 'users.credentials.http.signing_secret', places))
  if (config.kind === 'toml' || config.kind === 'flexisip')
    collecting(issues, () => loadAccounts(config, places.folder))
  return issues
}

/** What `work` gives; where it fails, its issues are put to the others. */
function collecting<T>(issues: Issue[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    issues.push(...error.issues)
    return undefined
  }
}
