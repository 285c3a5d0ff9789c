/**
 * `xkeys rotate start`: add the next key, held.
 * @module
 */
import type { Command } from 'commander'
import { planStart } from '../keyring/rotation-plan.ts'
import { UsageError } from './exit.ts'
import { takeStep } from './rotate-change.ts'
import { addStepOptions, type Rotation, type StepOptions } from './rotate-options.ts'

/** Adds the command. */
export function addRotateStartCommand(rotate: Command): void {
  const command = rotate
    .command('start')
    .summary('add the next key: it verifies, and is held')
    .description(
      'Adds a new key to the group. It verifies at once and does not sign before it is promoted. Hand it to every peer: xkeys keyring export-kamailio --reveal shows it.',
    )
    .option('--name <name>', 'of the new key; default: the date')
    .addHelpText('after', '\nExample:\n  xkeys rotate start --group trunk-a --config edge.toml')
  addStepOptions(command).action((options: StepOptions & { name?: string }) =>
    takeStep(options, 'rotate start', (rotation) =>
      planStart(rotation.status, nameOf(rotation, options.name)),
    ),
  )
}

/** The name asked for, or the day; ended keys keep theirs until they are pruned. */
function nameOf({ status, fingerprintOf }: Rotation, asked: string | undefined): string {
  const isTaken = (name: string): boolean => fingerprintOf(name) !== undefined
  if (asked !== undefined) {
    if (isTaken(asked))
      throw new UsageError(`group ${status.group} has a key ${JSON.stringify(asked)} already`)
    return asked
  }
  const day = status.now.toISOString().slice(0, 10)
  let name = day
  for (let suffix = 2; isTaken(name); suffix++) name = `${day}-${suffix}`
  return name
}
