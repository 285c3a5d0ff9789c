/**
 * `xkeys check`: validate a configuration and say in words what it means.
 * @module
 */
import type { Command } from 'commander'
import { keyWarnings } from '../edge/config-keys.ts'
import { userWarnings } from '../edge/config-users-words.ts'
import { explainConfig } from '../edge/config-words.ts'
import { explainShared } from '../edge/keyring-words.ts'
import { readSharedKeyring } from '../edge/read-keyring.ts'
import { loadConfig } from '../edge/service.ts'
import { formatIssue } from '../errors.ts'
import { lintKeyring } from '../keyring/lint.ts'
import { print } from './io.ts'

/** Adds the command. */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('validate an edge configuration')
    .description(
      'Reads the configuration and its keyring, reports every issue at once, and explains each trunk in words. The store of a shared keyring is asked; where that is not possible the local copy is read, with a warning.',
    )
    .requiredOption('--config <edge.toml>', 'the configuration')
    .addHelpText('after', '\nExample:\n  xkeys check --config edge.toml')
    .action(async ({ config: path }: { config: string }) => {
      const now = new Date()
      const loaded = loadConfig(path, process.env, now)
      const { config } = loaded
      const shared =
        typeof config.keyring === 'string' ? undefined : await readSharedKeyring(loaded, config.keyring, now)
      const keyring = loaded.keyring ?? shared?.keyring
      const warnings = [
        ...config.warnings,
        ...(shared?.why === undefined ? [] : [{ path: shared.place, message: shared.why }]),
        ...(keyring === undefined ? [] : keyWarnings(config.trunks, keyring, now)),
        ...(keyring === undefined ? [] : userWarnings(config.users, keyring, now)),
        ...(keyring === undefined ? [] : lintKeyring(keyring)),
      ]
      for (const issue of warnings) process.stderr.write(`xkeys: warning: ${formatIssue(issue)}\n`)
      print(`${path}: valid`)
      if (shared !== undefined) for (const line of explainShared(config, shared)) print(line)
      for (const line of explainConfig(config, keyring, now)) print(line)
    })
}
