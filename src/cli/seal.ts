/**
 * `xkeys seal`: a keyring in plaintext to a sealed one, or to one that is sealed with another key-encryption key.
 * @module
 */
import { basename } from 'node:path'
import { InvalidArgumentError, type Command } from 'commander'
import { parseKeyring } from '../keyring/parse-toml.ts'
import { isSealed, kekSourceOf, sealKeyring } from '../keyring/seal.ts'
import { print, printJson } from './io.ts'
import { readKek, sourceOf } from './kek-option.ts'
import { changeKeyring } from './keyring-change.ts'
import { addTargetOptions, readTarget, type TargetOptions } from './keyring-target.ts'

interface SealCommandOptions extends TargetOptions {
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
  addTargetOptions(seal)
    .option('--old-kek <reference>', 'what the keyring is sealed with now, where that is another one')
    .option('--name <name>', 'name of the keyring, bound into every value; default: the name of its file')
    .option(
      '--revision <n>',
      'at least this revision, where nodes had a higher one of this name before',
      revisionOption,
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  xkeys seal --keyring trunks.toml --kek file:kek')
    .action((options: SealCommandOptions) => {
      const target = readTarget(options)
      const { kek, sealedAs } = readKek(options)
      const open = sourceOf(kek, options.oldKek)
      const name = options.name ?? sealedAs
      const after = { kek: kek.id, keyring: '', revision: 0, keys: 0 }
      const entry = () => ({ command: 'seal', ...after })
      changeKeyring({ ...target, kek: kekSourceOf(kek) }, entry, (text) => {
        const keyring = name ?? (isSealed(text) ? undefined : basename(target.path).replace(/\.toml$/, ''))
        const { revision } = options
        const sealed = sealKeyring(text, { kek, keyring, open, revision, resolve: target.resolve })
        const ring = parseKeyring(sealed, { kek: kekSourceOf(kek), now: target.now })
        after.keyring = ring.name ?? ''
        after.revision = ring.revision ?? 0
        after.keys = ring.list(target.now).length
        return sealed
      })
      if (options.json) printJson(after)
      else
        print(
          `sealed as ${JSON.stringify(after.keyring)}, revision ${after.revision}, with ${kek.id}: ${count(after.keys)}`,
        )
    })
}

/** `1 key`, `2 keys`. */
export function count(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`
}
