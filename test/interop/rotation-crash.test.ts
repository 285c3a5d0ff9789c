import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/keyring/generate.ts'
import { folderWith } from '../support/folder.ts'
import { spawnXkeys, xkeys } from '../support/xkeys.ts'

const EDGE = `keyring = "keyring.toml"
state = "state"
node = "edge-1"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`
const ON = ['--group', 'gw', '--config', 'edge.toml']

/** Each command with the states before and behind it. */
const STEPS: readonly (readonly [words: readonly string[], before: string, behind: string])[] = [
  [['rotate', 'start', '--name', 'new'], 'idle', 'started'],
  [['rotate', 'promote', '--force'], 'started', 'promoted'],
  [['key', 'retire', 'old', '--force', '--in', '7d'], 'promoted', 'retiring'],
  [['rotate', 'abort', '--force'], 'retiring', 'started'],
  [['rotate', 'abort', '--force'], 'started', 'idle'],
]

interface AuditLine {
  readonly command: string
  readonly phase?: string
  readonly operation?: string
  readonly outcome?: string
}

/** A keyring with one key, as a command makes it. */
async function place(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const cwd = folderWith({ 'edge.toml': EDGE, ...files })
  await xkeys(['keyring', 'import-kamailio', '--out', 'keyring.toml'], {
    cwd,
    stdin: Buffer.from(`id=gw;name=old;value=${generateSecret()}\n`),
  })
  return cwd
}

describe('a sealed keyring', () => {
  it('stays sealed through a rotation', async () => {
    const cwd = await place({ kek: randomBytes(32).toString('hex') })
    chmodSync(join(cwd, 'kek'), 0o600)
    const kek = ['--kek', 'file:kek']
    const run = async (...words: readonly string[]): Promise<void> => {
      const { stderr, exit } = await xkeys([...words, ...kek], { cwd })
      expect([words, exit, stderr]).toEqual([words, 0, ''])
    }
    await run('seal', '--keyring', 'keyring.toml')
    const revisions: (string | undefined)[] = []
    for (const [words] of STEPS) {
      await run(...words, ...ON)
      const text = readFileSync(join(cwd, 'keyring.toml'), 'utf8')
      expect(text).not.toContain('value')
      revisions.push(/^revision = (\d+)$/m.exec(text)?.[1])
    }
    expect(revisions).toEqual(['2', '3', '4', '5', '6'])
    const without = await xkeys(['rotate', 'status', ...ON], { cwd })
    expect(without.exit).toBe(78)
  }, 60_000)
})

describe('a command that is killed', () => {
  it('leaves the state before it or the one behind it, and can be given again', async () => {
    const cwd = await place()
    const stateNow = async (): Promise<string> => {
      const status = await xkeys(['rotate', 'status', ...ON, '--json'], { cwd })
      return (JSON.parse(status.stdout) as { state: string }).state
    }
    // How long a command takes here, so that some are killed at every moment of it.
    const begun = performance.now()
    expect(await stateNow()).toBe('idle')
    const whole = performance.now() - begun
    let killed = 0
    for (const fraction of [0.7, 0.9]) {
      for (const [words, before, behind] of STEPS) {
        const child = spawnXkeys([...words, ...ON], { cwd })
        child.stdout.resume()
        child.stderr.resume()
        const closed = once(child, 'close')
        await sleep(whole * fraction)
        child.kill('SIGKILL')
        if ((await closed)[1] === 'SIGKILL') killed++
        const state = await stateNow()
        expect([before, behind]).toContain(state)
        const again = state === before ? await xkeys([...words, ...ON], { cwd }) : undefined
        expect({ words, exit: again?.exit ?? 0, state: await stateNow() }).toEqual({
          words,
          exit: 0,
          state: behind,
        })
      }
    }
    console.log(`${killed} of ${2 * STEPS.length} commands were killed`)

    // Every change that was begun has its end in the audit, but the last one may wait for the next change.
    const lines = readFileSync(join(cwd, 'keyring.toml.audit'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditLine)
    const open = lines.filter(
      ({ phase, operation }) =>
        phase === 'begin' && !lines.some((line) => line.phase === 'end' && line.operation === operation),
    )
    expect(open.length).toBeLessThanOrEqual(1)
  }, 120_000)
})
