/**
 * Single lines of a keyring's text: set, remove, put in. Everything else stays as it is, comments and line ends too.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import { formatPath, type TomlPath } from '../toml.ts'

/** A change of one line. */
export interface LineEdit {
  /** What is on it, for messages. */
  readonly path: TomlPath
  /** From 1. */
  readonly line: number | undefined
  /** The new setting and its value as TOML, or that the line goes. */
  readonly to: readonly [setting: string, value: string] | 'remove'
}

/** A setting with a text or a number on a line of its own, and what may stand behind it. */
const SETTING =
  /^([ \t]*)([A-Za-z0-9_-]+)([ \t]*=[ \t]*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#[{]+)([ \t]*(?:#.*)?)$/
const HEADER = /^[ \t]*\[[ \t]*[A-Za-z0-9_-]+[ \t]*\][ \t]*(?:#.*)?$/
const BOM = '\uFEFF'

/**
 * Changes lines that hold one setting each; comments behind the values stay.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every line that is not of that form
 */
export function editLines(toml: string, edits: readonly LineEdit[]): string {
  const lines: (string | undefined)[] = toml.split('\n')
  const issues: Issue[] = []
  for (const { path, line, to } of edits) {
    const [, indent, setting, equals, , rest] = SETTING.exec(bare(lines[(line ?? 0) - 1] ?? '')) ?? []
    if (line === undefined || setting !== path.at(-1)) {
      const message = 'must stand on a line of its own, as name = "value", for this'
      issues.push({ path: formatPath(path), ...(line !== undefined && { line }), message })
    } else if (to === 'remove') {
      lines[line - 1] = undefined
    } else {
      lines[line - 1] = `${indent}${to[0]}${equals}${to[1]}${rest}${endOf(lines[line - 1]!)}`
    }
  }
  if (issues.length > 0) throw new ConfigError('ERR_KEYRING_INVALID', issues)
  return lines.filter((line) => line !== undefined).join('\n')
}

/**
 * Takes out the header of a table whose settings are gone already, and one empty line behind it.
 * @throws ConfigError `ERR_KEYRING_INVALID` where the line is not the header of a table
 */
export function removeHeader(toml: string, path: TomlPath, line: number): string {
  const lines = toml.split('\n')
  if (!HEADER.test(bare(lines[line - 1] ?? ''))) {
    const message = 'must be written as a table with a header of its own'
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: formatPath(path), line, message }])
  }
  const count = bare(lines[line] ?? '#') === '' ? 2 : 1
  const rest = lines.toSpliced(line - 1, count).join('\n')
  return toml.startsWith(BOM) && !rest.startsWith(BOM) ? BOM + rest : rest
}

/** Puts a table in above a line and the comment that belongs to it, with an empty line behind. */
export function insertTable(toml: string, line: number, table: readonly string[]): string {
  const text = toml.startsWith(BOM) ? toml.slice(1) : toml
  const lines = text.split('\n')
  let at = line - 1
  while (at > 0 && /^[ \t]*#/.test(lines[at - 1]!)) at--
  const end = lines.length > 1 ? endOf(lines[0]!) : ''
  const added = [...table, ''].map((added) => added + end)
  return (text === toml ? '' : BOM) + lines.toSpliced(at, 0, ...added).join('\n')
}

/** The first line on which a text stands, from 1; `undefined`: on none. */
export function lineWith(toml: string, text: string): number | undefined {
  const at = toml.indexOf(text)
  return at < 0 ? undefined : toml.slice(0, at).split('\n').length
}

/** A line without what ends it, or what stands in front of the file. */
function bare(line: string): string {
  return line.replace(/^\uFEFF|\r$/g, '')
}

function endOf(line: string): string {
  return line.endsWith('\r') ? '\r' : ''
}
