/**
 * `xkeys seal`: a keyring in plaintext to a sealed one, or to one that is sealed with another key-encryption key.
 * @module
 */
import { basename } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { parseKeyring } from '../keyring/parse-toml.ts'
import { isSealed, kekSourceOf, sealKeyring } from '../keyring/seal.ts'
import { print, printJson } from './io.ts'
import { acknowledge, addWaitOption, type WaitOptions } from './acknowledge.ts'
import { readKek, sourceOf } from './kek-option.ts'
import { changeKeyring } from './keyring-change.ts'
import { addTargetOptions, withTarget, type KeyringTarget, type TargetOptions } from './keyring-target.ts'

interface SealCommandOptions extends TargetOptions, WaitOptions {
  readonly oldKek?: string
  readonly name?: string
  readonly revision?: number
  readonly json?: true
}

function revisionOption(text: string): number {
  const revision = Number(text)
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('It is a whole number, at least 1.')
  return revision
}

/** Adds the command. */
export function addSealCommand(program: Command): void {
  const seal = program
    .command('seal')
    .summary('encrypt the secrets of a keyring')
    .description(
      'Encrypts every secret of a keyring file with a key-encryption key, and puts a MAC over all that decides about keys. A keyring that is sealed already gets the key-encryption key given here.',
    )
  addWaitOption(addTargetOptions(seal))
    .option('--old-kek <reference>', 'what the keyring is sealed with now, where that is another one')
    .option('--name <name>', 'name of the keyring, bound into every value; default: the name of its file')
    .option(
      '--revision <n>',
      'at least this revision, where nodes had a higher one of this name before',
      revisionOption,
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys seal --keyring trunks.toml --kek file:kek')
    .action((options: SealCommandOptions) => withTarget(options, (target) => sealTarget(target, options)))
}

async function sealTarget(target: KeyringTarget, options: SealCommandOptions): Promise<void> {
  const { kek, sealedAs } = readKek(options)
  const open = sourceOf(kek, options.oldKek)
  const name = options.name ?? sealedAs
  const after = { kek: kek.id, keyring: '', revision: 0, keys: 0 }
  const text = await changeKeyring(
    { ...target, kek: open },
    {
      audit: () => ({ command: 'seal', ...after }),
      change: (before) => {
        const keyring = name ?? (isSealed(before) ? undefined : basename(target.path).replace(/\.toml$/, ''))
        const { revision } = options
        const sealed = sealKeyring(before, { kek, keyring, open, revision, resolve: target.resolve })
        const ring = parseKeyring(sealed, { kek: kekSourceOf(kek), now: target.now })
        after.keyring = ring.name ?? ''
        after.revision = ring.revision ?? 0
        after.keys = ring.list(target.now).length
        return sealed
      },
    },
  )
  if (!options.json) {
    const { keyring, revision, keys } = after
    print(`sealed as ${JSON.stringify(keyring)}, revision ${revision}, with ${kek.id}: ${count(keys)}`)
  }
  const acknowledgement = await acknowledge({ ...target, kek: kekSourceOf(kek) }, text, options)
  if (options.json) printJson({ ...after, ...(acknowledgement && { acknowledgement }) })
}

/** `1 key`, `2 keys`. */
export function count(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`
}
