/**
 * `xkeys rotate abort`: the way back.
 * @module
 */
import type { Command } from 'commander'
import { planAbort } from '../keyring/rotation-plan.ts'
import { takeStep } from './rotate-change.ts'
import { addForceOption, addStepOptions, type StepOptions } from './rotate-options.ts'

/** Adds the command. */
export function addRotateAbortCommand(rotate: Command): void {
  const command = rotate
    .command('abort')
    .summary('go back')
    .description(
      'Before the promotion: takes the new key out, unless a peer may be using it; then exit 1, and it goes on verifying. After the promotion: holds the new key again, so that the one before signs.',
    )
    .addHelpText('after', '\nExample:\n  xkeys rotate abort --group trunk-a --config edge.toml')
  addForceOption(addStepOptions(command)).action((options: StepOptions & { force?: true }) =>
    takeStep(options, 'rotate abort', ({ status }) =>
      planAbort(status, options.force ? 'force' : 'by-evidence'),
    ),
  )
}
