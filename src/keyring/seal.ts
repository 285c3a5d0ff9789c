/**
 * Sealing a keyring's text: TOML to TOML. Comments, order and line ends stay.
 * @module
 */
import { ConfigError } from '../errors.ts'
import { formatPath, parseToml } from '../toml.ts'
import { quote, secretSetting } from './format-toml.ts'
import { readKeyring, type KeyringDraft, type ParseKeyringOptions } from './parse-toml.ts'
import {
  kekSourceOf,
  sealMac,
  sealSecret,
  type Kek,
  type KekSource,
  type SealedContent,
} from './seal-crypto.ts'
import { editLines, insertTable, lineWith, removeHeader, type LineEdit } from './seal-edit.ts'
import { SEAL_SETTINGS, type Seal } from './seal-table.ts'

export { createKek, kekSourceOf, type Kek, type KekSource } from './seal-crypto.ts'

/** How a keyring is sealed. */
export interface SealOptions {
  /** Seals everything. */
  readonly kek: Kek
  /** The keyring's name, bound into every value. May be left out where it is sealed under that name already. */
  readonly keyring?: string | undefined
  /** Opens a keyring that is sealed already; without it such a one is refused. */
  readonly open?: KekSource | undefined
  /** The least that the revision may be: above all that nodes have accepted of that name. Default: the next one. */
  readonly revision?: number | undefined
  /** Fetches `value_env` and `value_file`: their secrets go into the sealed keyring. */
  readonly resolve?: ParseKeyringOptions['resolve']
}

/** Whether a text is a sealed keyring: it has a table `[seal]`. Of what is not TOML: no. */
export function isSealed(toml: string): boolean {
  const document = parseToml(toml)
  return document.ok && document.value['seal'] !== undefined
}

/**
 * Seals a keyring in plaintext; one that is sealed is verified and sealed anew as its next revision, with this KEK.
 * @throws ConfigError `ERR_KEYRING_INVALID`: the keyring is not right, a secret is not on a line of its own, or stands
 *   in the text a second time
 */
export function sealKeyring(toml: string, options: SealOptions): string {
  const draft = read(toml, { kek: options.open, resolve: options.resolve }, 'verify')
  const keyring = options.keyring ?? draft.seal?.keyring
  if (keyring === undefined) fail([], 'the keyring needs a name to be sealed under')
  const revision = Math.max(options.revision ?? 1, (draft.seal?.revision ?? 0) + 1)
  return write(toml, draft, { kek: options.kek, keyring, revision })
}

/**
 * The keyring in plaintext, secrets and all.
 * @throws ConfigError `ERR_KEYRING_INVALID`: it is not sealed, was changed, or the KEK is not at hand
 */
export function unsealKeyring(toml: string, kek: KekSource): string {
  const { groups, lineOf } = readSealed(toml, kek, 'verify')
  const secrets = groups.flatMap(({ id, keys }) =>
    keys.map(({ secret = Buffer.alloc(0) }, i): LineEdit => {
      const path = ['groups', id, 'keys', i, 'sealed']
      return { path, line: lineOf(path), to: secretSetting(Buffer.from(secret)) }
    }),
  )
  const table = SEAL_SETTINGS.map((name): LineEdit => {
    const path = ['seal', name]
    return { path, line: lineOf(path), to: 'remove' }
  })
  const header = lineOf(['seal']) ?? 0
  // Settings stand behind their header, so its line is still the same.
  const plain = removeHeader(editLines(editLines(toml, secrets), table), ['seal'], header)
  assertSame(groups, read(plain, {}, 'verify').groups)
  return plain
}

/**
 * Seals an edited keyring: `before` is verified, then what stands in plaintext in `after` is sealed, and it gets the next
 * revision and its MAC. Sealed values that were not touched keep their text.
 * @throws ConfigError `ERR_KEYRING_INVALID`: `before` does not verify, `after` is not right, or its table `[seal]` was
 *   edited
 */
export function resealKeyring(
  before: string,
  after: string,
  kek: KekSource,
  options: Pick<SealOptions, 'resolve'> = {},
): string {
  const { seal } = readSealed(before, kek, 'verify')
  const draft = readSealed(after, kek, 'renew', options.resolve)
  if (SEAL_SETTINGS.some((name) => seal[name] !== draft.seal[name])) {
    fail(['seal'], 'only xkeys itself may change this table')
  }
  const { opened, keyring, revision } = seal
  return write(after, draft, { kek: opened, keyring, revision: revision + 1 })
}

type Purpose = Parameters<typeof readKeyring>[2]

/** How many keys a group has is no question of sealing. */
function read(toml: string, options: ParseKeyringOptions, purpose: Purpose): KeyringDraft {
  return readKeyring(toml, { ...options, maxKeysPerGroup: Number.MAX_SAFE_INTEGER }, purpose)
}

function readSealed(
  toml: string,
  kek: KekSource,
  purpose: Purpose,
  resolve?: ParseKeyringOptions['resolve'],
): KeyringDraft & { readonly seal: Seal } {
  const missing = 'is missing: the keyring is not sealed'
  // Said before anything else that may be wrong with a keyring that is not meant.
  if (parseToml(toml).ok && !isSealed(toml)) fail(['seal'], missing)
  const draft = read(toml, { kek, resolve }, purpose)
  const { seal } = draft
  return seal === undefined ? fail(['seal'], missing) : { ...draft, seal }
}

interface NewSeal {
  readonly kek: Kek
  readonly keyring: string
  readonly revision: number
}

function write(toml: string, draft: KeyringDraft, { kek, keyring, revision }: NewSeal): string {
  const { seal, lineOf } = draft
  const mayKeep = seal !== undefined && seal.opened.id === kek.id && seal.keyring === keyring
  const edits: LineEdit[] = []
  const groups = draft.groups.map(({ id, keys }) => ({
    id,
    keys: keys.map((key, i) => {
      const { name = '', secret = Buffer.alloc(0), source: [setting, text] = ['sealed', ''] } = key
      if (mayKeep && setting === 'sealed') return { ...key, name, sealed: text }
      const sealed = sealSecret(kek, { keyring, group: id, key: name }, secret)
      const path = ['groups', id, 'keys', i, setting]
      edits.push({ path, line: lineOf(path), to: ['sealed', quote(sealed)] })
      return { ...key, name, sealed }
    }),
  }))
  const table = tableOf(kek, { keyring, revision, groups })
  if (seal !== undefined) {
    for (const [name, value] of table) {
      const path = ['seal', name]
      edits.push({ path, line: lineOf(path), to: [name, value] })
    }
  }
  const edited = editLines(toml, edits)
  assertSecretFree(edited, draft)
  const sealed = seal === undefined ? insertTable(edited, firstLine(draft), linesOf(table)) : edited
  assertSame(draft.groups, read(sealed, { kek: kekSourceOf(kek) }, 'verify').groups)
  return sealed
}

function tableOf(kek: Kek, content: SealedContent): readonly (readonly [name: string, value: string])[] {
  return [
    ['keyring', quote(content.keyring)],
    ['kek', quote(kek.id)],
    ['revision', String(content.revision)],
    ['mac', quote(sealMac(kek, content))],
  ]
}

function linesOf(table: ReturnType<typeof tableOf>): readonly string[] {
  return ['[seal]', ...table.map(([name, value]) => `${name} = ${value}`)]
}

/** The line of the first key; behind the end where there is none. */
function firstLine({ groups, lineOf }: KeyringDraft): number {
  return Math.min(...groups.map(({ id }) => lineOf(['groups', id, 'keys', 0]) ?? 1), Number.MAX_SAFE_INTEGER)
}

/** Shorter ones could be anywhere by chance. */
const SHORTEST_SOUGHT = 8

/** A comment or a name that repeats a secret which is sealed now would defeat the sealing. */
function assertSecretFree(edited: string, { groups }: KeyringDraft): void {
  for (const { id, keys } of groups) {
    for (const [
      i,
      { secret = Buffer.alloc(0), source: [setting, text] = ['sealed', ''] },
    ] of keys.entries()) {
      if (setting === 'sealed') continue
      const isReference = setting === 'value_env' || setting === 'value_file'
      const found = [Buffer.from(secret).toString('utf8'), ...(isReference ? [] : [text])]
        .filter((form) => form.length >= SHORTEST_SOUGHT)
        .map((form) => lineWith(edited, form))
        .find((line) => line !== undefined)
      const path = ['groups', id, 'keys', i, setting]
      if (found !== undefined)
        fail(path, 'stands in the text a second time, in a comment or a name: take it out', found)
    }
  }
}

/** What is sealed must be what was there: groups, names, times, secrets, in order. */
function assertSame(a: KeyringDraft['groups'], b: KeyringDraft['groups']): void {
  if (contentOf(a) !== contentOf(b)) throw new Error('the keyring would not be the same')
}

function contentOf(groups: KeyringDraft['groups']): string {
  return JSON.stringify(
    groups.map(({ id, keys }) => [
      id,
      ...keys.map(({ name, secret = Buffer.alloc(0), activeFrom, expires, revoked }) => [
        name,
        Buffer.from(secret).toString('hex'),
        ...[activeFrom, expires, revoked].map((time) => time?.getTime() ?? null),
      ]),
    ]),
  )
}

function fail(path: readonly (string | number)[], message: string, line?: number): never {
  const issue = { path: formatPath(path) || 'seal', ...(line !== undefined && { line }), message }
  throw new ConfigError('ERR_KEYRING_INVALID', [issue])
}
