/**
 * Reading a TOML table by a schema: all that is right, and words of our own for all that is wrong.
 * @module
 */
import { z } from 'zod'
import { nearest } from '../errors.ts'
import { describeToml, isTable, type TomlPath, type TomlTable, type TomlValue } from '../toml.ts'

/** Takes one issue. */
export type Report = (path: TomlPath, message: string) => void

/** What could be read by a schema: like its output, but anything can be missing. */
export type Found<S> =
  S extends z.ZodOptional<infer Inner>
    ? Found<Inner>
    : S extends z.ZodPrefault<infer Inner>
      ? Found<Inner>
      : S extends z.ZodObject<infer Shape>
        ? { readonly [Name in keyof Shape]?: Found<Shape[Name]> | undefined }
        : S extends z.ZodRecord<z.core.$ZodRecordKey, infer Value>
          ? Readonly<Record<string, Found<Value> | undefined>>
          : S extends z.ZodDefault<z.ZodArray<z.ZodObject<infer Shape>>>
            ? readonly { readonly [Name in keyof Shape]?: Found<Shape[Name]> | undefined }[]
            : z.output<S>

/** A setting of a schema. */
export interface Leaf {
  /** From the root; `NAME` stands for a name that the operator chooses, `quirks[]` for each table of an array. */
  readonly path: readonly string[]
  readonly schema: z.ZodType
}

/** Every setting of a schema, in the order written. */
export function leavesOf(schema: z.ZodType, path: readonly string[] = []): readonly Leaf[] {
  const table = unwrap(schema)
  if (table instanceof z.ZodObject) {
    return Object.entries(table.shape as Record<string, z.ZodType>).flatMap(([name, inner]) =>
      leavesOf(inner, [...path, name]),
    )
  }
  if (table instanceof z.ZodRecord) return leavesOf(table.valueType as z.ZodType, [...path, 'NAME'])
  const element = tablesOf(table)
  if (element !== undefined) return leavesOf(element, [...path.slice(0, -1), `${path.at(-1)}[]`])
  return [{ path, schema }]
}

/** What each table of an array of tables is; undefined for any other schema. */
function tablesOf(schema: z.ZodType): z.ZodObject | undefined {
  return schema instanceof z.ZodArray && schema.element instanceof z.ZodObject ? schema.element : undefined
}

/** A schema without what says that it can be left out. */
export function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.def.innerType as z.ZodType)
  }
  return schema
}

/**
 * Reads the settings that a schema has. What is wrong is reported and left out, so that one fault hides no other; where
 * nothing was reported, the schema parses the value.
 */
export function readSettings<S extends z.ZodType>(schema: S, value: TomlTable, report: Report): Found<S> {
  const leaves = leavesOf(schema)

  /** The settings of that name in other tables: a line that stands in the wrong one. Tables in tables are far away. */
  function elsewhere(name: string, top: TomlPath[number] | undefined): string | undefined {
    const found = leaves
      .filter(({ path }) => path.at(-1) === name)
      .filter(({ path }) => path[0] === top || path.filter((part) => part !== 'NAME').length <= 2)
      .map(({ path }) => path.join('.'))
    return found.length === 0 ? undefined : found.join(' or ')
  }

  function unknown(path: TomlPath, name: string, found: TomlValue, names: readonly string[]): void {
    const near = nearest(name, names)
    const isShort = near !== undefined && (near.startsWith(name) || name.startsWith(near))
    const hint = (isTable(found) || isShort ? undefined : elsewhere(name, path[0])) ?? near
    report([...path, name], `unknown setting${hint === undefined ? '' : `; did you mean ${hint}?`}`)
  }

  function read(outer: z.ZodType, found: TomlValue | undefined, path: TomlPath): unknown {
    const schema = unwrap(outer)
    const table = found === undefined && outer instanceof z.ZodPrefault ? {} : found
    const wantsTable = schema instanceof z.ZodObject || schema instanceof z.ZodRecord
    // Said here, because the schema takes a date for a table.
    if (wantsTable && table !== undefined && !isTable(table)) {
      return report(path, `it must be a table, is ${describeToml(table)}`)
    }
    if (schema instanceof z.ZodObject && isTable(table)) {
      const shape = schema.shape as Readonly<Record<string, z.ZodType>>
      const names = Object.keys(shape)
      const known = names.map((name) => [name, read(shape[name]!, table[name], [...path, name])] as const)
      for (const [name, inner] of Object.entries(table)) {
        if (!names.includes(name)) unknown(path, name, inner, names)
      }
      return Object.fromEntries(known)
    }
    if (schema instanceof z.ZodRecord && isTable(found)) {
      return Object.fromEntries(
        Object.entries(found).map(([name, inner]) => {
          const key = (schema.keyType as z.ZodType).safeParse(name)
          for (const { message } of key.error?.issues ?? []) report([...path, name], message)
          return [name, read(schema.valueType as z.ZodType, inner, [...path, name])]
        }),
      )
    }
    const element = tablesOf(schema)
    if (element !== undefined && Array.isArray(found)) {
      return found.map((each, index) => read(element, each, [...path, index]))
    }
    if (schema instanceof z.ZodUnion && isTable(found)) {
      const option = (schema.options as readonly z.ZodType[]).find((each) => each instanceof z.ZodObject)
      const known = option && read(option, found, path)
      return option?.safeParse(found).success === true ? known : undefined
    }
    return mismatch(outer, found, path)
  }

  function mismatch(schema: z.ZodType, found: TomlValue | undefined, path: TomlPath): unknown {
    const result = schema.safeParse(found)
    if (result.success) return result.data
    for (const issue of result.error.issues) {
      const where = issue.path.filter((key) => typeof key !== 'symbol')
      report([...path, ...where], explain(issue, schema, at(found, where)))
    }
    // Of a list, what is right in it: other checks want to see it.
    const list = unwrap(schema)
    if (!(list instanceof z.ZodArray) || !Array.isArray(found)) return undefined
    return found.flatMap((element) => {
      const one = (list.element as z.ZodType).safeParse(element)
      return one.success ? [one.data] : []
    })
  }

  return read(schema, value, []) as Found<S>
}

/** What must stand in the table that a union takes, as `{ sender = "…", receiver = "…" }`. */
function shapeOf(union: z.ZodType): string {
  const options = union instanceof z.ZodUnion ? (union.options as readonly z.ZodType[]) : []
  const table = options.find((option) => option instanceof z.ZodObject)
  const settings = Object.entries(table?.shape ?? {})
  const needed = settings.filter(([, schema]) => !(schema instanceof z.ZodOptional))
  return `{ ${needed.map(([name]) => `${name} = "…"`).join(', ')} }`
}

function at(value: TomlValue | undefined, path: readonly (string | number)[]): TomlValue | undefined {
  return path.reduce<TomlValue | undefined>(
    (found, key) =>
      typeof found === 'object' ? (found as Readonly<Record<string | number, TomlValue>>)[key] : undefined,
    value,
  )
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'a boolean',
  number: 'a number',
  int: 'a whole number',
  array: 'an array',
}

function explain(issue: z.core.$ZodIssue, schema: z.ZodType, value: TomlValue | undefined): string {
  const kind = unwrap(schema)
  if (value === undefined) return 'it is missing'
  if (kind instanceof z.ZodNumber && (typeof value === 'number' || typeof value === 'bigint')) {
    const whole = kind.isInt ? 'a whole number ' : ''
    return `it must be ${whole}from ${kind.minValue} to ${kind.maxValue}, is ${value}`
  }
  if (issue.code === 'invalid_type') {
    return `it must be ${KINDS[issue.expected] ?? issue.expected}, is ${describeToml(value)}`
  }
  if (issue.code === 'invalid_union') return `it must be a text, or a table ${shapeOf(kind)}`
  if (issue.code === 'invalid_value') {
    const choices = issue.values.map(String)
    const hint = typeof value === 'string' ? nearest(value, choices) : undefined
    const list = choices.map((choice) => JSON.stringify(choice)).join(', ')
    return `it must be one of ${list}${hint === undefined ? '' : `; did you mean ${JSON.stringify(hint)}?`}`
  }
  return issue.code === 'too_small' ? 'it is empty' : issue.message
}
