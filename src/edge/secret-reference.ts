/**
 * Secrets of `edge.toml`, which holds none: where they are, and reading them, alone or within a table for a client.
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { codeOf, ConfigError, type Issue } from '../errors.ts'
import { formatPath, isTable, type TomlPath, type TomlTable, type TomlValue } from '../toml.ts'

/** Where a secret is kept. */
export interface SecretReference {
  readonly kind: 'env' | 'file'
  /** Name of the variable, or path as written. */
  readonly name: string
}

/** `env:NAME` or `file:PATH`; a message where it is none, which does not repeat it: it may be the secret itself. */
export function parseSecretReference(text: string): SecretReference | string {
  const [, kind, name = ''] = /^(env|file):(.+)$/.exec(text) ?? []
  if (kind === 'env' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { kind, name }
  if (kind === 'file' && !name.includes('\0')) return { kind, name }
  return 'it must be env:NAME or file:PATH: no secret stands in this file'
}

/** Where secrets are looked up. */
export interface SecretPlaces {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where relative paths start. */
  readonly folder: string
}

/** A secret, or what is wrong with it. */
export type SecretResult =
  | { readonly ok: true; readonly secret: string }
  | { readonly ok: false; readonly message: string }

const fault = (message: string): SecretResult => ({ ok: false, message })

/** Reads a secret; a line end behind it in a file is not part of it. */
export function readSecret({ kind, name }: SecretReference, { env, folder }: SecretPlaces): SecretResult {
  if (kind === 'env') {
    const secret = env[name] ?? ''
    return secret === ''
      ? fault(`the environment variable ${name} is not set, or empty`)
      : { ok: true, secret }
  }
  try {
    const secret = readFileSync(resolve(folder, name), 'utf8').replace(/\r?\n$/, '')
    return secret === '' ? fault(`the file ${JSON.stringify(name)} is empty`) : { ok: true, secret }
  } catch (error) {
    return fault(`the file ${JSON.stringify(name)} cannot be read (${codeOf(error, 'unknown')})`)
  }
}

/**
 * The secret that a setting refers to.
 * @param path the setting
 * @throws ConfigError `ERR_CONFIG_INVALID` where it cannot be read
 */
export function fetchSecret(
  reference: SecretReference | undefined,
  path: string,
  places: SecretPlaces,
): string | undefined {
  if (reference === undefined) return undefined
  const read = readSecret(reference, places)
  if (read.ok) return read.secret
  throw new ConfigError('ERR_CONFIG_INVALID', [{ path, message: read.message }])
}

/**
 * A table as a client takes it: each text `env:NAME` or `file:PATH`, at any depth, is replaced by what is there.
 * @param at where the table stands
 * @throws ConfigError `ERR_CONFIG_INVALID` with each that cannot be read; never with what was read
 */
export function fetchTable(table: TomlTable, at: TomlPath, places: SecretPlaces): Record<string, unknown> {
  const issues: Issue[] = []

  function fetched(value: TomlValue, path: TomlPath): unknown {
    if (Array.isArray(value)) return value.map((each: TomlValue, i) => fetched(each, [...path, i]))
    if (isTable(value)) return tableOf(value, path)
    if (typeof value !== 'string' || !/^(?:env|file):/.test(value)) return value
    const reference = parseSecretReference(value)
    const read = typeof reference === 'string' ? fault(reference) : readSecret(reference, places)
    if (read.ok) return read.secret
    issues.push({ path: formatPath(path), message: read.message })
    return undefined
  }

  const tableOf = (inner: TomlTable, path: TomlPath): Record<string, unknown> =>
    Object.fromEntries(Object.entries(inner).map(([name, each]) => [name, fetched(each, [...path, name])]))

  const made = tableOf(table, at)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return made
}
