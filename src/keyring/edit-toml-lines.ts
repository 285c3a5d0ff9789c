/**
 * The lines of a keyring, as far as they can be edited: blocks `[[groups.ID.keys]]`, a table `[seal]`, settings of one
 * line, comments. TOML has many more ways to say the same; a text that uses one of them is refused.
 * @module
 */
import { ConfigError } from '../errors.ts'
import { parseToml } from '../toml.ts'
import { foldGroup } from './keyring.ts'

/** One line; `text` and `end` put together give back what was read. */
export interface Line {
  readonly text: string
  /** LF, CRLF, or nothing at the end of the file. */
  readonly end: string
}

/** A setting of a block. */
export interface SettingLine {
  /** Position of its line, from 0. */
  readonly at: number
  readonly name: string
  /** Where its value stands in the line. */
  readonly value: readonly [start: number, end: number]
}

/** A header and the settings below it. */
export interface Block {
  /** Position of the header's line. */
  readonly at: number
  /** Of a key: its group's id, and how that is written. */
  readonly group: { readonly id: string; readonly text: string } | 'seal'
  readonly settings: readonly SettingLine[]
}

/** A keyring taken apart. */
export interface KeyringLines {
  /** Byte order mark, or nothing. */
  readonly mark: string
  readonly lines: readonly Line[]
  readonly blocks: readonly Block[]
  /** How its lines end. */
  readonly eol: string
}

const NAME = String.raw`[A-Za-z0-9_-]+|"(?:[^"\\]|\\[^])*"|'[^']*'`
/** `[^]`: a point would end at characters that end lines in JavaScript and not in TOML. */
const REST = String.raw`[ \t]*(?:#[^]*)?$`
const KEY_HEADER = new RegExp(
  String.raw`^[ \t]*\[\[[ \t]*groups[ \t]*\.[ \t]*(${NAME})[ \t]*\.[ \t]*keys[ \t]*\]\]${REST}`,
)
const SEAL_HEADER = new RegExp(String.raw`^[ \t]*\[[ \t]*seal[ \t]*\]${REST}`)
const SETTING = new RegExp(String.raw`^([ \t]*(${NAME})[ \t]*=[ \t]*)([^]*)$`)
/** A string, number, date or boolean on one line; not the start of a string of several lines. */
const VALUE = String.raw`(?!"""|''')(?:"(?:[^"\\\r\n]|\\[^])*"|'[^'\r\n]*'|[A-Za-z0-9+-](?:[^#"'=,[\]{}\r\n]*[A-Za-z0-9])?)`
const VALUE_AND_REST = new RegExp(`^(${VALUE})${REST}`)
const ONLY_VALUE = new RegExp(`^${VALUE}$`)

/**
 * Takes a keyring apart.
 * @throws ConfigError `ERR_KEYRING_INVALID`: it is not TOML, or has lines that cannot be edited, each with its number
 */
export function readLines(toml: string): KeyringLines {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_KEYRING_INVALID', document.issues)
  const mark = toml.startsWith('\uFEFF') ? '\uFEFF' : ''
  const lines = splitLines(toml.slice(mark.length))
  const blocks: (Block & { readonly settings: SettingLine[] })[] = []
  const odd: number[] = []
  for (const [at, { text }] of lines.entries()) {
    if (isBlank(text) || isComment(text)) continue
    const group = readHeader(text)
    const block = blocks.at(-1)
    if (group !== undefined) {
      blocks.push({ at, group, settings: [] })
      continue
    }
    const setting = readSetting(text, at)
    if (setting === undefined || block === undefined) odd.push(at)
    else block.settings.push(setting)
  }
  if (odd.length > 0) throw new ConfigError('ERR_KEYRING_INVALID', odd.map(cannotEdit))
  return { mark, lines, blocks, eol: lines[0]?.end || '\n' }
}

/** The text again. */
export function joinLines(mark: string, lines: readonly Line[]): string {
  return mark + lines.map(({ text, end }) => text + end).join('')
}

/** Position of a block's last line: comments below it may belong to what follows. */
export function lastLineOf(block: Block): number {
  return block.settings.at(-1)?.at ?? block.at
}

/** Whether a block is a key of the group, ids compared as keyrings do. */
export function isKeyOf(block: Block, group: string): boolean {
  return block.group !== 'seal' && foldGroup(block.group.id) === foldGroup(group)
}

/** Whether a text is one value on one line, and nothing else. */
export function isOneValue(text: string): boolean {
  return ONLY_VALUE.test(text)
}

/** Whether a line is empty. */
export function isBlank(text: string): boolean {
  return /^[ \t]*$/.test(text)
}

/** The remark behind a setting, or nothing. */
export function remarkOf(line: Line, { value }: SettingLine): string {
  return line.text.slice(value[1]).trim()
}

/** White space that a line starts with. */
export function indentOf(line: Line): string {
  return /^[ \t]*/.exec(line.text)![0]
}

function splitLines(text: string): readonly Line[] {
  return Array.from(text.matchAll(/([^\n]*?)(\r?\n|$)/g), ([, line = '', end = '']) => ({
    text: line,
    end,
  })).filter(({ text, end }) => text !== '' || end !== '')
}

function isComment(text: string): boolean {
  return /^[ \t]*#/.test(text)
}

function readHeader(text: string): Block['group'] | undefined {
  if (SEAL_HEADER.test(text)) return 'seal'
  const id = KEY_HEADER.exec(text)?.[1]
  return id === undefined ? undefined : { id: nameOf(id), text: id }
}

function readSetting(text: string, at: number): SettingLine | undefined {
  const [, before = '', name = '', rest = ''] = SETTING.exec(text) ?? []
  const value = VALUE_AND_REST.exec(rest)?.[1]
  if (value === undefined) return undefined
  return { at, name: nameOf(name), value: [before.length, before.length + value.length] }
}

/** A name without its quotes. */
function nameOf(written: string): string {
  const document = parseToml(`${written} = 0`)
  return document.ok ? (Object.keys(document.value)[0] ?? '') : ''
}

function cannotEdit(at: number) {
  return {
    path: 'file',
    line: at + 1,
    message:
      'cannot be edited by a command, which knows keys as blocks [[groups.ID.keys]] with each setting on a line of its own: edit the file by hand',
  }
}
