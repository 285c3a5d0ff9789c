/**
 * `xkeys run`: the edge.
 * @module
 */
import type { Command } from 'commander'
import { notifySystemd } from '../edge/notify.ts'
import { loadConfig, startService, type Service } from '../edge/service.ts'
import { VERSION } from '../version.ts'

/** Adds the command. */
export function addRunCommand(program: Command): void {
  program
    .command('run')
    .summary('run the edge')
    .description(
      'Runs the edge in the foreground until SIGINT or SIGTERM, drains, and ends; a second signal ends it at once. The keyring is followed: a change comes into force by itself, and SIGHUP reads it at once. Logs JSON lines to standard output.',
    )
    .requiredOption('--config <edge.toml>', 'the configuration')
    .addHelpText('after', '\nExample:\n  xkeys run --config edge.toml')
    .action(async ({ config }: { config: string }) => {
      // Before the start: whoever reads "started" may already want it to stop.
      const asked = new Promise<void>((resolve) => {
        process.once('SIGINT', () => resolve())
        process.once('SIGTERM', () => resolve())
      })
      // Before the start, too: it must not end the process.
      let running: Service | undefined
      process.on('SIGHUP', () => running?.reload())
      // Not kept here: the keys that it begins with may be pruned while it runs.
      const service = await startService({
        loaded: loadConfig(config, process.env, new Date()),
        version: VERSION,
      })
      running = service
      void tellSystemd(service)
      await asked
      void notifySystemd('stopping', process.env)
      process.once('SIGINT', () => void service.stop())
      process.once('SIGTERM', () => void service.stop())
      await service.stop()
    })
}

async function tellSystemd({ log }: Service): Promise<void> {
  if ((await notifySystemd('ready', process.env)) === 'failed') {
    log.warn({ event: 'notify-failed' }, 'systemd could not be told: is systemd-notify installed?')
  }
}
