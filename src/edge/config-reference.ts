/**
 * The settings of `edge.toml` as a reference page, from the schema that reads them.
 * @module
 */
import { z } from 'zod'
import { SETTING_FACTS } from './config-facts.ts'
import { keyringTable } from './config-keyring.ts'
import { configSchema } from './config-schema.ts'
import { leavesOf, unwrap } from './settings.ts'

/** One setting as the reference shows it; texts are Markdown. */
export interface SettingReference {
  /** Its table: `` for the root, `trunks.NAME`, `users.quirks[]` for an array of tables. */
  readonly table: string
  readonly name: string
  readonly value: string
  readonly default: string
  /** As TOML. */
  readonly example: string
  readonly meaning: string
}

/**
 * Every setting, in the order of the schema.
 * @throws Error where a setting of the schema has no facts
 */
export function describeSettings(): readonly SettingReference[] {
  // A setting that may be a text or a table stands there once as each.
  const leaves = leavesOf(configSchema).flatMap((leaf) =>
    leaf.path.join() === 'keyring' ? [leaf, ...leavesOf(keyringTable, ['keyring'])] : [leaf],
  )
  return leaves.map(({ path, schema }) => {
    const facts = SETTING_FACTS.get(schema)
    if (facts === undefined) throw new Error(`${path.join('.')} is not described`)
    const { meaning, example, form, unit, otherwise } = facts
    return {
      table: path.slice(0, -1).join('.'),
      name: path.at(-1)!,
      value: form ?? valueOf(unwrap(schema), unit),
      default: otherwise ?? defaultOf(schema),
      example,
      meaning,
    }
  })
}

/** The reference as Markdown: a table for each table of the file. */
export function settingsReference(): string {
  const settings = describeSettings()
  const tables = [...new Set(settings.map(({ table }) => table))]
  return tables
    .map((table) => {
      const rows = settings
        .filter((setting) => setting.table === table)
        .map(
          ({ name, value, default: preset, example, meaning }) =>
            `| \`${name}\` | ${value} | ${preset} | ${meaning} | \`${example}\` |`,
        )
      return [
        `### ${table === '' ? 'Top of the file' : `\`${headerOf(table)}\``}`,
        '',
        '| setting | value | default | meaning | example |',
        '|---|---|---|---|---|',
        ...rows,
      ].join('\n')
    })
    .join('\n\n')
}

/** `[trunks.NAME]`, `[[users.quirks]]`. */
function headerOf(table: string): string {
  return table.endsWith('[]') ? `[[${table.slice(0, -2)}]]` : `[${table}]`
}

function valueOf(schema: z.ZodType, unit: string | undefined): string {
  if (schema instanceof z.ZodNumber) {
    const range = `${schema.isInt ? 'whole number' : 'number'}, ${schema.minValue} to ${schema.maxValue}`
    return unit === undefined ? range : `${range} ${unit}`
  }
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `\`${option}\``).join(', ')
  return schema instanceof z.ZodBoolean ? '`true`, `false`' : 'text'
}

function defaultOf(schema: z.ZodType): string {
  if (!(schema instanceof z.ZodDefault)) return 'required'
  const preset: unknown = schema.def.defaultValue
  if (Array.isArray(preset) && preset.length === 0) return 'none'
  return `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``
}
