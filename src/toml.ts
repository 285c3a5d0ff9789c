/**
 * TOML text to plain values, with the line on which each setting was written.
 * `@iarna/toml` does the parsing; a scan beside it only remembers lines, and refuses what the library lets slip:
 * names that `Object.prototype` has, which could reach objects of the process, and dates that no calendar has.
 * @module
 */
import { parse } from '@iarna/toml'
import type { Issue } from './errors.ts'

/** Where a value is: table names and array positions from the root. */
export type TomlPath = readonly (string | number)[]

/** What a TOML value becomes. Integers beyond 2^53 are `bigint`. Tables have no prototype. */
export type TomlValue = string | number | bigint | boolean | Date | readonly TomlValue[] | TomlTable

/** A TOML table. */
export interface TomlTable {
  readonly [name: string]: TomlValue
}

/** The values of a TOML text, or why there are none. */
export type TomlResult =
  | {
      readonly ok: true
      readonly value: TomlTable
      /**
       * The line, from 1, on which `path` is written; of a path that is not there, the line of the nearest table
       * around it. `undefined` for the root.
       */
      readonly lineOf: (path: TomlPath) => number | undefined
    }
  | { readonly ok: false; readonly issues: readonly Issue[] }

/**
 * Parses TOML 1.0. A leading byte order mark is ignored, and line ends become LF, inside of strings too. Issues carry line and column and never an excerpt of the
 * text, because the text may hold secrets. The names of `Object.prototype` (`__proto__`, `constructor`, …) are refused.
 */
export function parseToml(text: string): TomlResult {
  // The library takes the CR of a CRLF behind a comment for a control character.
  const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')
  const { lines, issues } = scan(source)
  if (issues.length > 0) return { ok: false, issues }
  try {
    const value = toTable(parse(source))
    return { ok: true, value, lineOf: (path) => lineOf(lines, path) }
  } catch (error) {
    return { ok: false, issues: [syntaxIssue(error)] }
  }
}

/** `groups."gw 1".keys[0].expires`: a path as it would be written in TOML, with array positions from 0. */
export function formatPath(path: TomlPath): string {
  return path
    .map((part, i) => {
      if (typeof part === 'number') return `[${part}]`
      const name = /^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part)
      return i === 0 ? name : `.${name}`
    })
    .join('')
}

/** Notes what is wrong at a path; `undefined`, so that a reader can return it. */
export type Report = (path: TomlPath, message: string) => undefined

/** Notes issues in a list, each with the line of its path where that is known. */
export function reportTo(issues: Issue[], lineOf: (path: TomlPath) => number | undefined): Report {
  return (path, message) => {
    const line = lineOf(path)
    issues.push({ path: formatPath(path), ...(line !== undefined && { line }), message })
    return undefined
  }
}

/** Whether a TOML value is an instant: a date and time with an offset, not a local date, time or date and time. */
export function isOffsetDateTime(value: unknown): value is Date {
  return value instanceof Date && !('isFloating' in value || 'isDate' in value || 'isTime' in value)
}

/** What a TOML value is, in words for a message: `a string`, `a table`. */
export function describeToml(value: TomlValue): string {
  if (typeof value === 'string') return 'a string'
  if (typeof value === 'boolean') return 'a boolean'
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number'
  if (value instanceof Date) return isOffsetDateTime(value) ? 'a date and time' : 'a local date or time'
  return Array.isArray(value) ? 'an array' : 'a table'
}

type Parsed = ReturnType<typeof parse>

function toTable(parsed: Parsed): TomlTable {
  const table: Record<string, TomlValue> = Object.create(null)
  for (const [name, value] of Object.entries(parsed)) table[name] = toPlain(value)
  return table
}

function toPlain(value: Parsed[string]): TomlValue {
  if (Array.isArray(value)) return value.map(toPlain)
  return typeof value === 'object' && !(value instanceof Date) ? toTable(value) : value
}

/** The library's message goes on with the lines around the error; only its first sentence is safe to show. */
function syntaxIssue(error: unknown): Issue {
  if (!(error instanceof Error)) return { path: 'file', message: 'not valid TOML' }
  const message = `not valid TOML: ${error.message.split(/ at row |\n/, 1)[0]}`
  if (
    !('line' in error && typeof error.line === 'number' && 'col' in error && typeof error.col === 'number')
  ) {
    return { path: 'file', message }
  }
  return { path: `column ${error.col + 1}`, line: error.line + 1, message }
}

function lineOf(lines: ReadonlyMap<string, number>, path: TomlPath): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(JSON.stringify(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return undefined
}

const SPACE = /(?:[ \t\r\n]+|#[^\n]*)*/y
const BLANK = /[ \t]*/y
const REST_OF_LINE = /[^\n]*/y
const BARE_KEY = /[A-Za-z0-9_-]+/y
const BASIC = /"(?:[^"\\\n]|\\.)*"/y
const LITERAL = /'[^'\n]*'/y
const MULTILINE = /"""(?:[^\\]|\\[^])*?"""(?:"{0,2})|'''[^]*?'''(?:'{0,2})/y
const SCALAR = /[^,\]}#\r\n]*/y
const MAX_DEPTH = 64

/** Walks the text once. It is lenient: what is not TOML is left to the library to report. */
function scan(text: string): {
  readonly lines: ReadonlyMap<string, number>
  readonly issues: readonly Issue[]
} {
  const lines = new Map<string, number>()
  const elements = new Map<string, number>()
  const issues: Issue[] = []
  let at = 0
  let line = 1

  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) {
      at += found.length
      for (let i = found.indexOf('\n'); i !== -1; i = found.indexOf('\n', i + 1)) line++
    }
    return found
  }

  function takeChar(char: string): boolean {
    const found = text[at] === char
    if (found) at++
    return found
  }

  function mark(path: TomlPath): void {
    for (let length = 1; length <= path.length; length++) {
      const prefix = JSON.stringify(path.slice(0, length))
      if (lines.has(prefix)) continue
      lines.set(prefix, line)
      const last = path[length - 1]!
      if (typeof last === 'string' && last in Object.prototype) {
        issues.push({ path: formatPath(path.slice(0, length)), line, message: 'this name cannot be used' })
      }
    }
  }

  function takeName(): string[] {
    const name: string[] = []
    do {
      take(BLANK)
      const bare = take(BARE_KEY)
      const quoted = bare === undefined ? (take(BASIC) ?? take(LITERAL)) : undefined
      if (bare === undefined && quoted === undefined) break
      name.push(bare ?? unquote(quoted!))
      take(BLANK)
    } while (takeChar('.'))
    return name
  }

  function takeAssignment(table: TomlPath, depth: number): void {
    const name = takeName()
    if (name.length === 0 || !takeChar('=')) return
    const path = [...table, ...name]
    mark(path)
    take(BLANK)
    takeValue(path, depth)
  }

  function takeValue(path: TomlPath, depth: number): void {
    if (depth > MAX_DEPTH) {
      issues.push({ path: formatPath(path.slice(0, 2)), line, message: 'is nested too deeply' })
      at = text.length
    } else if ((take(MULTILINE) ?? take(BASIC) ?? take(LITERAL)) !== undefined) {
      return
    } else if (takeChar('[')) {
      takeList(']', (i) => {
        mark([...path, i])
        takeValue([...path, i], depth + 1)
      })
    } else if (takeChar('{')) {
      takeList('}', () => takeAssignment(path, depth + 1))
    } else if (!isPossibleDate(take(SCALAR)!.trim())) {
      issues.push({ path: formatPath(path), line, message: 'is not a date and time that exists' })
    }
  }

  function takeList(close: string, takeItem: (index: number) => void): void {
    for (let i = 0; ; i++) {
      take(SPACE)
      if (at >= text.length || takeChar(close)) return
      const before = at
      takeItem(i)
      take(SPACE)
      takeChar(',')
      if (at === before) return
    }
  }

  /** An array of tables stands for its latest element wherever its name is used. */
  function resolve(name: readonly string[]): (string | number)[] {
    const path: (string | number)[] = []
    for (const part of name) {
      path.push(part)
      const count = elements.get(JSON.stringify(path))
      if (count !== undefined) path.push(count - 1)
    }
    return path
  }

  function takeHeader(): TomlPath {
    const isArray = takeChar('[')
    const name = takeName()
    if (!isArray) {
      const path = resolve(name)
      mark(path)
      return path
    }
    const array = [...resolve(name.slice(0, -1)), ...name.slice(-1)]
    const index = elements.get(JSON.stringify(array)) ?? 0
    elements.set(JSON.stringify(array), index + 1)
    mark([...array, index])
    return [...array, index]
  }

  let table: TomlPath = []
  for (take(SPACE); at < text.length; take(SPACE)) {
    if (takeChar('[')) table = takeHeader()
    else takeAssignment(table, 0)
    take(REST_OF_LINE)
  }
  return { lines, issues }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r' }

function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1)
  if (quoted.startsWith("'")) return inner
  return inner.replace(/\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/gi, (_, short, long, char) => {
    if (char !== undefined) return ESCAPES[char] ?? char
    const codePoint = Number.parseInt(short ?? long, 16)
    return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : '\uFFFD'
  })
}

/** False only for text in the shape of a date or time that no calendar or clock has: `Date` would roll 30 February over. */
function isPossibleDate(text: string): boolean {
  const match =
    /^(?:(\d{4})-(\d\d)-(\d\d))?(?:[Tt ]?(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](\d\d):(\d\d))?)?$/.exec(
      text,
    )
  if (text === '' || match === null) return true
  const [year, month, day, hour, minute, second, offsetHour, offsetMinute] = match
    .slice(1)
    .map((digits) => (digits === undefined ? undefined : Number(digits)))
  if ((hour ?? 0) > 23 || (minute ?? 0) > 59 || (second ?? 0) > 59) return false
  if ((offsetHour ?? 0) > 23 || (offsetMinute ?? 0) > 59) return false
  if (year === undefined) return true
  const date = new Date(0)
  date.setUTCFullYear(year, month! - 1, day)
  return date.getUTCMonth() === month! - 1 && date.getUTCDate() === day
}

/** Whether a value is a table: no array, and no date. */
export function isTable(value: TomlValue | undefined): value is TomlTable {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)
}
