/**
 * Accounts in files, and the secrets that stores of accounts need: read before anything is opened.
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseFlexisipCredentials } from '../digest/flexisip-credentials.ts'
import { parseCredentials } from '../digest/toml-credentials.ts'
import type { CredentialStore } from '../digest/credential-store.ts'
import { codeOf, ConfigError, type Issue } from '../errors.ts'
import type { CredentialsConfig } from './config-credentials.ts'
import { readSecret, type SecretPlaces } from './secret-reference.ts'

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
  try {
    return kind === 'flexisip' ? parseFlexisipCredentials(text) : parseCredentials(text)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const issues = error.issues.map((issue) => ({ ...issue, file: source }))
    throw new ConfigError(error.code, issues, { cause: error })
  }
}

/** What is wrong with the files and secrets that a configuration names. */
export function credentialIssues(config: CredentialsConfig, places: SecretPlaces): readonly Issue[] {
  const issues: Issue[] = []
  for (const [path, reference] of [
    ['users.credentials.password', config.password],
    ['users.credentials.http.signing_secret', config.http.secret],
  ] as const) {
    const read = reference === undefined ? undefined : readSecret(reference, places)
    if (read?.ok === false) issues.push({ path, message: read.message })
  }
  if (config.kind !== 'toml' && config.kind !== 'flexisip') return issues
  try {
    loadAccounts(config, places.folder)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    issues.push(...error.issues)
  }
  return issues
}
