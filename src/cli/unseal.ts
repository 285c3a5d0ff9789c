/**
 * `xkeys unseal`: a sealed keyring to one in plaintext.
 * @module
 */
import type { Command } from 'commander'
import { parseKeyring } from '../keyring/parse-toml.ts'
import { kekSourceOf, unsealKeyring } from '../keyring/seal.ts'
import { print, printJson } from './io.ts'
import { readKek } from './kek-option.ts'
import { changeKeyring } from './keyring-change.ts'
import { addTargetOptions, readTarget, type TargetOptions } from './keyring-target.ts'
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
    .action((options: UnsealCommandOptions) => {
      const target = readTarget(options)
      const { kek } = readKek(options)
      const source = kekSourceOf(kek)
      const before = { keyring: '', revision: 0, keys: 0 }
      const entry = () => ({ command: 'unseal', kek: kek.id, ...before })
      changeKeyring({ ...target, kek: source }, entry, (text) => {
        const plain = unsealKeyring(text, source)
        const ring = parseKeyring(text, { kek: source, now: target.now })
        before.keyring = ring.name ?? ''
        before.revision = ring.revision ?? 0
        before.keys = ring.list(target.now).length
        return plain
      })
      if (options.json) return printJson(before)
      const name = JSON.stringify(before.keyring)
      print(
        `in plaintext: ${count(before.keys)}. Sealed as ${name} again, it needs --revision ${before.revision + 1}`,
      )
    })
}
