/**
 * A table such as `[keyring.redis]` as the client takes it: what it refers to is fetched, so that no password stands in a file.
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { codeOf, ConfigError, type Issue } from '../errors.ts'
import { formatPath, isTable, type TomlTable, type TomlValue } from '../toml.ts'

/** Where what is referred to is fetched from. */
export interface FetchOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What the paths of files are relative to. */
  readonly directory: string
}

/**
 * The settings with `env:NAME` and `file:PATH` replaced, at any depth; one newline at the end of a file is cut.
 * @param at the table that it stands in
 * @throws ConfigError `ERR_CONFIG_INVALID` with each that cannot be fetched; never with what was fetched
 */
export function fetchRedisOptions(
  table: TomlTable,
  at: readonly string[],
  options: FetchOptions,
): Record<string, unknown> {
  const issues: Issue[] = []

  function fetched(value: TomlValue, path: readonly (string | number)[]): unknown {
    if (Array.isArray(value)) return value.map((each: TomlValue, i) => fetched(each, [...path, i]))
    if (isTable(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, each]) => [name, fetched(each, [...path, name])]),
      )
    }
    if (typeof value !== 'string') return value
    const [, kind, place = ''] = /^(env|file):(.+)$/.exec(value) ?? []
    if (kind === undefined) return value
    const found = kind === 'env' ? options.env[place] : textOf(resolve(options.directory, place))
    if (typeof found === 'string') return found
    const message =
      kind === 'env' ? 'the environment variable is not set' : `the file cannot be read (${found?.code})`
    issues.push({ path: formatPath(path), message })
    return undefined
  }

  const made = fetched(table, [...at, 'redis']) as Record<string, unknown>
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return made
}

function textOf(path: string): string | { readonly code: string } {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    return { code: codeOf(error, 'unreadable') }
  }
}
