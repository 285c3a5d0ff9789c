/**
 * A keyring from TOML. The format is described in `keyrings/README.md`.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import {
  describeToml,
  isTable,
  parseToml,
  type TomlPath,
  type TomlTable,
  type TomlValue,
  type Report,
  reportTo,
} from '../toml.ts'
import { createKey, type Key } from './key.ts'
import { createKeyring, groupProblems, type Keyring, type KeyringOptions } from './keyring.ts'
import { readKey, reportUnknown, type KeyDraft, type ResolveSecret } from './parse-key.ts'
import { isSealMac, openSecret, type KekSource } from './seal-crypto.ts'
import { readSeal, type Seal } from './seal-table.ts'

export type { SecretReference } from './parse-key.ts'

/** Limits, and where secrets come from that the text only refers to. */
export interface ParseKeyringOptions extends KeyringOptions {
  /**
   * Fetches `value_env` and `value_file`, and `sealed` in a keyring that has no table `[seal]`. Of a file's bytes one
   * newline at the end is cut, since editors and `echo` add it; the others are taken as they are. What it throws becomes
   * an issue: its message must not hold secrets.
   */
  readonly resolve?: ResolveSecret | undefined
  /** Opens a sealed keyring, one with a table `[seal]`: without it such a keyring is refused. */
  readonly kek?: KekSource | undefined
}

/**
 * Parses a keyring. A sealed one is refused unless its MAC and every sealed secret in it fit.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue, its path and line. No issue holds a secret.
 * @example
 * parseKeyring(readFileSync('keyring.toml', 'utf8'), { now: new Date() })
 */
export function parseKeyring(toml: string, options: ParseKeyringOptions = {}): Keyring {
  const { groups, seal } = readKeyring(toml, options, 'verify')
  const keyring = createKeyring(
    groups.map(({ id, keys }) => [id, keys.flatMap(toKey)]),
    options,
  )
  return seal === undefined
    ? keyring
    : Object.freeze({ ...keyring, name: seal.keyring, revision: seal.revision })
}

/** A keyring as it stands in a text, without issues. */
export interface KeyringDraft {
  readonly groups: readonly GroupDraft[]
  /** Of a sealed keyring. */
  readonly seal: Seal | undefined
  /** The line, from 1, on which `path` is written. */
  readonly lineOf: (path: TomlPath) => number | undefined
}

/** A group and its keys, in the order written. */
export interface GroupDraft {
  readonly id: string
  readonly keys: readonly KeyDraft[]
}

/**
 * Reads a keyring. With `verify` a sealed one must be as it was sealed; with `renew`, for sealing an edited one anew,
 * its MAC is not looked at and secrets in plaintext may stand in it.
 * @throws ConfigError as `parseKeyring`
 */
export function readKeyring(
  toml: string,
  options: ParseKeyringOptions,
  purpose: 'verify' | 'renew',
): KeyringDraft {
  const document = parseToml(toml)
  if (!document.ok) throw new ConfigError('ERR_KEYRING_INVALID', document.issues)

  const issues: Issue[] = []
  const report = reportTo(issues, document.lineOf)
  reportUnknown(document.value, ['groups', 'seal'], [], report)
  const table = document.value['seal']
  const seal = table === undefined ? undefined : readSeal(table, options.kek, report)
  if (table === undefined && options.kek?.plaintext === 'refused') {
    report(['seal'], 'is missing: the keyring is not sealed, and only a sealed one is accepted here')
  }
  const refuse =
    table !== undefined && purpose === 'verify'
      ? (source: string) => (source === 'sealed' ? undefined : NOT_SEALED)
      : undefined
  const groups = readGroups(document.value, report).map(({ id, tables }) => ({
    id,
    keys: tables.map((key, i) => {
      const open = table === undefined ? undefined : opener(seal, id)
      return readKey(key, ['groups', id, 'keys', i], { resolve: options.resolve, open, refuse }, report)
    }),
  }))
  for (const { path, message } of groupProblems(groups, options)) report(path, message)
  if (issues.length === 0 && seal !== undefined && purpose === 'verify') checkMac(seal, groups, report)
  if (issues.length > 0) {
    throw new ConfigError(
      'ERR_KEYRING_INVALID',
      issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    )
  }
  return { groups, seal, lineOf: document.lineOf }
}

const NOT_SEALED = 'is not sealed, and in a sealed keyring every secret is: see xkeys seal'

/** Where the KEK is not at hand that was said already, once: any secret but an empty one will do. */
function opener(seal: Seal | undefined, group: string): (key: string, sealed: string) => Uint8Array | string {
  return (key, sealed) => {
    if (seal === undefined) return Uint8Array.of(0)
    const secret = openSecret(seal.opened, { keyring: seal.keyring, group, key }, sealed)
    return secret ?? 'cannot be opened: it was changed, or sealed for another keyring, group or key'
  }
}

function checkMac(seal: Seal, groups: readonly GroupDraft[], report: Report): void {
  if (isSealMac(seal.opened, { ...seal, groups: groups.map(sealedGroup) }, seal.mac)) return
  const what = 'revision, groups, names, order, dates, revocations and secrets of keys'
  report(['seal', 'mac'], `does not fit: of ${what} something was changed without the key-encryption key`)
}

/** A group as its MAC covers it. */
function sealedGroup({ id, keys }: GroupDraft) {
  return { id, keys: keys.map((key) => ({ ...key, name: key.name ?? '', sealed: key.source?.[1] ?? '' })) }
}

/** Only a keyring without issues gets here, and in that every key has name and secret. */
function toKey({ name, secret, activeFrom, expires, revoked }: KeyDraft): readonly Key[] {
  if (name === undefined || secret === undefined) return []
  const key = createKey({ name, secret, activeFrom, expires, revoked })
  secret.fill(0)
  return [key]
}

/** The tables of the keys of each group; what is none is reported. */
export function readGroups(root: TomlTable, report: Report): { id: string; tables: readonly TomlTable[] }[] {
  const groups = root['groups']
  if (groups === undefined) return []
  if (!isTable(groups)) {
    report(['groups'], `must be written as [[groups.ID.keys]], is ${describeToml(groups)}`)
    return []
  }
  return Object.entries(groups).flatMap(([id, group]) => {
    if (!isTable(group)) {
      report(['groups', id], `must be written as [[groups.ID.keys]], is ${describeToml(group)}`)
      return []
    }
    reportUnknown(group, ['keys'], ['groups', id], report)
    const keys = group['keys']
    if (!isArrayOfTables(keys)) {
      report(['groups', id], 'has no keys: each is written as a table [[groups.ID.keys]]')
      return []
    }
    return [{ id, tables: keys }]
  })
}

function isArrayOfTables(value: TomlValue | undefined): value is readonly TomlTable[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTable)
}
