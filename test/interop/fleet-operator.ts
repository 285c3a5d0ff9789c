/**
 * The operator of a fleet: the command line, in a folder of its own.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { xkeys, type Outcome } from '../support/xkeys.ts'
import { GROUP_NAMES, KEYRING } from './fleet-config.ts'
import { newKeyring } from './rotation-rig.ts'

/** Gives commands. */
export interface Operator {
  readonly folder: string
  /** `xkeys …`, with `--config`. */
  cli(...words: readonly string[]): Promise<Outcome>
  /**
   * The same again and again until it is not refused, or was done all the same: a command that has changed the keyring is
   * refused where a node does not acknowledge it.
   * @param isDone is asked after a refusal
   * @param onRefused is told what a refusal said, before the next try
   */
  step(
    words: readonly string[],
    isDone: () => boolean | Promise<boolean>,
    onRefused?: (said: string) => Promise<void>,
  ): Promise<void>
  /** Everything that commands told so far. */
  told(): string
}

/** How long a step may wait for its evidence, milliseconds. */
const PATIENCE = 180_000
/** Between two tries, milliseconds. */
const AGAIN = 700

/** Makes the operator, and seeds the store with a sealed keyring that has a key in each group. */
export async function createOperator(folder: string, config: string): Promise<Operator> {
  mkdirSync(folder)
  writeFileSync(join(folder, 'edge.toml'), config)
  writeFileSync(join(folder, 'first.toml'), newKeyring(...GROUP_NAMES), { mode: 0o600 })
  let told = ''
  async function run(...words: readonly string[]): Promise<Outcome> {
    const outcome = await xkeys(words, { cwd: folder })
    told += outcome.stdout + outcome.stderr
    return outcome
  }
  const cli = (...words: readonly string[]): Promise<Outcome> => run(...words, '--config', 'edge.toml')
  writeFileSync(join(folder, 'plain.toml'), newKeyring(...GROUP_NAMES), { mode: 0o600 })
  for (const { exit, stderr } of [
    await run('seal', '--keyring', 'first.toml', '--kek', 'file:../kek', '--name', KEYRING),
    await cli('fleet', 'seed', 'first.toml'),
  ]) {
    if (exit !== 0) throw new Error(`the keyring is not seeded: ${exit}\n${stderr}`)
  }
  return {
    folder,
    cli,
    async step(words, isDone, onRefused) {
      for (const end = Date.now() + PATIENCE; ;) {
        const { stdout, stderr, exit } = await cli(...words)
        if (exit === 0 || (exit === 1 && (await isDone()))) return
        // 78: the store is away.
        if ((exit !== 1 && exit !== 78) || Date.now() > end)
          throw new Error(`xkeys ${words.join(' ')}: ${exit}\n${stdout}${stderr}`)
        await onRefused?.(stdout + stderr)
        await sleep(AGAIN)
      }
    },
    told: () => told,
  }
}
