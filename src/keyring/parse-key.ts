/**
 * One key of a keyring in TOML: its settings, its secret.
 * @module
 */
import { nearest } from '../errors.ts'
import {
  describeToml,
  isOffsetDateTime,
  type TomlPath,
  type TomlTable,
  type TomlValue,
  type Report,
} from '../toml.ts'
import { keyProblems, type KeyInput } from './key.ts'
import { REVOKED_ALWAYS } from './keyring.ts'

/** A secret that is kept elsewhere: the name of an environment variable, a file's path, or sealed text. */
export interface SecretReference {
  readonly kind: 'env' | 'file' | 'sealed'
  readonly value: string
}

/** Fetches a secret that is kept elsewhere. */
export type ResolveSecret = (reference: SecretReference) => Uint8Array

/** The settings that can give a key its secret. */
export const SOURCES = ['value', 'value_base64', 'value_hex', 'value_env', 'value_file', 'sealed'] as const
const SETTINGS = ['name', ...SOURCES, 'active_from', 'expires', 'revoked'] as const
type Source = (typeof SOURCES)[number]
type Setting = (typeof SETTINGS)[number]

/** How the secrets of a keyring are got at. */
export interface SecretAccess {
  readonly resolve: ResolveSecret | undefined
  /** Opens a sealed secret of a sealed keyring; the text says what is wrong. */
  readonly open?: ((key: string, sealed: string) => Uint8Array | string) | undefined
  /** Sources that may not be used, and why. */
  readonly refuse?: ((source: Source) => string | undefined) | undefined
}

/** A key as far as it can be read. */
export type KeyDraft = Omit<KeyInput, 'name' | 'secret'> & {
  readonly name: string | undefined
  readonly secret: Uint8Array | undefined
  /** Which setting gives the secret, and its text. */
  readonly source: readonly [setting: Source, text: string] | undefined
}

/** Reads a key; what is missing or wrong is reported. */
export function readKey(table: TomlTable, path: TomlPath, access: SecretAccess, report: Report): KeyDraft {
  reportUnknown(table, SETTINGS, path, report)
  const reportSetting = (setting: Setting, message: string): undefined => report([...path, setting], message)

  const name = readText(table, 'name', reportSetting)
  if (table['name'] === undefined) reportSetting('name', 'is missing')
  const source = readSource(table, path, access, report)
  const key = {
    name,
    source,
    secret: source && readSecret(name ?? '', source, access, (message) => reportSetting(source[0], message)),
    activeFrom: readTime(table, 'active_from', reportSetting),
    expires: readTime(table, 'expires', reportSetting),
    revoked: readRevoked(table, reportSetting),
  }
  for (const problem of keyProblems({ ...key, name: name ?? 'unnamed' })) {
    report([...path, ...problem.path], problem.message)
  }
  return key
}

/** The one setting that gives the secret. */
function readSource(
  table: TomlTable,
  path: TomlPath,
  { refuse }: SecretAccess,
  report: Report,
): KeyDraft['source'] {
  const given = SOURCES.filter((source) => table[source] !== undefined)
  const [source, second] = given
  if (source === undefined)
    return report(path, `has no secret: give one of ${SOURCES.slice(0, -1).join(', ')}`)
  if (second !== undefined) return report([...path, second], `stands beside ${source}: give only one of them`)
  const refusal = refuse?.(source)
  if (refusal !== undefined) return report([...path, source], refusal)
  const text = readText(table, source, (_, message) => report([...path, source], message))
  return text === undefined ? undefined : [source, text]
}

function readSecret(
  name: string,
  [source, text]: NonNullable<KeyDraft['source']>,
  { resolve, open }: SecretAccess,
  report: (message: string) => undefined,
): Uint8Array | undefined {
  const bytes = source === 'sealed' && open !== undefined ? open(name, text) : secretOf(source, text, resolve)
  if (typeof bytes === 'string') return report(bytes)
  return bytes.length === 0 ? report('gives an empty secret') : bytes
}

const REFERENCE_KINDS = { value_env: 'env', value_file: 'file', sealed: 'sealed' } as const

/** The secret's bytes, or what is wrong with it. */
function secretOf(source: Source, text: string, resolve: ResolveSecret | undefined): Uint8Array | string {
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

function resolveSecret(reference: SecretReference, resolve: ResolveSecret | undefined): Uint8Array | string {
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

/** Reports every name of a table that is not known. */
export function reportUnknown(
  table: TomlTable,
  known: readonly string[],
  path: TomlPath,
  report: Report,
): void {
  for (const name of Object.keys(table)) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    report(
      [...path, name],
      near === undefined ? 'is not known here' : `is not known here: did you mean ${near}?`,
    )
  }
}
