/**
 * `xkeys rotate`: a guided rotation, step by step. `key retire` ends it.
 * @module
 */
import type { Command } from 'commander'
import { addRotateAbortCommand } from './rotate-abort.ts'
import { addRotateConfirmCommand } from './rotate-confirm.ts'
import { addRotatePromoteCommand } from './rotate-promote.ts'
import { addRotateStartCommand } from './rotate-start.ts'
import { addRotateStatusCommand } from './rotate-status.ts'

/** Adds the command and its children. */
export function addRotateCommand(program: Command): void {
  const rotate = program
    .command('rotate')
    .summary('rotate the key of a group')
    .description(
      'Rotates the key of a group in steps that each wait for evidence: start, promote, then key retire. The keyring says where a rotation stands.',
    )
  addRotateStartCommand(rotate)
  addRotateStatusCommand(rotate)
  addRotateConfirmCommand(rotate)
  addRotatePromoteCommand(rotate)
  addRotateAbortCommand(rotate)
}
