/**
 * Checking a TOML table against a schema, with words of our own for what is wrong.
 * @module
 */
import type { z } from 'zod'
import { nearest } from '../errors.ts'
import { describeToml, type TomlPath, type TomlTable, type TomlValue } from '../toml.ts'

/** Takes one issue. */
export type Report = (path: TomlPath, message: string) => void

/**
 * Names of the settings a table can have, by the table's name: `` for the root, `trunks` for every table in it, and
 * `agreements.*` for a table in one of those.
 */
export type KnownSettings = Readonly<Record<string, readonly string[]>>

/**
 * The settings as the schema has them. Unknown ones are reported and left out, so that the others can still be looked
 * at; undefined where one is missing or of a wrong kind.
 */
export function readSettings<S extends z.ZodType>(
  schema: S,
  value: TomlTable,
  known: KnownSettings,
  report: Report,
): z.infer<S> | undefined {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) explain(issue, [], value, known, report)
  return schema.safeParse(withoutUnknown(value, parsed.error.issues)).data
}

function withoutUnknown(value: TomlTable, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy: unknown = structuredClone(value)
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue
    const table = at(copy, issue.path)
    if (typeof table !== 'object' || table === null) continue
    for (const key of issue.keys) Reflect.deleteProperty(table, key)
  }
  return copy
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (found, key) =>
      typeof found === 'object' && found !== null ? (found as Record<PropertyKey, unknown>)[key] : undefined,
    value,
  )
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'a boolean',
  number: 'a number',
  int: 'a whole number',
  array: 'an array',
  object: 'a table',
  record: 'a table',
}

function explain(
  issue: z.core.$ZodIssue,
  above: TomlPath,
  root: TomlTable,
  known: KnownSettings,
  report: Report,
): void {
  const path = [...above, ...issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))]
  const value = at(root, path) as TomlValue | undefined
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) {
      const hint = nearest(key, known[tableName(path)] ?? [])
      report([...path, key], `unknown setting${hint === undefined ? '' : `; did you mean ${hint}?`}`)
    }
  } else if (issue.code === 'invalid_type') {
    const kind = KINDS[issue.expected] ?? issue.expected
    report(path, value === undefined ? 'it is missing' : `it must be ${kind}, is ${describeToml(value)}`)
  } else if (issue.code === 'invalid_key') {
    for (const { message } of issue.issues) report(path, message)
  } else if (issue.code === 'invalid_union') {
    // Of the alternatives, the one that the value could have been meant as.
    const isTable = typeof value === 'object' && !Array.isArray(value)
    const meant = issue.errors.find(
      (errors) =>
        isTable && !errors.some(({ code, path: where }) => code === 'invalid_type' && where.length === 0),
    )
    if (meant === undefined) report(path, 'it must be a text, or a table { sender = "…", receiver = "…" }')
    else for (const error of meant) explain(error, path, root, known, report)
  } else {
    report(path, issue.message)
  }
}

/** `trunks` for the path of any trunk, `agreements.*` for that of a table in an agreement. */
function tableName(path: TomlPath): string {
  const [first, ...more] = path.map(String)
  if (first !== 'agreements' && first !== 'trunks') return path.join('.')
  return more.length < 2 ? first : `${first}.*`
}
