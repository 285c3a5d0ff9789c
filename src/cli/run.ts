/**
 * `xkeys run`: the edge.
 * @module
 */
import type { Command } from 'commander'
import { loadConfig, startService } from '../edge/service.ts'
import { VERSION } from '../version.ts'

/** Adds the command. */
export function addRunCommand(program: Command): void {
  program
    .command('run')
    .summary('run the edge')
    .description(
      'Runs the edge in the foreground until SIGINT or SIGTERM. Logs JSON lines to standard output.',
    )
    .requiredOption('--config <edge.toml>', 'the configuration')
    .addHelpText('after', '\nExample:\n  xkeys run --config edge.toml')
    .action(async ({ config }: { config: string }) => {
      const loaded = loadConfig(config, process.env, new Date())
      const service = await startService({ loaded, version: VERSION })
      const stop = (): void => void service.stop()
      process.once('SIGINT', stop)
      process.once('SIGTERM', stop)
    })
}
