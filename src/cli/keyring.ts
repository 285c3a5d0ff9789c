/**
 * `xkeys keyring`: list, import from and export to Kamailio.
 * @module
 */
import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { codeOf, ConfigError } from '../errors.ts'
import { formatKeyring } from '../keyring/format-toml.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { lintKeyring } from '../keyring/lint.ts'
import { exportModparams, importModparams } from '../keyring/modparam.ts'
import { loadKeyringFile } from '../stores/keyring-file.ts'
import { UsageError } from './exit.ts'
import { commandKek } from './keyring-target.ts'
import { dateOption, print, printJson, readInput } from './io.ts'

const KEK_HELP = 'opens a sealed keyring: file:PATH, env:NAME or command:[…]; default: that of XKEYS_KEK'

/** Adds the command and its children. */
export function addKeyringCommand(program: Command): void {
  const keyring = program.command('keyring').summary('keyrings').description('Work with keyrings.')

  keyring
    .command('list')
    .summary('show keys and their states')
    .description(
      'Shows every key with its state and fingerprint; warnings about weak secrets go to standard error.',
    )
    .argument('<file>', 'keyring in TOML')
    .option('--now <date>', 'states at this time', dateOption)
    .option('--kek <reference>', KEK_HELP)
    .option('--json', 'one JSON array')
    .addHelpText('after', '\nExample:\n  xkeys keyring list keyrings/demo.toml')
    .action((file: string, options: { now?: Date; json?: true; kek?: string }) => {
      const now = options.now ?? new Date()
      const ring = loadKeyringFile(file, { env: process.env, now, kek: commandKek(options.kek) })
      warn(ring)
      const rows = ring.list(now)
      if (options.json) return printJson(rows)
      const width = (pick: (row: (typeof rows)[number]) => string): number =>
        Math.max(0, ...rows.map((row) => pick(row).length))
      const [group, name] = [width((row) => row.group), width((row) => row.name)]
      for (const row of rows)
        print(
          `${row.group.padEnd(group)}  ${row.name.padEnd(name)}  ${row.state.padEnd(11)}  ${row.fingerprint}`,
        )
    })

  keyring
    .command('import-kamailio')
    .summary('modparam lines to a keyring')
    .description(
      "Reads Kamailio's xkey lines (bare, or whole modparam lines of a kamailio.cfg) and prints a keyring in TOML.",
    )
    .argument('[file]', 'the lines; standard input where absent')
    .option('--out <file>', 'write it there instead, mode 0600; the file must not exist')
    .addHelpText('after', '\nExample:\n  xkeys keyring import-kamailio kamailio.cfg --out keyring.toml')
    .action((file: string | undefined, options: { out?: string }) => {
      const ring = importModparams(readInput(file ?? '-').toString('utf8'), new Date())
      if (ring.groups.length === 0) {
        const issue = { path: file ?? '-', message: 'it has no xkey line' }
        throw new ConfigError('ERR_MODPARAM_INVALID', [issue])
      }
      warn(ring)
      const toml = formatKeyring(ring)
      if (options.out === undefined) process.stdout.write(toml)
      else writeNew(options.out, toml)
    })

  keyring
    .command('export-kamailio')
    .summary('a keyring to modparam lines')
    .description(
      'Prints the xkey lines for a Kamailio peer. Without --reveal each secret is replaced by its fingerprint.',
    )
    .argument('<file>', 'keyring in TOML')
    .option('--group <id>', 'this group only')
    .option('--now <date>', 'as of this time', dateOption)
    .option('--reveal', 'print the secrets')
    .option('--kek <reference>', KEK_HELP)
    .addHelpText(
      'after',
      '\nExample:\n  xkeys keyring export-kamailio keyrings/demo.toml --group trunk-a --reveal',
    )
    .action((file: string, options: { group?: string; now?: Date; reveal?: true; kek?: string }) => {
      const now = options.now ?? new Date()
      const ring = loadKeyringFile(file, { env: process.env, now, kek: commandKek(options.kek) })
      if (options.group !== undefined && !ring.hasGroup(options.group)) {
        throw new UsageError(`there is no group ${JSON.stringify(options.group)} in ${file}`)
      }
      process.stdout.write(
        exportModparams(ring, now, {
          ...(options.group && { group: options.group }),
          secrets: options.reveal ? 'reveal' : 'fingerprint',
        }),
      )
    })
}

function warn(ring: Keyring): void {
  for (const { path, message } of lintKeyring(ring))
    process.stderr.write(`xkeys: warning: ${path}: ${message}\n`)
}

function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const code = codeOf(error, 'unwritable')
    throw new UsageError(`${path}: cannot be written (${code})`)
  }
}
