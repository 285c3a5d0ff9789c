/**
 * `xkeys key prune`: drop keys that have ended.
 * @module
 */
import type { Command } from 'commander'
import { removeKey } from '../keyring/edit-toml.ts'
import { MAX_SKEW_MS } from '../keyring/state.ts'
import { print, printJson } from './io.ts'
import { cellsOf, formatRows, keyRows, needGroup, type KeyRow } from './key-row.ts'
import { acknowledge, addWaitOption, type WaitOptions } from './acknowledge.ts'
import { changeKeyring, isShared } from './keyring-change.ts'
import {
  addTargetOptions,
  openKeyring,
  withTarget,
  type KeyringTarget,
  type OpenKeyring,
  type TargetOptions,
} from './keyring-target.ts'

type PruneOptions = TargetOptions & WaitOptions & { readonly group?: string; readonly json?: true }

/** Adds the command. */
export function addKeyPruneCommand(key: Command): void {
  const command = key
    .command('prune')
    .summary('drop keys that have ended')
    .description(
      'Takes keys that expired or were revoked at least 5 seconds ago out of the keyring, secrets and all, and says which. The last key of a group stays, ended or not: a configuration that names the group would not load without it. Of a shared keyring revoked keys stay, so that no copy brings them back.',
    )
    .option('--group <id>', 'this group only')
    .option('--json', 'one JSON array of the keys that are gone; of a shared keyring an object')
    .addHelpText('after', '\nExample:\n  xkeys key prune --keyring keyrings/demo.toml')
  addWaitOption(addTargetOptions(command)).action((options: PruneOptions) =>
    withTarget(options, (target) => pruneKeys(target, options)),
  )
}

async function pruneKeys(target: KeyringTarget, options: PruneOptions): Promise<void> {
  let gone: readonly KeyRow[] = []
  let kept: readonly KeyRow[] = []
  const text = await changeKeyring(target, {
    audit: () => ({
      command: 'key prune',
      keys: gone.map(({ group, name, state, fingerprint }) => ({ group, key: name, state, fingerprint })),
    }),
    change: (before) => {
      const open = openKeyring(target, before)
      if (options.group !== undefined) needGroup(open, options.group)
      const ended = endedKeys(open, target.now, options.group)
      // No later revision may bring them back, so those who share the keyring remember them by it.
      kept = isShared(target) ? ended.filter(({ revoked }) => revoked !== undefined) : []
      gone = ended.filter((row) => !kept.includes(row))
      return gone.reduce((toml, { group, name }) => removeKey(toml, { group, name }), before)
    },
  })
  if (!options.json) {
    if (gone.length === 0) print('no key to prune')
    for (const line of formatRows(gone.map((row) => ['pruned', ...cellsOf(row)]))) print(line)
    for (const { group, name } of kept)
      print(
        `kept ${name} of ${group}: a revoked key stays in a shared keyring, so that no copy brings it back`,
      )
  }
  const told = await acknowledge(target, text, options)
  if (options.json) printJson(told === undefined ? gone : { pruned: gone, kept, acknowledgement: told })
}

/**
 * Those that have ended, on a node whose clock is late, too; of a group of which none would be left, all but the last
 * listed.
 */
function endedKeys(open: OpenKeyring, now: Date, group: string | undefined): readonly KeyRow[] {
  const rows = keyRows(open, new Date(now.getTime() - MAX_SKEW_MS), group)
  const ended = rows.filter(({ state }) => state === 'expired' || state === 'revoked')
  return ended.filter((row) => {
    const ofGroup = rows.filter((other) => other.group === row.group)
    return row !== ofGroup.at(-1) || ofGroup.some((other) => !ended.includes(other))
  })
}
