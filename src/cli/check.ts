/**
 * `xkeys check`: validate a configuration and say in words what it means.
 * @module
 */
import type { Command } from 'commander'
import { keyWarnings } from '../edge/config-keys.ts'
import { userWarnings } from '../edge/config-users-words.ts'
import { explainConfig } from '../edge/config-words.ts'
import { loadConfig } from '../edge/service.ts'
import { formatIssue } from '../errors.ts'
import { print } from './io.ts'

/** Adds the command. */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .summary('validate an edge configuration')
    .description(
      'Reads the configuration and its keyring, reports every issue at once, and explains each trunk in words.',
    )
    .requiredOption('--config <edge.toml>', 'the configuration')
    .addHelpText('after', '\nExample:\n  xkeys check --config edge.toml')
    .action(({ config: path }: { config: string }) => {
      const now = new Date()
      const { config, keyring, warnings } = loadConfig(path, process.env, now)
      const doubts = [
        ...config.warnings,
        ...keyWarnings(config.trunks, keyring, now),
        ...userWarnings(config.users, keyring, now),
        ...warnings,
      ]
      for (const issue of doubts) {
        process.stderr.write(`xkeys: warning: ${formatIssue(issue)}\n`)
      }
      print(`${path}: valid`)
      for (const line of explainConfig(config, keyring, now)) print(line)
    })
}
