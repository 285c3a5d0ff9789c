/**
 * `xkeys key list`: the keys of a keyring.
 * @module
 */
import type { Command } from 'commander'
import { print, printJson } from './io.ts'
import { cellsOf, formatRows, keyRows, needGroup } from './key-row.ts'
import { addTargetOptions, openKeyring, textOf, withTarget, type TargetOptions } from './keyring-target.ts'

/** Adds the command. */
export function addKeyListCommand(key: Command): void {
  const command = key
    .command('list')
    .summary('show the keys of a keyring')
    .description(
      'Shows every key with its state, fingerprint and times. A fingerprint is unknown where the secret is kept elsewhere and cannot be fetched from here.',
    )
    .option('--group <id>', 'this group only')
    .option('--json', 'one JSON array')
    .addHelpText('after', '\nExample:\n  xkeys key list --keyring keyrings/demo.toml --group trunk-a')
  addTargetOptions(command).action((options: TargetOptions & { group?: string; json?: true }) =>
    withTarget(options, async (target) => {
      const open = openKeyring(target, await textOf(target))
      if (options.group !== undefined) needGroup(open, options.group)
      const rows = keyRows(open, target.now, options.group)
      if (options.json) return printJson(rows)
      for (const line of formatRows(rows.map(cellsOf))) print(line)
    }),
  )
}
