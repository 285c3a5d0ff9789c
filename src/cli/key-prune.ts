/**
 * `xkeys key prune`: drop keys that have ended.
 * @module
 */
import type { Command } from 'commander'
import { removeKey } from '../keyring/edit-toml.ts'
import { print, printJson } from './io.ts'
import { cellsOf, formatRows, keyRows, needGroup, type KeyRow } from './key-row.ts'
import { changeKeyring } from './keyring-change.ts'
import {
  addTargetOptions,
  openKeyring,
  readTarget,
  type OpenKeyring,
  type TargetOptions,
} from './keyring-target.ts'

/** Adds the command. */
export function addKeyPruneCommand(key: Command): void {
  const command = key
    .command('prune')
    .summary('drop keys that have ended')
    .description(
      'Takes expired and revoked keys out of the keyring, secrets and all, and says which. The last key of a group stays, ended or not: a configuration that names the group would not load without it.',
    )
    .option('--group <id>', 'this group only')
    .option('--json', 'one JSON array of the keys that are gone')
    .addHelpText('after', '\nExample:\n  xkeys key prune --keyring keyrings/demo.toml')
  addTargetOptions(command).action((options: TargetOptions & { group?: string; json?: true }) => {
    const target = readTarget(options)
    let gone: readonly KeyRow[] = []
    changeKeyring(
      target,
      () => ({
        command: 'key prune',
        keys: gone.map(({ group, name, state, fingerprint }) => ({ group, key: name, state, fingerprint })),
      }),
      (text) => {
        const open = openKeyring(target, text)
        if (options.group !== undefined) needGroup(open, options.group)
        gone = endedKeys(open, target.now, options.group)
        return gone.reduce((toml, { group, name }) => removeKey(toml, { group, name }), text)
      },
    )
    if (options.json) return printJson(gone)
    if (gone.length === 0) return print('no key to prune')
    for (const line of formatRows(gone.map((row) => ['pruned', ...cellsOf(row)]))) print(line)
  })
}

/** Those that have ended; of a group of which none would be left, all but the last listed. */
function endedKeys(open: OpenKeyring, now: Date, group: string | undefined): readonly KeyRow[] {
  const rows = keyRows(open, now, group)
  const ended = rows.filter(({ state }) => state === 'expired' || state === 'revoked')
  return ended.filter((row) => {
    const ofGroup = rows.filter((other) => other.group === row.group)
    return row !== ofGroup.at(-1) || ofGroup.some((other) => !ended.includes(other))
  })
}
