import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { describePeers, tempFolder } from '../support/peers.ts'
import { startRedis } from '../support/redis.ts'
import { nodeConfig, planFleet } from './fleet-config.ts'
import { until } from './fleet-steps.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const PROGRAM = fileURLToPath(new URL('./fleet-claims-node.mjs', import.meta.url))

/** The claims of a node. */
interface ClaimNode {
  claim(key: string, value: string): Promise<unknown>
  state(): Promise<unknown>
  /** Ends it as a crash does. */
  kill(): Promise<void>
}

async function startNode(folder: string): Promise<ClaimNode> {
  const child = fork(PROGRAM, { cwd: folder, execArgv: [] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const answer = async (): Promise<unknown> => ((await once(child, 'message')) as [unknown])[0]
  const ask = async (question: readonly string[] | string): Promise<unknown> => {
    const answered = answer()
    child.send(question)
    return answered
  }
  expect(await answer()).toBe('open')
  return {
    claim: (key, value) => ask([key, value]),
    state: () => ask('state'),
    async kill() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

describePeers('claims that nodes share', ['redis-server'], () => {
  it('are known to every node, outlive a restart, and are local while Redis is away', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const plan = await planFleet({ own: redis.port, relays: [redis.port, redis.port, redis.port] }, undefined)
    const folder = tempFolder()
    writeFileSync(
      join(folder, 'edge.toml'),
      nodeConfig(plan, plan.nodes[0]!).replace('file:../kek', 'file:kek'),
    )
    writeFileSync(join(folder, 'kek'), 'ab'.repeat(32), { mode: 0o600 })
    const [one, other] = await Promise.all([startNode(folder), startNode(folder)])

    expect(await one.claim('call-1', 'a')).toBe('new')
    expect(await other.claim('call-1', 'a')).toBe('same')
    expect(await other.claim('call-1', 'b')).toBe('other')
    const raced = await Promise.all([one.claim('call-2', 'a'), other.claim('call-2', 'b')])
    expect(raced.map(String).toSorted((a, b) => a.localeCompare(b))).toEqual(['new', 'other'])

    // What it claimed is not its own.
    await one.kill()
    const again = await startNode(folder)
    expect(await again.claim('call-1', 'a')).toBe('same')
    expect(await again.claim('call-1', 'b')).toBe('other')

    await redis.stop()
    // Nobody waits, nobody is refused; what a node has heard of it still knows.
    expect(await again.claim('call-3', 'a')).toBe('new')
    expect(await again.claim('call-3', 'b')).toBe('other')
    expect(await again.claim('call-1', 'b')).toBe('other')
    expect(await other.claim('call-1', 'b')).toBe('other')
    await until(
      'both say so',
      async () => (await again.state()) === 'local' && (await other.state()) === 'local',
    )

    await redis.restart()
    await until(
      'both share again',
      async () => (await again.state()) === 'shared' && (await other.state()) === 'shared',
    )
    expect(await again.claim('call-4', 'a')).toBe('new')
    expect(await other.claim('call-4', 'b')).toBe('other')
    // It is empty: each node knows what it knew.
    expect(await again.claim('call-3', 'b')).toBe('other')
    expect(await again.claim('call-1', 'b')).toBe('other')
  }, 60_000)
})
