/**
 * A keyring from TOML. The format is described in `keyrings/README.md`.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import {
  describeToml,
  formatPath,
  isOffsetDateTime,
  parseToml,
  type TomlPath,
  type TomlTable,
  type TomlValue,
} from '../toml.ts'
import { createKey, keyProblems, type Key, type KeyInput } from './key.ts'
import { createKeyring, groupProblems, REVOKED_ALWAYS, type Keyring, type KeyringOptions } from './keyring.ts'

/** A secret that is kept elsewhere: the name of an environment variable, a file's path, or sealed text. */
export interface SecretReference {
  readonly kind: 'env' | 'file' | 'sealed'
  readonly value: string
}

/** Limits, and where secrets come from that the text only refers to. */
export interface ParseKeyringOptions extends KeyringOptions {
  /**
   * Fetches `value_env`, `value_file` and `sealed`. Of a file's bytes one newline at the end is cut, since editors and
   * `echo` add it; the others are taken as they are. What it throws becomes an issue: its message must not hold secrets.
   */
  readonly resolve?: ((reference: SecretReference) => Uint8Array) | undefined
}

const SOURCES = ['value', 'value_base64', 'value_hex', 'value_env', 'value_file', 'sealed'] as const
const SETTINGS = ['name', ...SOURCES, 'active_from', 'expires', 'revoked'] as const
type Source = (typeof SOURCES)[number]
type Setting = (typeof SETTINGS)[number]

type Report = (path: TomlPath, message: string) => undefined

/**
 * Parses a keyring.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue, its path and line. No issue holds a secret.
 * @example
 * parseKeyring(readFileSync('keyring.toml', 'utf8'), { now: new Date() })
 */
export function parseKeyring(toml: string, options: ParseKeyringOptions = {}): Keyring {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_KEYRING_INVALID', document.issues)

  const issues: Issue[] = []
  const report: Report = (path, message) => {
    const line = document.lineOf(path)
    issues.push({ path: formatPath(path), ...(line !== undefined && { line }), message })
    return undefined
  }
  const groups = readGroups(document.value, report).map(({ id, tables }) => ({
    id,
    keys: tables.map((table, i) => readKey(table, ['groups', id, 'keys', i], options, report)),
  }))
  for (const { path, message } of groupProblems(groups, options)) report(path, message)
  if (issues.length > 0) {
    throw new ConfigError(
      'ERR_KEYRING_INVALID',
      issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    )
  }
  return createKeyring(
    groups.map(({ id, keys }) => [id, keys.flatMap(toKey)]),
    options,
  )
}

function readGroups(root: TomlTable, report: Report): { id: string; tables: readonly TomlTable[] }[] {
  reportUnknown(root, ['groups'], [], report)
  const groups = root['groups']
  if (groups === undefined) return []
  if (!isTable(groups)) {
    report(['groups'], `must be written as [[groups.ID.keys]], is ${describeToml(groups)}`)
    return []
  }
  return Object.entries(groups).flatMap(([id, group]) => {
    if (!isTable(group)) {
      report(['groups', id], `must be written as [[groups.ID.keys]], is ${describeToml(group)}`)
      return []
    }
    reportUnknown(group, ['keys'], ['groups', id], report)
    const keys = group['keys']
    if (!isArrayOfTables(keys)) {
      report(['groups', id], 'has no keys: each is written as a table [[groups.ID.keys]]')
      return []
    }
    return [{ id, tables: keys }]
  })
}

/** A key as far as it can be read. */
type KeyDraft = Omit<KeyInput, 'name' | 'secret'> & {
  readonly name: string | undefined
  readonly secret: Uint8Array | undefined
}

/** Only a keyring without issues gets here, and in that every key has name and secret. */
function toKey({ name, secret, ...times }: KeyDraft): readonly Key[] {
  return name === undefined || secret === undefined ? [] : [createKey({ name, secret, ...times })]
}

/** Reads a key; what is missing or wrong is reported. */
function readKey(table: TomlTable, path: TomlPath, options: ParseKeyringOptions, report: Report): KeyDraft {
  reportUnknown(table, SETTINGS, path, report)
  const reportSetting = (setting: Setting, message: string): undefined => report([...path, setting], message)

  const name = readText(table, 'name', reportSetting)
  if (table['name'] === undefined) reportSetting('name', 'is missing')
  const key = {
    name,
    secret: readSecret(table, path, options, report),
    activeFrom: readTime(table, 'active_from', reportSetting),
    expires: readTime(table, 'expires', reportSetting),
    revoked: readRevoked(table, reportSetting),
  }
  for (const problem of keyProblems({ ...key, name: name ?? 'unnamed' })) {
    report([...path, ...problem.path], problem.message)
  }
  return key
}

function readSecret(
  table: TomlTable,
  path: TomlPath,
  options: ParseKeyringOptions,
  report: Report,
): Uint8Array | undefined {
  const given = SOURCES.filter((source) => table[source] !== undefined)
  const [source, second] = given
  if (source === undefined) {
    report(path, `has no secret: give one of ${SOURCES.slice(0, -1).join(', ')}`)
    return undefined
  }
  if (second !== undefined) {
    report([...path, second], `stands beside ${source}: give only one of them`)
    return undefined
  }
  const reportSource = (_: Source, message: string): undefined => report([...path, source], message)
  const text = readText(table, source, reportSource)
  if (text === undefined) return undefined
  const bytes = secretOf(source, text, options.resolve)
  if (typeof bytes === 'string') return reportSource(source, bytes)
  if (bytes.length === 0) return reportSource(source, 'gives an empty secret')
  return bytes
}

const REFERENCE_KINDS = { value_env: 'env', value_file: 'file', sealed: 'sealed' } as const

/** The secret's bytes, or what is wrong with it. */
function secretOf(
  source: Source,
  text: string,
  resolve: ParseKeyringOptions['resolve'],
): Uint8Array | string {
  if (source === 'value') return Buffer.from(text, 'utf8')
  if (source === 'value_base64') {
    const bytes = Buffer.from(text, 'base64')
    return bytes.toString('base64') === text ? bytes : 'is not base64 (RFC 4648 section 4, padded)'
  }
  if (source === 'value_hex') {
    return /^(?:[0-9a-f]{2})*$/i.test(text)
      ? Buffer.from(text, 'hex')
      : 'is not hexadecimal, two digits a byte'
  }
  const bytes = resolveSecret({ kind: REFERENCE_KINDS[source], value: text }, resolve)
  return source === 'value_file' && typeof bytes !== 'string' ? withoutNewline(bytes) : bytes
}

function resolveSecret(
  reference: SecretReference,
  resolve: ParseKeyringOptions['resolve'],
): Uint8Array | string {
  if (reference.value === '') return 'must not be empty'
  if (resolve === undefined) return 'refers to a secret outside of this text, and none can be fetched here'
  try {
    return Uint8Array.from(resolve(reference))
  } catch (error) {
    // Whoever puts the secret itself where its name belongs must not find it in a log: "no such file: xks_…".
    const reason = error instanceof Error ? error.message.replaceAll(reference.value, '…') : 'unknown error'
    return `cannot be fetched: ${reason}`
  }
}

function withoutNewline(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== 0x0a) return bytes
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1)
}

function readText<S extends Setting>(
  table: TomlTable,
  setting: S,
  report: (setting: S, message: string) => undefined,
): string | undefined {
  const value = table[setting]
  if (value === undefined || typeof value === 'string') return value
  return report(setting, `must be a string, is ${describeToml(value)}`)
}

function readTime(
  table: TomlTable,
  setting: 'active_from' | 'expires',
  report: (setting: Setting, message: string) => undefined,
): Date | undefined {
  const value = table[setting]
  if (value === undefined || isOffsetDateTime(value)) return value
  return report(setting, expected('a date and time with an offset', value))
}

function readRevoked(
  table: TomlTable,
  report: (setting: Setting, message: string) => undefined,
): Date | undefined {
  const value = table['revoked']
  if (value === undefined || value === false) return undefined
  if (value === true) return REVOKED_ALWAYS
  if (isOffsetDateTime(value)) return value
  return report('revoked', expected('true or a date and time with an offset', value))
}

function expected(what: string, value: TomlValue): string {
  return `must be ${what} and without quotes, such as 2026-10-01T00:00:00Z, is ${describeToml(value)}`
}

function reportUnknown(table: TomlTable, known: readonly string[], path: TomlPath, report: Report): void {
  for (const name of Object.keys(table)) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    report(
      [...path, name],
      near === undefined ? 'is not known here' : `is not known here: did you mean ${near}?`,
    )
  }
}

function isTable(value: TomlValue | undefined): value is TomlTable {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)
}

function isArrayOfTables(value: TomlValue | undefined): value is readonly TomlTable[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTable)
}
