/**
 * `xkeys fleet forget`: a node that is gone for good.
 * @module
 */
import type { Command } from 'commander'
import { nearest } from '../errors.ts'
import { viewFleet } from '../keyring/fleet.ts'
import { RefusedError, UsageError } from './exit.ts'
import { withFleet } from './fleet-target.ts'
import { print, printJson } from './io.ts'
import { noteAudit } from './keyring-change.ts'
import type { SharedTarget } from './keyring-change-shared.ts'
import { addTargetOptions, type TargetOptions } from './keyring-target.ts'
import { asking } from './shared-store.ts'

type ForgetOptions = TargetOptions & { readonly json?: true }

/** Adds the command. */
export function addFleetForgetCommand(fleet: Command): void {
  const command = fleet
    .command('forget')
    .summary('forget a node that is gone for good')
    .description(
      'Forgets a node, so that nothing waits for it any more. What it knew of the use of keys is lost with it. Exit 1 where it is live.',
    )
    .argument('<node>', 'its name')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys fleet forget n9 --config fleet.toml')
  addTargetOptions(command).action((node: string, options: ForgetOptions) =>
    withFleet(options, (target) => forget(target, node, options)),
  )
}

async function forget(target: SharedTarget, name: string, { json }: ForgetOptions): Promise<void> {
  const { store } = target
  const nodes = viewFleet(await asking(store, store.heartbeats()), 'unknown')
  const known = nodes.find(({ node }) => node === name)
  if (known === undefined) {
    const near = nearest(
      name,
      nodes.map(({ node }) => node),
    )
    throw new UsageError(
      `no node ${JSON.stringify(name)} is known${near === undefined ? '' : `; did you mean ${near}?`}`,
    )
  }
  if (known.status !== 'silent')
    throw new RefusedError(`${name} is live: it would tell of itself again at once, so stop it first`)
  // Told first: whoever finds it missing can look it up.
  await noteAudit(target, { command: 'fleet forget', node: name })
  await asking(store, store.forget(name))
  if (json) printJson({ forgotten: name })
  else print(`${name} is forgotten`)
}
