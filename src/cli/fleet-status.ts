/**
 * `xkeys fleet status`: how each node stands with the shared keyring.
 * @module
 */
import type { Command } from 'commander'
import { isClockOff, viewFleet } from '../keyring/fleet.ts'
import { EXIT } from './exit.ts'
import { fleetScreen } from './fleet-screen.ts'
import { withFleet } from './fleet-target.ts'
import { print, printJson } from './io.ts'
import type { SharedTarget } from './keyring-change-shared.ts'
import { addTargetOptions, type TargetOptions } from './keyring-target.ts'
import { asking } from './shared-store.ts'

type StatusOptions = TargetOptions & { readonly json?: true }

/** Adds the command. */
export function addFleetStatusCommand(fleet: Command): void {
  const command = fleet
    .command('status')
    .summary('show every node, and whether it has what is stored')
    .description(
      'Shows every node that has told of itself: revision and fingerprint of its keyring, when it was heard of, its clock, its version, and why it refuses what is stored. Exit 1 where one has not what is stored or its clock is off. The key-encryption key is not needed.',
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys fleet status --config fleet.toml')
  addTargetOptions(command).action((options: StatusOptions) =>
    withFleet(options, (target) => showStatus(target, options)),
  )
}

async function showStatus({ store }: SharedTarget, { json }: StatusOptions): Promise<void> {
  const stored = await asking(store, store.read())
  const found = await asking(store, store.heartbeats())
  const nodes = viewFleet(found, stored === 'empty' ? 'unknown' : { revision: stored.revision })
  const current = nodes.filter((node) => node.status === 'current' && !isClockOff(node)).length
  const agrees = stored !== 'empty' && current === nodes.length
  if (!agrees) process.exitCode = EXIT.refused
  if (json) {
    const revision = stored === 'empty' ? null : stored.revision
    return printJson({ place: store.place, revision, agrees, nodes })
  }
  print(`${store.place}: ${stored === 'empty' ? 'no keyring' : `revision ${stored.revision}`}`)
  for (const line of fleetScreen(nodes)) print(line)
  if (nodes.length > 0) print(`${current} of ${nodes.length} as they should be`)
}
