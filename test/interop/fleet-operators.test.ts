import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { describePeers } from '../support/peers.ts'
import { startFleet, type Fleet } from './fleet-rig.ts'
import { until } from './fleet-steps.ts'

const ROUNDS = 3

/** Names of the keys that are stored for all nodes. */
async function stored({ truth }: Fleet): Promise<readonly string[]> {
  await truth.refresh()
  return truth
    .keyring()
    .keys('all')
    .map(({ name }) => name)
}

describePeers('a shared keyring with several operators', ['redis-server'], () => {
  it('loses no change of any of them, and tells of each in the audit', async () => {
    const fleet = await startFleet()
    const expected = ['first']
    for (let round = 1; round <= ROUNDS; round++) {
      const names = [`one-${round}`, `other-${round}`]
      const ended = expected.at(-1)!
      const commands = [
        ...names.map((name) => ['key', 'add', '--group', 'all', '--name', name]),
        // Not the key that signs.
        ...(round > 1 ? [['key', 'revoke', ended, '--group', 'all']] : []),
      ]
      const outcomes = await Promise.all(commands.map((words) => fleet.operator.cli(...words)))
      expect(outcomes.map(({ exit, stderr }) => ({ exit, stderr }))).toEqual(
        commands.map(() => ({ exit: 0, stderr: '' })),
      )
      expected.push(...names)
      expect((await stored(fleet)).toSorted()).toEqual(expected.toSorted())
      expect(fleet.truth.key('all', ended)?.end === undefined).toBe(round === 1)
      for (const name of names)
        await fleet.operator
          .cli('key', 'revoke', name, '--group', 'all')
          .then(({ exit }) => expect(exit).toBe(0))
    }
    const audit = (await fleet.truth.store.audit(1000)).map(
      (line) => JSON.parse(line) as Record<string, unknown>,
    )
    const added = audit.filter(({ command }) => command === 'key add').map(({ key }) => key)
    expect(new Set(added)).toEqual(new Set(expected.slice(1)))
    const revisions = audit.map(({ revision }) => revision as number)
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
    expect(new Set(revisions).size).toBe(revisions.length)
  }, 120_000)

  it('refuses an older keyring, by command and on every node', async () => {
    const fleet = await startFleet()
    const { nodes, redis, truth, prober } = fleet
    await fleet.operator.step(['key', 'add', '--group', 'all', '--name', 'stolen'], () => true)
    await truth.refresh()
    const older = { text: truth.text(), revision: truth.revision() }
    writeFileSync(join(fleet.operator.folder, 'older.toml'), older.text)
    await fleet.operator.step(['key', 'revoke', 'stolen', '--group', 'all'], () => true)
    await truth.refresh()
    const newest = { text: truth.text(), revision: truth.revision() }
    writeFileSync(join(fleet.operator.folder, 'newest.toml'), newest.text)
    for (const node of nodes)
      expect(await prober.send('all', node, 'stolen')).toMatchObject({ status: '403' })

    await redis.stop()
    await redis.restart()
    await until('every node has told', async () => {
      const beats = await truth.store.heartbeats().catch(() => new Map())
      return beats.size === nodes.length
    })
    const seeded = await fleet.operator.cli('fleet', 'seed', 'older.toml')
    expect(seeded.exit).toBe(1)
    expect(await truth.store.read()).toBe('empty')

    // Past the command, by whoever can write to Redis.
    expect(await truth.store.replace({ before: 'empty', after: older, audit: '{}' })).toBe('done')
    await until('every node says so', () =>
      nodes.every((node) => node.told('keyring-store-older').length === 1),
    )
    for (const node of nodes) {
      expect(await node.metric('xkeys_keyring_revision')).toBe(newest.revision)
      expect(await prober.send('all', node, 'stolen')).toMatchObject({ status: '403' })
      expect(await prober.send('all', node, 'first')).toMatchObject({ status: '200' })
    }
    expect((await fleet.operator.cli('fleet', 'status')).exit).toBe(1)
    // Nor after a restart.
    await nodes[0]!.kill()
    await nodes[0]!.start()
    expect(await nodes[0]!.metric('xkeys_keyring_revision')).toBe(newest.revision)
    expect(await prober.send('all', nodes[0]!, 'stolen')).toMatchObject({ status: '403' })
  }, 120_000)
})
