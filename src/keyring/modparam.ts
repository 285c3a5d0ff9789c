/**
 * Keyrings from and to Kamailio's `modparam("auth_xkeys", "xkey", "id=…;name=…;value=…;expires=…")`.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import { formatPath } from '../toml.ts'
import { readCfgString, readParameters, writeCfgString, writeParameterValue } from './kamailio-syntax.ts'
import { createKey, keyProblems, type Key, type KeyInput } from './key.ts'
import { createKeyring, foldGroup, groupProblems, type Keyring } from './keyring.ts'
import { endOf, isUsable, startOf } from './state.ts'

/**
 * Reads key lines: whole `modparam(…)` statements, also out of a complete kamailio.cfg, or bare
 * `id=…;name=…;value=…;expires=…` lines. Comments, `#!` and `!!` lines, `loadmodule`, parameters of other modules and
 * routes are skipped; conditions (`#!ifdef`) are not evaluated.
 *
 * As in Kamailio, the last added key of a group signs and the first of a repeated attribute counts. Groups that differ
 * only in case are one, under its first spelling. `expires` counts seconds from `loadedAt`, when Kamailio read the lines.
 * Unlike Kamailio we enforce it, so what it could never have meant as an end (absent, not a number, 0) is no end.
 * A repeated name in a group, which Kamailio allows, gets a suffix: `same`, `same-2`.
 * @throws ConfigError `ERR_MODPARAM_INVALID` with every issue and its line: whatever Kamailio would refuse to start with.
 */
export function importModparams(
  lines: string,
  loadedAt: Date,
  options: { readonly maxKeysPerGroup?: number | undefined } = {},
): Keyring {
  const issues: Issue[] = []
  const groups = new Map<string, { id: string; lines: number[]; keys: KeyInput[] }>()
  for (const { line, result } of readStatements(
    Buffer.from(lines.replace(/^\uFEFF/, ''), 'utf8').toString('latin1'),
  )) {
    const entry = result.ok ? readEntry(result.value, loadedAt) : result
    if (!entry.ok) {
      issues.push({ path: 'xkey', line, message: entry.message })
      continue
    }
    const { id, input } = entry.value
    const group = groups.get(foldGroup(id)) ?? { id, lines: [], keys: [] }
    groups.set(foldGroup(id), group)
    group.lines.push(line)
    group.keys.push(input)
  }
  const drafts = Array.from(groups.values(), ({ id, keys }) => ({
    id,
    keys: withUniqueNames(keys),
  }))
  const limits = { ...options, now: loadedAt }
  for (const { path, message } of groupProblems(drafts, limits)) {
    const [line] = groups.get(foldGroup(String(path[1])))?.lines ?? []
    issues.push({ path: formatPath(path), ...(line !== undefined && { line }), message })
  }
  if (issues.length > 0) throw new ConfigError('ERR_MODPARAM_INVALID', issues)
  return createKeyring(
    drafts.map(({ id, keys }) => [id, keys.map(createKey)]),
    limits,
  )
}

/** What `exportModparams` writes. */
export interface ExportOptions {
  /** This group only. */
  readonly group?: string
  /** `reveal` (default) writes secrets; `fingerprint` writes `fingerprint-…` in their place, for showing. */
  readonly secrets?: 'reveal' | 'fingerprint'
}

/**
 * Writes the keys that have not ended by `now` as modparam lines, one a key.
 *
 * Kamailio signs with the last line of a group and knows no start time, so the active key comes last, and pending ones
 * before it: they verify there as they do here, and the lines must be written anew when one begins to sign. `expires` is
 * the whole seconds left, at least 1; Kamailio never looks at it.
 * @throws ConfigError `ERR_MODPARAM_UNWRITABLE`, each group and key: NUL, CR or LF, or both kinds of quote together with
 * something that needs quoting, cannot be written.
 */
export function exportModparams(keyring: Keyring, now: Date, options: ExportOptions = {}): string {
  const issues: Issue[] = []
  const { group: only, secrets } = options
  const groups = keyring.groups.filter((group) => only === undefined || foldGroup(group) === foldGroup(only))
  const lines = groups.flatMap((group) =>
    exportOrder(keyring, group, now).map((key) => {
      const attributes = [
        ['id', Buffer.from(group, 'utf8')],
        ['name', Buffer.from(key.name, 'utf8')],
        [
          'value',
          secrets === 'fingerprint' ? Buffer.from(`fingerprint-${key.fingerprint}`) : key.secret.export(),
        ],
      ] as const
      const written = attributes.map(([attribute, bytes]) => {
        const value = writeParameterValue(bytes.toString('latin1'))
        if (value === undefined) {
          const path = formatPath(['groups', group, 'keys', key.name, attribute])
          issues.push({
            path,
            message: 'cannot be written in Kamailio: line break, NUL or both kinds of quote',
          })
        }
        return `${attribute}=${value}`
      })
      const end = endOf(key)
      const secondsLeft = Math.max(1, Math.floor((end - now.getTime()) / 1000))
      if (end !== Infinity) written.push(`expires=${secondsLeft}`)
      return `modparam("auth_xkeys", "xkey", ${writeCfgString(written.join(';'))})\n`
    }),
  )
  if (issues.length > 0) throw new ConfigError('ERR_MODPARAM_UNWRITABLE', issues)
  return Buffer.from(lines.join(''), 'latin1').toString('utf8')
}

/** Usable keys, the one that is to sign last: the active one or, where none is active yet, the next to become so. */
function exportOrder(keyring: Keyring, group: string, now: Date): readonly Key[] {
  const usable = keyring.keys(group).filter((key) => isUsable(key, now))
  const last = keyring.activeKey(group, now) ?? usable.toSorted((a, b) => startOf(a) - startOf(b))[0]
  return [...usable.filter((key) => key !== last), ...(last ? [last] : [])]
}

type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string }

const SKIPPED = /[ \t]*(?:(?:#|\/\/|!!|loadmodule\b)(?:\\\r?\n|[^\n])*|\/\*[^]*?\*\/|\r?\n)/y
const MODPARAM = /\s*modparam\s*\(\s*/y
const COMMA = /\s*,\s*/y
const INTEGER = /-?\d+/y
/** A name that `#!define` gave a value. */
const WORD = /[A-Za-z_]\w*/y
const CLOSE = /\s*\)[ \t]*;?[ \t]*/y
const LINE = /[^\n]*/y
const STATEMENT = /^[ \t]*modparam\s*\(/m
const KEY_LINE = /^\s*(?:id|name|value|expires)\s*=/i

/** The parameter string of each key line, in order. */
function* readStatements(text: string): Generator<{ line: number; result: Result<string> }> {
  let at = 0
  let line = 1
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found === undefined) return undefined
    advance(at + found.length)
    return found
  }
  const advance = (end: number): void => {
    line += text.slice(at, end).split('\n').length - 1
    at = end
  }
  const takeString = (): Result<string> => {
    const string = readCfgString(text, at)
    if (string.ok) advance(string.end)
    return string
  }
  /** `undefined`: a parameter that is not ours. */
  const takeModparam = (): Result<string> | undefined => {
    const module = takeString()
    if (!module.ok) return module
    if (take(COMMA) === undefined) return { ok: false, message: 'a comma is missing behind the module' }
    const parameter = takeString()
    if (!parameter.ok) return parameter
    if (take(COMMA) === undefined) return { ok: false, message: 'a comma is missing behind the parameter' }
    // Kamailio takes the module for a regular expression, `a|b`; other forms of it are not understood here.
    const isOurs = module.value.toLowerCase().split('|').includes('auth_xkeys')
    const number = take(INTEGER) ?? (isOurs ? undefined : take(WORD))
    const value = number === undefined ? takeString() : undefined
    if (!isOurs) {
      take(CLOSE)
      return undefined
    }
    if (value?.ok === false) return value
    if (take(CLOSE) === undefined) return { ok: false, message: 'a closing parenthesis is missing' }
    if (parameter.value === 'xkey') return value ?? { ok: false, message: 'must be a string' }
    if (parameter.value === 'hmac_engine') return undefined
    const near = nearest(parameter.value, ['xkey'])
    return { ok: false, message: `auth_xkeys has no such parameter${near ? `: did you mean ${near}?` : ''}` }
  }

  // In a whole kamailio.cfg the rest, routes and all, is none of ours; among bare lines it is a slip.
  const isConfiguration = STATEMENT.test(text)
  while (at < text.length) {
    if (take(SKIPPED) !== undefined) continue
    const isModparam = take(MODPARAM) !== undefined
    const start = line
    if (isModparam) {
      const result = takeModparam()
      if (result !== undefined) yield { line: start, result }
      if (result?.ok === false) take(LINE)
      continue
    }
    const bare = take(LINE)!.replace(/\r$/, '')
    if (bare.trim() === '' || (isConfiguration && !KEY_LINE.test(bare))) continue
    yield { line: start, result: bare.includes('=') ? { ok: true, value: bare } : NOT_A_KEY_LINE }
  }
}

const NOT_A_KEY_LINE: Result<string> = {
  ok: false,
  message: 'is neither id=…;name=…;value=… nor modparam("auth_xkeys", "xkey", "…")',
}

/** One key line. Attributes compare case-blind and the first of each counts (authx_xkey_add_params in auth_xkeys.c). */
function readEntry(text: string, loadedAt: Date): Result<{ readonly id: string; readonly input: KeyInput }> {
  const parameters = readParameters(text)
  if (!parameters.ok) return parameters
  const get = (attribute: string): string =>
    parameters.value.find(([name]) => name.toLowerCase() === attribute)?.[1] ?? ''
  const missing = ['id', 'name', 'value'].filter((attribute) => get(attribute) === '')
  if (missing.length > 0) return { ok: false, message: `has no ${missing.join(', no ')}` }
  const id = toText(get('id'))
  const name = toText(get('name'))
  if (id === undefined || name === undefined) return { ok: false, message: 'id and name must be UTF-8' }
  const [problem] = keyProblems({ name })
  if (problem) return { ok: false, message: `name ${problem.message}` }
  const secret = Buffer.from(get('value'), 'latin1')
  return { ok: true, value: { id, input: { name, secret, expires: endAfter(get('expires'), loadedAt) } } }
}

function endAfter(seconds: string, loadedAt: Date): Date | undefined {
  if (!/^\d+$/.test(seconds) || Number(seconds) === 0) return undefined
  const end = new Date(loadedAt.getTime() + Number(seconds) * 1000)
  // Beyond the last instant that a Date can hold, the year 275760.
  return Number.isNaN(end.getTime()) ? undefined : end
}

function toText(bytes: string): string | undefined {
  const text = Buffer.from(bytes, 'latin1').toString('utf8')
  return Buffer.from(text, 'utf8').toString('latin1') === bytes ? text : undefined
}

function withUniqueNames(keys: readonly KeyInput[]): readonly KeyInput[] {
  const taken = new Set(keys.map(({ name }) => name))
  return keys.map((key, i) => {
    if (keys.findIndex(({ name }) => name === key.name) === i) return key
    let suffix = 2
    while (taken.has(`${key.name}-${suffix}`)) suffix++
    taken.add(`${key.name}-${suffix}`)
    return { ...key, name: `${key.name}-${suffix}` }
  })
}
