/**
 * Accounts from TOML, for a node that has no database:
 *
 *     [[users]]
 *     username = "alice"
 *     realm = "example.org"
 *     password = "…"            # or ha1_md5, ha1_sha256, ha1_sha512_256 (and ha1b_… for alice@domain)
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { ConfigError, type Issue } from '../errors.ts'
import { reportUnknown } from '../keyring/parse-key.ts'
import {
  describeToml,
  isTable,
  parseToml,
  type TomlPath,
  type TomlTable,
  type TomlValue,
  type Report,
  reportTo,
} from '../toml.ts'
import { HASH_ALGORITHMS, specOf, type HashAlgorithm } from './algorithm.ts'
import type { AccountFacts, CredentialStore } from './credential-store.ts'
import { computeHa1 } from './response.ts'

/** An account, and its HA1 of each algorithm, for one way to write its name. */
interface Entry {
  readonly account: AccountFacts
  readonly ha1: ReadonlyMap<HashAlgorithm, KeyObject>
}

const TEXTS = ['username', 'realm', 'domain', 'password', 'status'] as const
const LISTS = ['identities', 'registers_for'] as const
const SUFFIX: Readonly<Record<HashAlgorithm, string>> = {
  MD5: 'md5',
  'SHA-256': 'sha256',
  'SHA-512-256': 'sha512_256',
}
const HASHES = HASH_ALGORITHMS.flatMap((algorithm) => [
  { setting: `ha1_${SUFFIX[algorithm]}`, algorithm, name: 'plain' as const },
  { setting: `ha1b_${SUFFIX[algorithm]}`, algorithm, name: 'full' as const },
])
const SETTINGS = [...TEXTS, ...LISTS, ...HASHES.map(({ setting }) => setting), 'attributes']

/**
 * Reads accounts. Of a password only the HA1 of every algorithm is kept.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path and line. No issue holds a password or HA1.
 * @example
 * parseCredentials(readFileSync('users.toml', 'utf8'))
 */
export function parseCredentials(toml: string): CredentialStore {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_CONFIG_INVALID', document.issues)
  const issues: Issue[] = []
  const report = reportTo(issues, document.lineOf)
  reportUnknown(document.value, ['users'], [], report)
  const entries = new Map<string, Entry>()
  const users = document.value['users'] ?? []
  if (Array.isArray(users) && users.every(isTable))
    for (const [i, table] of users.entries()) readUser(table, ['users', i], report, entries)
  else report(['users'], 'must be written as [[users]]')
  if (issues.length > 0)
    throw new ConfigError(
      'ERR_CONFIG_INVALID',
      issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    )

  return Object.freeze<CredentialStore>({
    find({ username, realm, algorithm }) {
      const entry = entries.get(keyOf(realm, username))
      return entry === undefined ? undefined : { ...entry.account, ha1: entry.ha1.get(algorithm) }
    },
  })
}

/** No name can hold the control character. */
const keyOf = (realm: string, username: string): string => `${realm}\0${username}`

function readUser(table: TomlTable, path: TomlPath, report: Report, entries: Map<string, Entry>): void {
  reportUnknown(table, SETTINGS, path, report)
  const text = (setting: (typeof TEXTS)[number]): string | undefined => {
    const value = table[setting]
    if (value === undefined) return undefined
    if (typeof value !== 'string')
      return report([...path, setting], `must be a string, is ${describeToml(value)}`)
    return value === '' ? report([...path, setting], 'must not be empty') : value
  }
  const [username, realm, password] = [text('username'), text('realm'), text('password')]
  const domain = text('domain')
  for (const [setting, value] of Object.entries({ username, realm, domain })) {
    if (value === undefined && table[setting] === undefined && setting !== 'domain')
      report([...path, setting], 'is missing')
    if (value !== undefined && (/["\\\p{Cc}]/u.test(value) || Buffer.byteLength(value) > 255))
      report([...path, setting], 'must have at most 255 bytes, no control characters, quotes or backslashes')
  }
  const status = text('status') ?? 'active'
  if (status !== 'active' && status !== 'inactive')
    return report([...path, 'status'], 'must be "active" or "inactive"')
  const given = readHashes(table, path, report)
  if (!['password', ...HASHES.map(({ setting }) => setting)].some((setting) => table[setting] !== undefined))
    report(path, `has no secret: give password or one of ${HASHES.map(({ setting }) => setting).join(', ')}`)
  if (password !== undefined && given.length > 0)
    report([...path, 'password'], `stands beside ${given[0]!.setting}: give only one of them`)
  const lists = LISTS.map((setting) => readList(table[setting], [...path, setting], report))
  const attributes = readAttributes(table['attributes'], [...path, 'attributes'], report)
  if (username === undefined || realm === undefined) return undefined

  const account = Object.freeze({
    username,
    domain,
    status,
    identities: lists[0]!,
    registersFor: lists[1]!,
    attributes,
  } satisfies AccountFacts)
  const full = `${username}@${domain ?? realm}`
  for (const [form, name] of [
    ['plain', username],
    ['full', full],
  ] as const) {
    if (entries.has(keyOf(realm, name))) report([...path, 'username'], 'repeats one above, in the same realm')
    const ha1 = new Map<HashAlgorithm, KeyObject>()
    for (const hash of given) if (hash.name === form) ha1.set(hash.algorithm, hash.ha1)
    if (password !== undefined)
      for (const algorithm of HASH_ALGORITHMS)
        ha1.set(algorithm, createSecretKey(computeHa1(algorithm, name, realm, password)))
    if (ha1.size > 0) entries.set(keyOf(realm, name), { account, ha1 })
  }
}

function readHashes(table: TomlTable, path: TomlPath, report: Report) {
  return HASHES.flatMap(({ setting, algorithm, name }) => {
    const value = table[setting]
    if (value === undefined) return []
    const digits = specOf(algorithm).size * 2
    if (typeof value !== 'string' || value.length !== digits || !/^[0-9a-f]+$/i.test(value)) {
      report([...path, setting], `must be ${digits} hexadecimal digits`)
      return []
    }
    return [{ setting, algorithm, name, ha1: createSecretKey(Buffer.from(value, 'hex')) }]
  })
}

function readList(value: TomlValue | undefined, path: TomlPath, report: Report): readonly string[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string' && item !== '')) {
    report(path, 'must be a list of strings')
    return []
  }
  return Object.freeze([...(value as readonly string[])])
}

function readAttributes(
  value: TomlValue | undefined,
  path: TomlPath,
  report: Report,
): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = {}
  if (value === undefined) return attributes
  if (!isTable(value)) {
    report(path, `must be a table, is ${describeToml(value)}`)
    return attributes
  }
  for (const [name, text] of Object.entries(value)) {
    if (typeof text === 'string') attributes[name] = text
    else report([...path, name], `must be a string, is ${describeToml(text)}`)
  }
  return Object.freeze(attributes)
}
