/**
 * `xkeys key retire`: an older key ends, once nobody uses it any more.
 * @module
 */
import type { Command } from 'commander'
import { defaultEnd, planRetire } from '../keyring/rotation-plan.ts'
import { UsageError } from './exit.ts'
import { dateOption } from './io.ts'
import { takeStep } from './rotate-change.ts'
import { addForceOption, addStepOptions, type StepOptions } from './rotate-options.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `--in`: milliseconds. */
function durationOption(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count === '') throw new UsageError(`${JSON.stringify(text)} is no duration, as in 90s, 15m, 2h or 7d`)
  return Number(count) * UNITS[unit]! * 1000
}

/** Adds the command to `xkeys key`. */
export function addKeyRetireCommand(key: Command): void {
  const command = key
    .command('retire')
    .summary('end an older key')
    .description(
      'Gives an older key its end, once each peer was seen on a newer key since it last used the old one, and every own node works with this keyring. Silence and lost evidence refuse: exit 1.',
    )
    .argument('<name>', 'the key')
    .option('--in <duration>', 'it ends after that, e.g. 90s, 15m, 2h, 7d; default: 5s', durationOption)
    .option('--at <date>', 'it ends then, e.g. 2026-10-01T00:00:00Z', dateOption)
    .addHelpText('after', '\nExample:\n  xkeys key retire 2026-q3 --group trunk-a --config edge.toml')
  addForceOption(addStepOptions(command)).action(
    (name: string, options: StepOptions & { in?: number; at?: Date; force?: true }) => {
      if (options.in !== undefined && options.at !== undefined) throw new UsageError('give --in or --at')
      const { at, in: after, force } = options
      if (at !== undefined && at < new Date()) {
        throw new UsageError('--at is in the past: xkeys key revoke ends a key at once')
      }
      return takeStep(options, 'key retire', ({ status }) => {
        const { now } = status
        const end = at ?? (after === undefined ? defaultEnd(now) : new Date(now.getTime() + after))
        return planRetire(status, name, end, force ? 'force' : 'by-evidence')
      })
    },
  )
}
