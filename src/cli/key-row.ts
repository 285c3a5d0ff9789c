/**
 * A key as the commands show it: never with its secret unless that is asked for.
 * @module
 */
import type { Command } from 'commander'
import { tomlDate } from '../keyring/edit-toml.ts'
import { secretSetting } from '../keyring/format-toml.ts'
import type { Key } from '../keyring/key.ts'
import { foldGroup, REVOKED_ALWAYS, type KeyRef } from '../keyring/keyring.ts'
import { UsageError } from './exit.ts'
import type { OpenKeyring } from './keyring-target.ts'

/** One key as it is shown; times as TOML writes them. */
export interface KeyRow {
  readonly group: string
  readonly name: string
  readonly state: string
  /** `unknown`: its secret is kept elsewhere and out of reach. */
  readonly fingerprint: string
  readonly activeFrom?: string
  readonly expires?: string
  readonly revoked?: string
}

/** Adds the words that name a key: its name, and `--group`. */
export function addKeyWords(command: Command): Command {
  return command.argument('<name>', 'the key').requiredOption('--group <id>', 'key group')
}

/** The key of that name. @throws UsageError */
export function findKey({ keyring }: OpenKeyring, { group, name }: KeyRef): Key {
  needGroup({ keyring }, group)
  const key = keyring.keys(group).find((one) => one.name === name)
  if (key === undefined) {
    throw new UsageError(`group ${JSON.stringify(group)} has no key ${JSON.stringify(name)}`)
  }
  return key
}

/** Refuses a group that is not in the keyring. */
export function needGroup({ keyring }: Pick<OpenKeyring, 'keyring'>, group: string): void {
  if (!keyring.hasGroup(group))
    throw new UsageError(`there is no group ${JSON.stringify(group)} in the keyring`)
}

/** The keys of the groups, or of one, in the order written. */
export function keyRows(open: OpenKeyring, now: Date, group?: string): readonly KeyRow[] {
  const { keyring } = open
  const wanted = keyring.groups.filter((id) => group === undefined || foldGroup(id) === foldGroup(group))
  return wanted.flatMap((id) => keyring.keys(id).map((key) => keyRow(open, id, key, now)))
}

/** One key of a group. */
export function keyRow({ keyring, fingerprintOf }: OpenKeyring, group: string, key: Key, now: Date): KeyRow {
  const { activeFrom, expires, revoked } = key
  const { name } = key
  return {
    group,
    name,
    state: keyring.keyState({ group, name }, now) ?? 'expired',
    fingerprint: fingerprintOf(key) ?? 'unknown',
    ...(activeFrom && { activeFrom: tomlDate(activeFrom) }),
    ...(expires && { expires: tomlDate(expires) }),
    ...(revoked && {
      revoked: revoked.getTime() === REVOKED_ALWAYS.getTime() ? 'always' : tomlDate(revoked),
    }),
  }
}

/** Rows as lines whose columns stand below each other. */
export function formatRows(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, i) => Math.max(most[i] ?? 0, cell.length)),
    [],
  )
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

/** Group, name, state, fingerprint and times of a key. */
export function cellsOf(row: KeyRow): readonly string[] {
  const times = [
    row.activeFrom && `from ${row.activeFrom}`,
    row.expires && `until ${row.expires}`,
    row.revoked && `revoked ${row.revoked}`,
  ]
  return [row.group, row.name, row.state, row.fingerprint, times.filter(Boolean).join(', ')]
}

/** A secret as text where it is text of one line, as base64 otherwise: the name says which. */
export function revealed(key: Key): { readonly secret: string } | { readonly secretBase64: string } {
  const secret = key.secret.export()
  const [setting] = secretSetting(secret)
  return setting === 'value' ? { secret: secret.toString() } : { secretBase64: secret.toString('base64') }
}
