/**
 * Edits the text of a file of accounts: comments, order and line ends stay. What an edit makes is parsed again and must be
 * exactly what was meant, or it is refused.
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import { parseCredentials } from '../digest/toml-credentials.ts'
import { ConfigError } from '../errors.ts'
import { tomlString } from '../keyring/edit-toml.ts'
import type { AccountInput } from '../stores/account-change.ts'
import { isTable, parseToml, type TomlTable, type TomlValue } from '../toml.ts'

/** Settings that hold a secret, by algorithm. */
export const HASH_SETTINGS = {
  MD5: { ha1: 'ha1_md5', ha1b: 'ha1b_md5' },
  'SHA-256': { ha1: 'ha1_sha256', ha1b: 'ha1b_sha256' },
  'SHA-512-256': { ha1: 'ha1_sha512_256', ha1b: 'ha1b_sha512_256' },
} as const

type Algorithm = keyof typeof HASH_SETTINGS

const ALGORITHMS = Object.keys(HASH_SETTINGS) as readonly Algorithm[]
const SECRETS: readonly string[] = [
  'password',
  ...ALGORITHMS.flatMap((algorithm) => Object.values(HASH_SETTINGS[algorithm])),
]
const HEADER = /^[ \t]*\[\[[ \t]*users[ \t]*\]\][ \t]*(?:#.*)?\r?$/
const SECRET_LINE = /^([ \t]*)[\w"']+[ \t]*=[ \t]*(?:"(?:[^"\\]|\\.)*"|'[^']*')[ \t]*(#.*?)?\r?$/

/** The accounts of a file, as written. @throws ConfigError: it is not such a file */
export function readUsers(toml: string): readonly TomlTable[] {
  parseCredentials(toml)
  const users = valueOf(toml)['users'] ?? []
  return (users as readonly TomlValue[]).filter(isTable)
}

/** The text with accounts at its end. */
export function appendAccounts(toml: string, accounts: readonly AccountInput[]): string {
  const { lines, eol } = linesOf(toml)
  if (lines.at(-1) === '' || lines.at(-1) === '\r') lines.pop()
  for (const account of accounts) {
    const { username, domain, realm, identities = [] } = account
    const settings: (readonly [string, string])[] = [
      ['username', tomlString(username)],
      ['realm', tomlString(realm)],
      ...(domain === realm ? [] : [['domain', tomlString(domain)] as const]),
      ...secretSettings(account),
      ...(identities.length === 0
        ? []
        : [['identities', `[${identities.map(tomlString).join(', ')}]`] as const]),
    ]
    if ((lines.at(-1) ?? '').trim() !== '') lines.push(eol)
    lines.push(`[[users]]${eol}`, ...settings.map(([name, value]) => `${name} = ${value}${eol}`))
  }
  const added = accounts.map(({ username, domain, realm, identities = [], ...account }) =>
    tableOf({
      username,
      realm,
      ...(domain !== realm && { domain }),
      ...secretValues(account),
      ...(identities.length > 0 && { identities }),
    }),
  )
  return checked(`${lines.join('\n')}\n`, [...readUsers(toml), ...added])
}

/** The text with other secrets for the account at `index`, where the old ones stood. */
export function replaceSecrets(toml: string, index: number, account: AccountInput): string {
  const { lines, eol, blocks } = linesOf(toml)
  const { start, lineOf } = blocks(index)
  const user = readUsers(toml)[index]!
  const old = SECRETS.filter((name) => user[name] !== undefined)
    .map((name) => lineOf(name))
    .toSorted((a, b) => a - b)
  const at = old[0] ?? start + 1
  const indent = /^[ \t]*/.exec(lines[at] ?? '')![0]
  const fresh = secretSettings(account).map(([name, value]) => `${indent}${name} = ${value}${eol}`)
  // What was remarked on a secret is said on a line of its own.
  const remarks = old.flatMap((line) => {
    const [, blank = '', remark] = SECRET_LINE.exec(lines[line] ?? '') ?? []
    return remark === undefined ? [] : [`${blank}${remark}${eol}`]
  })
  const rest = lines.filter((_, i) => !old.includes(i))
  const text = rest.toSpliced(at, 0, ...fresh, ...remarks).join('\n')
  const left = Object.entries(user).filter(([name]) => !SECRETS.includes(name))
  const meant = tableOf({ ...Object.fromEntries(left), ...secretValues(account) })
  return checked(text, readUsers(toml).with(index, meant))
}

/** The text without the account at `index`; comments above and below it stay. */
export function removeAccount(toml: string, index: number): string {
  const { lines, blocks } = linesOf(toml)
  const { start, end } = blocks(index)
  const above = lines.slice(0, start)
  const below = lines.slice(end)
  const first = below.findIndex((line) => line.trim() !== '')
  // One gap is left of two, and none at the end.
  if (first < 0) while ((above.at(-1) ?? 'text').trim() === '') above.pop()
  const isGap = (above.at(-1) ?? '').trim() === ''
  const rest = first < 0 ? [''] : below.slice(isGap ? first : 0)
  return checked([...above, ...rest].join('\n'), readUsers(toml).toSpliced(index, 1))
}

function secretSettings({ secrets }: Pick<AccountInput, 'secrets'>): readonly (readonly [string, string])[] {
  return Object.entries(secretValues({ secrets })).map(([name, value]) => [name, tomlString(value)])
}

/** A password stands for all its hashes. */
function secretValues({ secrets }: Pick<AccountInput, 'secrets'>): Readonly<Record<string, string>> {
  const { password, ha1, ha1b } = secrets
  if (password !== undefined) return { password }
  return Object.fromEntries(
    ALGORITHMS.flatMap((algorithm) =>
      [
        [HASH_SETTINGS[algorithm].ha1, ha1[algorithm]] as const,
        [HASH_SETTINGS[algorithm].ha1b, ha1b[algorithm]] as const,
      ].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
    ),
  )
}

/** Lines without their LF; where accounts stand among them, from 0. */
function linesOf(toml: string) {
  const lines = toml.split('\n')
  const document = parseToml(toml)
  const count = readUsers(toml).length
  const at = (path: readonly (string | number)[]): number => {
    const line = document.ok ? document.lineOf(path) : undefined
    if (line === undefined) throw byHand()
    return line - 1
  }
  return {
    lines,
    /** What a line ends with, before the LF. */
    eol: lines[0]?.endsWith('\r') === true ? '\r' : '',
    blocks: (index: number) => {
      const start = at(['users', index])
      const next = index + 1 < count ? at(['users', index + 1]) : lines.length
      // Comments above the next account belong to that.
      let end = next
      while (end > start + 1 && /^\s*(?:#|$)/.test(lines[end - 1]!)) end--
      if (!HEADER.test(lines[start] ?? '')) throw byHand(start)
      return { start, end, lineOf: (name: string) => at(['users', index, name]) }
    },
  }
}

/** The text, if it says what was meant and is a file of accounts. */
function checked(text: string, meant: readonly TomlTable[]): string {
  const document = parseToml(text)
  if (!document.ok || !isDeepStrictEqual(document.value['users'] ?? [], meant)) throw byHand()
  parseCredentials(text)
  return text
}

function valueOf(toml: string): TomlTable {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_CONFIG_INVALID', document.issues)
  return document.value
}

/** As the parser makes them. */
function tableOf(values: Readonly<Record<string, TomlValue>>): TomlTable {
  return Object.assign(Object.create(null) as TomlTable, values)
}

function byHand(line?: number): ConfigError {
  const message =
    'cannot be edited by a command, which knows accounts as blocks [[users]] with each secret on a line of its own: edit the file by hand'
  return new ConfigError('ERR_CONFIG_INVALID', [
    { path: 'users', ...(line !== undefined && { line: line + 1 }), message },
  ])
}
