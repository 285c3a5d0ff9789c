/**
 * Files of accounts that other systems have: Flexisip's, and CSV.
 * @module
 */
import { HASH_ALGORITHMS, specOf, type HashAlgorithm } from '../digest/algorithm.ts'
import { readFlexisipAccounts } from '../digest/flexisip-credentials.ts'
import { ConfigError, issuesIn, nearest, type Issue } from '../errors.ts'
import { secretsOf, type AccountInput, type AccountSecrets } from '../stores/account-change.ts'
import { HASH_COLUMNS, SUBSCRIBER_COLUMNS } from '../stores/sql-subscriber-options.ts'
import { readCsv } from './csv.ts'
import { nameFault } from './user-target.ts'

/** How a file is read. */
export interface AccountsFileOptions {
  /** For messages. */
  readonly file: string
  /** Realm of all accounts; default the domain of each. */
  readonly realm: string | undefined
  /** `plain`: passwords are stored as they are, too. */
  readonly keep: 'hashes' | 'plain'
}

type ReportLine = (line: number, message: string) => void

/** Columns of a CSV file. */
const COLUMNS: readonly string[] = Object.values(SUBSCRIBER_COLUMNS)

/**
 * Reads accounts; a file that begins with `version:` is Flexisip's, any other is CSV whose first line names its columns.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue and its line; none shows a password or hash
 */
export function readAccountsFile(bytes: Uint8Array, options: AccountsFileOptions): readonly AccountInput[] {
  const { file } = options
  const issues: Issue[] = []
  const report: ReportLine = (line, message) => void issues.push({ file, path: 'account', line, message })
  const text = decode(bytes, file)
  const accounts = /^\uFEFF?\s*(?:#.*\s*)*version:/.test(text)
    ? readFlexisip(text, options, report)
    : readCsvAccounts(text, options, report)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return accounts
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ConfigError('ERR_CONFIG_INVALID', [{ path: file, message: 'it is not UTF-8' }])
  }
}

/** Of clear text the parser keeps hashes only, so nothing is stored as it is. */
function readFlexisip(
  text: string,
  { realm, file, keep }: AccountsFileOptions,
  report: ReportLine,
): readonly AccountInput[] {
  if (keep === 'plain') report(1, 'passwords of this file are not stored as they are: leave out --plain')
  return issuesIn(file, () => readFlexisipAccounts(text, { realm })).map((account) => {
    const { line, username, domain, authUsername, phone } = account
    if (authUsername !== username)
      report(line, 'has another user name in its credentials, for which an account has no place')
    const hex = (hashes: typeof account.ha1): AccountSecrets['ha1'] =>
      Object.fromEntries(Array.from(hashes, ([algorithm, key]) => [algorithm, key.export().toString('hex')]))
    return {
      username,
      domain,
      realm: account.realm,
      secrets: { ha1: hex(account.ha1), ha1b: hex(account.ha1b) },
      ...(phone !== undefined && { identities: [phone] }),
    }
  })
}

function readCsvAccounts(
  text: string,
  options: AccountsFileOptions,
  report: ReportLine,
): readonly AccountInput[] {
  const [header, ...records] = readCsv(text, report)
  if (header === undefined) return []
  const columns = header.fields.map((name) => name.trim().toLowerCase())
  let isKnown = true
  const reportHeader = (message: string): void => {
    isKnown = false
    report(header.line, message)
  }
  for (const [i, name] of columns.entries()) {
    // Somebody may have left out the line with the names: what stands there may be a secret.
    if (!COLUMNS.includes(name)) {
      const near = /^[a-z0-9_]{1,20}$/.test(name) ? nearest(name, COLUMNS) : undefined
      const hint = near === undefined ? '' : `: did you mean ${near}?`
      reportHeader(`column ${i + 1} has no name of a column${hint}`)
    } else if (columns.indexOf(name) < i) reportHeader(`names the column ${name} twice`)
  }
  for (const name of ['username', 'domain'])
    if (!columns.includes(name)) reportHeader(`has no column ${name}`)
  if (!isKnown) return []
  return records.flatMap(({ line, fields }) => {
    if (fields.length !== columns.length) {
      report(line, `has ${fields.length} fields, and the first line ${columns.length}`)
      return []
    }
    const account = readRecord(new Map(columns.map((name, i) => [name, fields[i]!])), options, (message) =>
      report(line, message),
    )
    return account === undefined ? [] : [account]
  })
}

function readRecord(
  fields: ReadonlyMap<string, string>,
  { realm: fixed, keep }: AccountsFileOptions,
  report: (message: string) => void,
): AccountInput | undefined {
  const [username = '', domain = ''] = ['username', 'domain'].map((name) => fields.get(name))
  const realm = fixed ?? domain
  for (const name of [username, domain]) {
    const fault = name.includes('@') ? 'a name has an @' : nameFault(name)
    if (fault !== undefined) {
      report(fault)
      return undefined
    }
  }
  const hashes = (form: 'plain' | 'full'): AccountSecrets['ha1'] =>
    Object.fromEntries(
      HASH_ALGORITHMS.flatMap((algorithm) => {
        const value = fields.get(SUBSCRIBER_COLUMNS[HASH_COLUMNS[algorithm][form]]) ?? ''
        if (value === '') return []
        if (!isHash(value, algorithm)) report(`has no hash of ${algorithm} where one should be`)
        return [[algorithm, value.toLowerCase()]]
      }),
    )
  const secrets = { ha1: hashes('plain'), ha1b: hashes('full') }
  const hasHash = Object.keys({ ...secrets.ha1, ...secrets.ha1b }).length > 0
  const password = fields.get('password') ?? ''
  if (password !== '' && hasHash) report('has a password and hashes: give only one of them')
  if (password === '' && !hasHash) report('has no password and no hash')
  return {
    username,
    domain,
    realm,
    secrets: password === '' ? secrets : secretsOf({ username, domain, realm }, password, keep),
  }
}

function isHash(text: string, algorithm: HashAlgorithm): boolean {
  return text.length === specOf(algorithm).size * 2 && /^[0-9a-f]+$/i.test(text)
}
