/**
 * Accounts from Flexisip's file of passwords:
 *
 *     version:1
 *     alice@example.org clrtxt:secret ;
 *     bob@example.org md5:… sha256:… ; bob-id +49301234
 *
 * Behind the semicolon may stand the user name of the credentials, where it is another one, and a telephone number.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { ConfigError, type Issue } from '../errors.ts'
import { HASH_ALGORITHMS, specOf, type HashAlgorithm } from './algorithm.ts'
import type { AccountFacts, CredentialStore } from './credential-store.ts'
import { computeHa1 } from './response.ts'

/** How the file is read. */
export interface FlexisipOptions {
  /** The realm of all accounts, which its hashes were made with; default the domain of each. */
  readonly realm?: string | undefined
}

/** One line of the file. */
export interface FlexisipAccount {
  /** From 1. */
  readonly line: number
  readonly username: string
  readonly domain: string
  /** The user name of its credentials. */
  readonly authUsername: string
  readonly realm: string
  readonly phone: string | undefined
  /** H(authUsername:realm:password), as far as it is known. */
  readonly ha1: ReadonlyMap<HashAlgorithm, KeyObject>
  /** H(authUsername@domain:realm:password): only of passwords in clear text. */
  readonly ha1b: ReadonlyMap<HashAlgorithm, KeyObject>
}

/** Tags of hashes, and their algorithms. */
const HASHES: ReadonlyMap<string, HashAlgorithm> = new Map([
  ['md5', 'MD5'],
  ['sha256', 'SHA-256'],
])

/**
 * Reads the file as a store. Of clear text only the HA1 of every algorithm is kept.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue and its line. No issue holds a password or hash.
 * @example
 * parseFlexisipCredentials(readFileSync('userdb.conf', 'utf8'))
 */
export function parseFlexisipCredentials(text: string, options: FlexisipOptions = {}): CredentialStore {
  const entries = new Map<string, { facts: AccountFacts; ha1: ReadonlyMap<HashAlgorithm, KeyObject> }>()
  for (const account of readFlexisipAccounts(text, options)) {
    const { username, domain, authUsername, realm, phone, ha1, ha1b } = account
    const facts: AccountFacts = Object.freeze({
      username,
      // Its realm alone tells the domain only where they are one.
      ...(realm !== domain && { domain }),
      status: 'active',
      identities: phone === undefined ? [] : [phone],
      registersFor: [],
      attributes: {},
    })
    entries.set(keyOf(realm, authUsername), { facts, ha1 })
    if (ha1b.size > 0) entries.set(keyOf(realm, `${authUsername}@${domain}`), { facts, ha1: ha1b })
  }
  return Object.freeze<CredentialStore>({
    find({ username, realm, algorithm }) {
      const entry = entries.get(keyOf(realm, username))
      return entry && { ...entry.facts, ha1: entry.ha1.get(algorithm) }
    },
  })
}

/** No name can hold the control character. */
const keyOf = (realm: string, username: string): string => `${realm}\0${username}`

/**
 * Reads the lines of the file.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue and its line. No issue holds a password or hash.
 */
export function readFlexisipAccounts(
  text: string,
  { realm }: FlexisipOptions = {},
): readonly FlexisipAccount[] {
  const issues: Issue[] = []
  const accounts: FlexisipAccount[] = []
  const names = new Map<string, number>()
  let hasVersion = false
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = i + 1
    const trimmed = raw.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const report = (message: string): undefined => {
      issues.push({ path: 'flexisip', line, message })
    }
    if (!hasVersion) {
      hasVersion = true
      if (trimmed === 'version:1') continue
      report('must be version:1, the first line of such a file')
    }
    const account = readLine(trimmed, line, realm, report)
    if (account === undefined) continue
    const before = names.get(keyOf(account.realm, account.authUsername))
    if (before !== undefined) report(`repeats the user of line ${before} in one realm`)
    names.set(keyOf(account.realm, account.authUsername), line)
    accounts.push(account)
  }
  if (!hasVersion)
    issues.push({ path: 'flexisip', line: 1, message: 'is empty: the first line is version:1' })
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return accounts
}

type ReportLine = (message: string) => undefined

function readLine(
  text: string,
  line: number,
  fixed: string | undefined,
  report: ReportLine,
): FlexisipAccount | undefined {
  const words = text.split(/[ \t]+/)
  const end = words.indexOf(';')
  if (end < 0) return report('must end its passwords with a semicolon, a blank before it')
  const identity = /^([^@]+)@([^@]+)$/.exec(words[0]!)
  if (identity === null) return report('must begin with user@domain')
  const [, username, domain] = identity as unknown as readonly [string, string, string]
  const [authUsername = username, phone, ...more] = words.slice(end + 1)
  if (more.length > 0) report('has more behind the semicolon than a user name and a telephone number')
  for (const name of [username, domain, authUsername])
    if (/["\\\p{Cc}]/u.test(name) || Buffer.byteLength(name) > 255)
      return report('has a name of more than 255 bytes, or with control characters, quotes or backslashes')
  const realm = fixed ?? domain
  const secrets = readSecrets(words.slice(1, end), report)
  if (secrets === undefined) return undefined
  const { password, hashes } = secrets
  const full = `${authUsername}@${domain}`
  const ha1 = new Map(hashes)
  const ha1b = new Map<HashAlgorithm, KeyObject>()
  if (password !== undefined) {
    for (const algorithm of HASH_ALGORITHMS) {
      const own = createSecretKey(computeHa1(algorithm, authUsername, realm, password))
      if (ha1.get(algorithm)?.equals(own) === false)
        report(
          `has a hash of ${algorithm} that is not that of its clear text in realm ${JSON.stringify(realm)}`,
        )
      ha1.set(algorithm, own)
      ha1b.set(algorithm, createSecretKey(computeHa1(algorithm, full, realm, password)))
    }
  }
  return { line, username, domain, authUsername, realm, phone, ha1, ha1b }
}

interface Secrets {
  readonly password: string | undefined
  readonly hashes: ReadonlyMap<HashAlgorithm, KeyObject>
}

/** `clrtxt:…`, `md5:…`, `sha256:…`, each once. */
function readSecrets(words: readonly string[], report: ReportLine): Secrets | undefined {
  let password: string | undefined
  const hashes = new Map<HashAlgorithm, KeyObject>()
  if (words.length === 0) return report('has no password: clrtxt:…, md5:… or sha256:…')
  for (const word of words) {
    const colon = word.indexOf(':')
    // What has no tag may be a password, so it is not repeated.
    const tag = colon < 0 ? '' : word.slice(0, colon).toLowerCase()
    const value = word.slice(colon + 1)
    const algorithm = HASHES.get(tag)
    if (algorithm === undefined && tag !== 'clrtxt')
      return report('has a password that is tagged with none of clrtxt, md5 and sha256')
    if (algorithm === undefined ? password !== undefined : hashes.has(algorithm))
      return report(`has two passwords tagged ${tag}`)
    if (value === '') return report(`has an empty ${tag}`)
    if (algorithm === undefined) {
      password = value
      continue
    }
    const digits = specOf(algorithm).size * 2
    if (value.length !== digits || !/^[0-9a-f]+$/i.test(value))
      return report(`has a ${tag} that is not ${digits} hexadecimal digits`)
    hashes.set(algorithm, createSecretKey(Buffer.from(value, 'hex')))
  }
  return { password, hashes }
}
