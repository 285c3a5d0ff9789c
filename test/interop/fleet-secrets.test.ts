import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { describePeers } from '../support/peers.ts'
import { monitorRedis } from './fleet-monitor.ts'
import { startFleet } from './fleet-rig.ts'
import { until } from './fleet-steps.ts'
import { shownIn } from './rotation-memory.ts'

describePeers('a fleet', ['redis-server'], () => {
  it('shows no secret in Redis, logs, metrics, heartbeats, copies or what commands tell', async () => {
    const fleet = await startFleet()
    const { nodes, truth } = fleet
    const monitor = await monitorRedis(fleet.redis)
    const on = ['--group', 'all']
    for (const name of ['second', 'third']) {
      await fleet.operator.step(['key', 'add', ...on, '--name', name], () => true)
      await truth.refresh()
    }
    await fleet.operator.step(['key', 'revoke', 'third', ...on], () => true)
    await fleet.operator.cli('key', 'list')
    await fleet.operator.cli('fleet', 'status')
    await fleet.operator.cli('fleet', 'status', '--json')
    await fleet.operator.cli('fleet', 'export')
    await fleet.operator.cli('fleet', 'audit')
    await fleet.operator.cli('rotate', 'status', ...on, '--json')
    // A slip of a hand: a keyring that is not sealed must not come to Redis.
    const plain = await fleet.operator.cli('fleet', 'seed', 'plain.toml')
    expect(plain.exit).not.toBe(0)
    await until('heartbeats tell of it', () =>
      nodes.every(({ name }) => truth.inForce(name) === truth.revision()),
    )

    const expositions = await Promise.all(nodes.map((node) => node.exposition()))
    const texts: Record<string, Buffer> = {
      'what Redis was told': Buffer.from(await monitor.stop()),
      'what Redis holds': await monitor.dump(),
      'what commands told': Buffer.from(fleet.operator.told()),
      metrics: Buffer.from(expositions.join('')),
    }
    for (const node of nodes) {
      const { name, folder } = node
      texts[`log of ${name}`] = Buffer.from(node.output())
      for (const file of readdirSync(join(folder, 'state')))
        texts[`${file} of ${name}`] = readFileSync(join(folder, 'state', file))
    }
    const kek = readFileSync(join(fleet.folder, 'kek'), 'utf8')
    const secrets = [...truth.secrets(), kek, Buffer.from(kek, 'hex').toString('latin1')]
    expect(truth.secrets()).toHaveLength(6)
    for (const what of ['what Redis was told', 'what Redis holds'])
      expect(texts[what]!.includes('[seal]')).toBe(true)
    for (const [what, bytes] of Object.entries(texts)) {
      expect({ what, empty: bytes.length === 0, shows: shownIn(bytes, secrets) }).toEqual({
        what,
        empty: false,
        shows: [],
      })
    }
  }, 120_000)
})
