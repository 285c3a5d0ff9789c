/**
 * `xkeys fleet export`: the sealed text, as a backup or to work on.
 * @module
 */
import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { codeOf } from '../errors.ts'
import { UsageError } from './exit.ts'
import { withFleet } from './fleet-target.ts'
import { print } from './io.ts'
import { addTargetOptions, type TargetOptions } from './keyring-target.ts'
import { readStored } from './shared-store.ts'

/** Adds the command. */
export function addFleetExportCommand(fleet: Command): void {
  const command = fleet
    .command('export')
    .summary('print the keyring that is stored, sealed')
    .description(
      'Prints the sealed text that the store has: a backup for xkeys fleet seed. The key-encryption key is not needed, and no secret is shown.',
    )
    .option('--out <file>', 'write it there instead, mode 0600; the file must not exist')
    .addHelpText('after', '\nExample:\n  xkeys fleet export --config fleet.toml --out backup.toml')
  addTargetOptions(command).action((options: TargetOptions & { out?: string }) =>
    withFleet(options, async ({ store }) => {
      const { text, revision } = await readStored(store)
      const { out } = options
      if (out === undefined) return void process.stdout.write(text)
      writeNew(out, text)
      print(`revision ${revision} of ${store.place} is in ${out}`)
    }),
  )
}

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw new UsageError(`${path}: cannot be written (${codeOf(error, 'unwritable')})`)
  }
}
