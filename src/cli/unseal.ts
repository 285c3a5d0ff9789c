/**
 * `xkeys unseal`: a sealed keyring to one in plaintext.
 * @module
 */
import type { Command } from 'commander'
import { parseKeyring } from '../keyring/parse-toml.ts'
import { kekSourceOf, unsealKeyring } from '../keyring/seal.ts'
import { UsageError } from './exit.ts'
import { print, printJson } from './io.ts'
import { readKek } from './kek-option.ts'
import { changeKeyring, isShared } from './keyring-change.ts'
import { addTargetOptions, withTarget, type KeyringTarget, type TargetOptions } from './keyring-target.ts'
import { count } from './seal.ts'

interface UnsealCommandOptions extends TargetOptions {
  readonly json?: true
}

/** Adds the command. */
export function addUnsealCommand(program: Command): void {
  const unseal = program
    .command('unseal')
    .summary('decrypt the secrets of a keyring')
    .description('Puts the secrets of a sealed keyring file back in plaintext and takes its seal away.')
  addTargetOptions(unseal)
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys unseal --keyring sealed.toml --kek file:kek')
    .action((options: UnsealCommandOptions) => withTarget(options, (target) => unsealTarget(target, options)))
}

async function unsealTarget(target: KeyringTarget, options: UnsealCommandOptions): Promise<void> {
  if (isShared(target))
    throw new UsageError(
      'a shared keyring stays sealed: xkeys fleet export gives a copy that can be unsealed',
    )
  const { kek } = readKek(options)
  const source = kekSourceOf(kek)
  const before = { keyring: '', revision: 0, keys: 0 }
  await changeKeyring(
    { ...target, kek: source },
    {
      audit: () => ({ command: 'unseal', kek: kek.id, ...before }),
      change: (text) => {
        const plain = unsealKeyring(text, source)
        const ring = parseKeyring(text, { kek: source, now: target.now })
        before.keyring = ring.name ?? ''
        before.revision = ring.revision ?? 0
        before.keys = ring.list(target.now).length
        return plain
      },
    },
  )
  if (options.json) return printJson(before)
  const name = JSON.stringify(before.keyring)
  print(
    `in plaintext: ${count(before.keys)}. Sealed as ${name} again, it needs --revision ${before.revision + 1}`,
  )
}
