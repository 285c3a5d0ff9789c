/**
 * `xkeys rotate status`: where a rotation stands, and what is safe now.
 * @module
 */
import type { Command } from 'commander'
import { isClockOff, viewFleet } from '../keyring/fleet.ts'
import { wantedOf } from './acknowledge.ts'
import { EXIT } from './exit.ts'
import { isShared } from './keyring-change.ts'
import { dateOption, print, printJson } from './io.ts'
import { fleetScreen } from './fleet-screen.ts'
import { textOf } from './keyring-target.ts'
import { readFleet } from './rotate-fleet.ts'
import { addRotationOptions, readRotation, withSource, type RotationOptions } from './rotate-options.ts'
import { jsonOf, screenOf } from './rotate-screen.ts'

/** Adds the command. */
export function addRotateStatusCommand(rotate: Command): void {
  const command = rotate
    .command('status')
    .summary('show where it stands, and what is safe now')
    .description(
      'Shows keys, nodes and peers of the group, which steps are safe now, and what is missing for the others. Exit 1 where a node has not the shared keyring that is stored, or its clock is off.',
    )
    .option('--now <date>', 'as of this time', dateOption)
    .addHelpText('after', '\nExample:\n  xkeys rotate status --group trunk-a --config edge.toml')
  addRotationOptions(command).action((options: RotationOptions & { now?: Date }) =>
    withSource(options, async (source) => {
      const { target } = source
      const fleet = await readFleet(target)
      const text = await textOf(target)
      const { status } = readRotation(source, options.now ?? new Date(), text, fleet)
      const nodes = isShared(target) ? viewFleet(fleet.heartbeats, wantedOf(target, text)) : undefined
      if (nodes?.some((node) => node.status !== 'current' || isClockOff(node)))
        process.exitCode = EXIT.refused
      if (options.json) return printJson({ ...jsonOf(status), ...(nodes && { fleet: nodes }) })
      const lines = [...screenOf(status), ...(nodes === undefined ? [] : ['', ...fleetScreen(nodes)])]
      for (const line of lines) print(line)
    }),
  )
}
