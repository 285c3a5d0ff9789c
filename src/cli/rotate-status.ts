/**
 * `xkeys rotate status`: where a rotation stands, and what is safe now.
 * @module
 */
import type { Command } from 'commander'
import { dateOption, print, printJson } from './io.ts'
import { addRotationOptions, readRotation, readSource, type RotationOptions } from './rotate-options.ts'
import { jsonOf, screenOf } from './rotate-screen.ts'

/** Adds the command. */
export function addRotateStatusCommand(rotate: Command): void {
  const command = rotate
    .command('status')
    .summary('show where it stands, and what is safe now')
    .description(
      'Shows keys, nodes and peers of the group, which steps are safe now, and what is missing for the others.',
    )
    .option('--now <date>', 'as of this time', dateOption)
    .addHelpText('after', '\nExample:\n  xkeys rotate status --group trunk-a --config edge.toml')
  addRotationOptions(command).action((options: RotationOptions & { now?: Date }) => {
    const { status } = readRotation(readSource(options), options.now ?? new Date())
    if (options.json) return printJson(jsonOf(status))
    for (const line of screenOf(status)) print(line)
  })
}
