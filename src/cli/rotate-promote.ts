/**
 * `xkeys rotate promote`: the new key begins to sign.
 * @module
 */
import type { Command } from 'commander'
import { planPromote } from '../keyring/rotation-plan.ts'
import { UsageError } from './exit.ts'
import { dateOption } from './io.ts'
import { takeStep } from './rotate-change.ts'
import { addForceOption, addStepOptions, type StepOptions } from './rotate-options.ts'

/** Adds the command. */
export function addRotatePromoteCommand(rotate: Command): void {
  const command = rotate
    .command('promote')
    .summary('let the new key sign')
    .description(
      'Lets the held key sign, once every own node holds it and each peer is known to hold it: by a message signed with it, or by xkeys rotate confirm. Exit 1 where something is missing.',
    )
    .option('--at <date>', 'from then on, e.g. 2026-10-01T00:00:00Z; default: now', dateOption)
    .addHelpText('after', '\nExample:\n  xkeys rotate promote --group trunk-a --config edge.toml')
  addForceOption(addStepOptions(command)).action((options: StepOptions & { at?: Date; force?: true }) => {
    const { at, force } = options
    if (at !== undefined && at < new Date()) throw new UsageError('--at is in the past')
    return takeStep(options, 'rotate promote', ({ status }) =>
      planPromote(status, at ?? status.now, force ? 'force' : 'by-evidence'),
    )
  })
}
