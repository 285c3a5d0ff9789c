/**
 * `xkeys fleet`: the nodes that share a keyring, and the store that it is in.
 * @module
 */
import type { Command } from 'commander'
import { addFleetAuditCommand } from './fleet-audit.ts'
import { addFleetExportCommand } from './fleet-export.ts'
import { addFleetForgetCommand } from './fleet-forget.ts'
import { addFleetSeedCommand } from './fleet-seed.ts'
import { addFleetStatusCommand } from './fleet-status.ts'

/** Adds the command and its children. */
export function addFleetCommand(program: Command): void {
  const fleet = program
    .command('fleet')
    .summary('nodes that share a keyring')
    .description('Works with a keyring that nodes share, and shows how each of them stands with it.')
  addFleetStatusCommand(fleet)
  addFleetSeedCommand(fleet)
  addFleetForgetCommand(fleet)
  addFleetExportCommand(fleet)
  addFleetAuditCommand(fleet)
}
