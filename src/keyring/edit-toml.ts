/**
 * Narrow edits of a keyring's text: append a key, set, change or remove one setting of a key, remove a key. Comments,
 * order and line ends stay. What each edit makes is parsed again and must be exactly what was meant, or it is refused.
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import { ConfigError, nearest } from '../errors.ts'
import { formatPath, parseToml, type TomlTable, type TomlValue } from '../toml.ts'
import {
  indentOf,
  isBlank,
  isKeyOf,
  isOneValue,
  joinLines,
  lastLineOf,
  readLines,
  remarkOf,
  type Block,
  type KeyringLines,
  type Line,
} from './edit-toml-lines.ts'
import { quote } from './format-toml.ts'
import type { KeyRef } from './keyring.ts'
import { parseKeyring } from './parse-toml.ts'

export { quote as tomlString } from './format-toml.ts'

/** A setting's name and its value as TOML writes it: see `tomlString` and `tomlDate`. */
export type KeySetting = readonly [name: string, valueText: string]

/** A key as it is appended. */
export interface NewKey {
  readonly name: string
  /** All but the name, in the order in which they are to stand. */
  readonly settings: readonly KeySetting[]
}

/** An instant as TOML writes it, without empty milliseconds: `2026-10-01T00:00:00Z`. */
export function tomlDate(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z')
}

/**
 * Appends a key as a block at the end. A group that is there keeps the spelling of its id.
 * @throws ConfigError `ERR_KEYRING_INVALID`: the text cannot be edited, or would not be a keyring afterwards
 */
export function appendKey(toml: string, group: string, key: NewKey): string {
  const read = readLines(toml)
  const written = read.blocks.findLast((block) => isKeyOf(block, group))?.group
  const known = written === 'seal' ? undefined : written
  const settings: readonly KeySetting[] = [['name', quote(key.name)], ...key.settings]
  const line = (text: string): Line => ({ text, end: read.eol })
  const lines = [
    ...read.lines.map((one) => (one.end === '' ? line(one.text) : one)),
    ...(read.lines.length === 0 || isBlank(read.lines.at(-1)!.text) ? [] : [line('')]),
    line(`[[groups.${known?.text ?? bareOrQuoted(group)}.keys]]`),
    ...settings.map(([name, value]) => line(`${name} = ${value}`)),
  ]
  return checked(read, lines, (root) => {
    const groups = (root['groups'] ??= table()) as Table
    const entry = (groups[known?.id ?? group] ??= Object.assign(table(), { keys: [] })) as { keys: Table[] }
    entry.keys.push(
      Object.assign(table(), Object.fromEntries(settings.map(([name, text]) => [name, valueOf(text)]))),
    )
  })
}

/**
 * Sets one setting of a key: its line keeps its place, spacing and remark; a new line goes below the key's others.
 * @throws ConfigError `ERR_KEYRING_INVALID`: there is no such key, the text cannot be edited, or would not be a keyring
 *   afterwards
 */
export function setKeySetting(toml: string, ref: KeyRef, setting: string, valueText: string): string {
  const read = readLines(toml)
  const { block, index, group } = findKey(read, ref)
  const found = block.settings.find(({ name }) => name === setting)
  const above = lastLineOf(block)
  const lines = [...read.lines]
  if (found === undefined) {
    const { text, end } = lines[above]!
    lines[above] = { text, end: end || read.eol }
    lines.splice(above + 1, 0, { text: `${indentOf(lines[above])}${setting} = ${valueText}`, end })
  } else {
    const { text, end } = lines[found.at]!
    lines[found.at] = { text: text.slice(0, found.value[0]) + valueText + text.slice(found.value[1]), end }
  }
  return checked(read, lines, (root) => {
    keysOf(root, group)[index]![setting] = valueOf(valueText)
  })
}

/**
 * Removes one setting of a key; a remark behind it stays, as a line. Where the key has no such setting nothing changes.
 * @throws ConfigError as `setKeySetting`
 */
export function removeKeySetting(toml: string, ref: KeyRef, setting: string): string {
  const read = readLines(toml)
  const { block, index, group } = findKey(read, ref)
  const found = block.settings.find(({ name }) => name === setting)
  if (found === undefined) return toml
  const line = read.lines[found.at]!
  const remark = remarkOf(line, found)
  const left = remark === '' ? [] : [{ text: indentOf(line) + remark, end: line.end }]
  return checked(read, read.lines.toSpliced(found.at, 1, ...left), (root) => {
    delete keysOf(root, group)[index]![setting]
  })
}

/**
 * Removes a key: its block from the header to its last setting, with the comments in between. Comments above and below
 * stay. A group whose last key goes is gone.
 * @throws ConfigError as `setKeySetting`
 */
export function removeKey(toml: string, ref: KeyRef): string {
  const read = readLines(toml)
  const { block, index, group } = findKey(read, ref)
  const above = read.lines.slice(0, block.at)
  let below = read.lines.slice(lastLineOf(block) + 1)
  // One gap is left of two, and none at the end.
  if (isBlank(above.at(-1)?.text ?? '')) below = fromText(below)
  const rest = below.length > 0 ? [...above, ...below] : fromText(above.toReversed()).toReversed()
  return checked(read, rest, (root) => {
    keysOf(root, group).splice(index, 1)
    const groups = root['groups'] as Table
    if (keysOf(root, group).length === 0) delete groups[group]
    if (Object.keys(groups).length === 0) delete root['groups']
  })
}

/** The lines from the first one on that is not empty. */
function fromText(lines: readonly Line[]): Line[] {
  const first = lines.findIndex(({ text }) => !isBlank(text))
  return first < 0 ? [] : lines.slice(first)
}

type Table = Record<string, unknown>

/** As the parser makes them. */
const table = (): Table => Object.create(null) as Table

const keysOf = (root: Table, group: string): Table[] =>
  (root['groups'] as Record<string, { keys: Table[] }>)[group]!.keys

/** The block of a key, and where the key is among the values. */
function findKey(
  read: KeyringLines,
  { group, name }: KeyRef,
): { readonly block: Block; readonly index: number; readonly group: string } {
  const blocks = read.blocks.filter((block) => isKeyOf(block, group))
  const names = blocks.map((block) => nameOf(read, block))
  const index = names.indexOf(name)
  const block = blocks[index]
  if (block === undefined || block.group === 'seal') {
    const near = nearest(
      name,
      names.filter((other) => other !== undefined),
    )
    const hint = near === undefined ? '' : `: did you mean ${JSON.stringify(near)}?`
    const message = `has no key ${JSON.stringify(name)}${hint}`
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: formatPath(['groups', group]), message }])
  }
  return { block, index, group: block.group.id }
}

function nameOf({ lines }: KeyringLines, { settings }: Block): string | undefined {
  const setting = settings.find(({ name }) => name === 'name')
  if (setting === undefined) return undefined
  const value = valueOf(lines[setting.at]!.text.slice(...setting.value))
  return typeof value === 'string' ? value : undefined
}

/** The lines as text, if they say what was meant and are a keyring. */
function checked(read: KeyringLines, lines: readonly Line[], change: (root: Table) => void): string {
  const meant = copyOf(valuesOf(joinLines(read.mark, read.lines))) as Table
  change(meant)
  const text = joinLines(read.mark, lines)
  const after = readLines(text)
  if (!isDeepStrictEqual(valuesOf(text), meant)) {
    const message = 'cannot be edited by a command without changing more than was meant: edit it by hand'
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: 'file', message }])
  }
  // How many keys may be usable depends on the time; whether a seal fits, on a key-encryption key.
  parseKeyring(withoutSeal(after), {
    maxKeysPerGroup: Number.MAX_SAFE_INTEGER,
    resolve: () => Uint8Array.of(0),
  })
  return text
}

function withoutSeal({ mark, lines, blocks }: KeyringLines): string {
  const seals = blocks.filter(({ group }) => group === 'seal')
  const isOf = (at: number): boolean => seals.some((seal) => seal.at <= at && at <= lastLineOf(seal))
  return joinLines(
    mark,
    lines.map((line, at) => (isOf(at) ? { text: '', end: line.end } : line)),
  )
}

function valuesOf(toml: string): TomlTable {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_KEYRING_INVALID', document.issues)
  return document.value
}

/** What a value's text stands for. More than one value on one line is refused, lest it bring settings of its own. */
function valueOf(text: string): TomlValue {
  if (!isOneValue(text)) {
    const message = 'a setting takes one string, number, date or boolean on one line'
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: 'value', message }])
  }
  return valuesOf(`value = ${text}`)['value']!
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.assign(
    table(),
    Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copyOf(part)])),
  )
}

function bareOrQuoted(id: string): string {
  return /^[A-Za-z0-9_-]+$/.test(id) ? id : quote(id)
}
