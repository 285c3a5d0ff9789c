/**
 * `xkeys fleet audit`: who changed the shared keyring, and when.
 * @module
 */
import { InvalidArgumentError, type Command } from 'commander'
import { withFleet } from './fleet-target.ts'
import { print } from './io.ts'
import { addTargetOptions, type TargetOptions } from './keyring-target.ts'
import { asking } from './shared-store.ts'

function countOption(text: string): number {
  const count = Number(text)
  if (!/^\d{1,5}$/.test(text) || count < 1 || count > 10_000)
    throw new InvalidArgumentError('It is a number from 1 to 10000.')
  return count
}

/** Adds the command. */
export function addFleetAuditCommand(fleet: Command): void {
  const command = fleet
    .command('audit')
    .summary('show who changed it, and when')
    .description(
      'Prints the last lines of the audit, oldest first, each a JSON object: who, when, what, fingerprints; never a secret. A change and its line are one.',
    )
    .option('--count <n>', 'how many lines', countOption, 20)
    .addHelpText('after', '\nExample:\n  xkeys fleet audit --config fleet.toml --count 5')
  addTargetOptions(command).action((options: TargetOptions & { count: number }) =>
    withFleet(options, async ({ store }) => {
      for (const line of await asking(store, store.audit(options.count))) print(line)
    }),
  )
}
