/**
 * `xkeys key`: keys.
 * @module
 */
import { InvalidArgumentError, type Command } from 'commander'
import { createKey } from '../keyring/key.ts'
import { generateSecret } from '../keyring/generate.ts'
import { print, printJson } from './io.ts'
import { addKeyAddCommand } from './key-add.ts'
import { addKeyListCommand } from './key-list.ts'
import { addKeyPruneCommand } from './key-prune.ts'
import { addKeyRetireCommand } from './key-retire.ts'
import { addKeyRevokeCommand } from './key-revoke.ts'
import { addKeyShowCommand } from './key-show.ts'

function countOption(text: string): number {
  const count = Number(text)
  if (!/^\d{1,4}$/.test(text) || count < 1) throw new InvalidArgumentError('It is a number from 1 to 9999.')
  return count
}

/** Adds the command. */
export function addKeyCommand(program: Command): void {
  const key = program.command('key').summary('keys').description('Work with keys.')
  key
    .command('generate')
    .summary('make a secret')
    .description(
      'Prints a new secret: 256 random bits as text that a keyring and a Kamailio modparam can both hold.',
    )
    .option('--count <n>', 'how many', countOption, 1)
    .option('--json', 'secret and fingerprint as one JSON object a line')
    .addHelpText('after', '\nExample:\n  xkeys key generate')
    .action((options: { count: number; json?: true }) => {
      for (let i = 0; i < options.count; i++) {
        const secret = generateSecret()
        const { fingerprint } = createKey({ name: 'generated', secret })
        if (options.json) printJson({ secret, fingerprint })
        else print(secret)
      }
    })
  addKeyAddCommand(key)
  addKeyListCommand(key)
  addKeyShowCommand(key)
  addKeyRetireCommand(key)
  addKeyRevokeCommand(key)
  addKeyPruneCommand(key)
}
