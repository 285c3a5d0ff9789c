import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { describePeers } from '../support/peers.ts'
import { convergence, refusals } from './fleet-checks.ts'
import { PAIRS } from './fleet-config.ts'
import { startFleet } from './fleet-rig.ts'
import { until } from './fleet-steps.ts'

/** How long Redis is away, milliseconds. */
const AWAY = 30_000
/** Within which nodes have what is stored again, milliseconds. */
const LIMIT = 5000

describePeers('a fleet that loses its Redis', ['redis-server'], () => {
  it('goes on with the keys it has, restarts with them, and follows the one that is seeded', async () => {
    const fleet = await startFleet()
    const { nodes, prober, truth, redis } = fleet
    await fleet.operator.step(['rotate', 'start', '--group', 'east', '--name', 'second'], () => true)
    await truth.refresh()
    for (const group of PAIRS) prober.use(group, group === 'east' ? ['first', 'second'] : ['first'])
    const exported = await fleet.operator.cli('fleet', 'export')
    expect(exported).toMatchObject({ exit: 0, stderr: '' })
    writeFileSync(join(fleet.operator.folder, 'backup.toml'), exported.stdout)
    expect(exported.stdout).toBe(truth.text())

    const load = fleet.load(50)
    const stopped = Date.now()
    await redis.stop()
    await until('every node says that the store is away', async () => {
      const up = await Promise.all(nodes.map((node) => node.metric('xkeys_keyring_store_up')))
      return (
        up.every((value) => value === 0) &&
        nodes.every((node) => node.told('keyring-store-away').length === 1)
      )
    })
    expect((await fleet.operator.cli('fleet', 'status')).exit).toBe(78)

    // A node that restarts has nothing but its sealed copy.
    const [, second] = nodes
    for (const one of [load, prober]) one.excuse('n2')
    await second!.kill()
    await second!.start()
    for (const one of [load, prober]) one.expect('n2')
    expect(await second!.metric('xkeys_keyring_revision')).toBe(truth.revision())
    await sleep(Math.max(0, stopped + AWAY - Date.now()))

    await redis.restart()
    await until('every node says that the store is empty', () =>
      nodes.every((node) => node.told('keyring-store-empty').length === 1),
    )
    // That it is empty never means that there are no keys, and nobody fills it but an operator.
    expect(await truth.store.read()).toBe('empty')
    expect((await fleet.operator.cli('fleet', 'status')).exit).toBe(1)
    expect((await fleet.operator.cli('key', 'add', '--group', 'east', '--name', 'third')).exit).toBe(78)
    const begun = performance.now()
    expect(await fleet.operator.cli('fleet', 'seed', 'backup.toml')).toMatchObject({ exit: 0, stderr: '' })
    await convergence(fleet, LIMIT)
    const took = Math.round(performance.now() - begun)
    console.log(`seeded again: every node has it ${took} ms after the command was given`)
    expect(took).toBeLessThan(LIMIT)
    expect((await fleet.operator.cli('fleet', 'status')).exit).toBe(0)
    expect(await fleet.operator.cli('key', 'add', '--group', 'east', '--name', 'third')).toMatchObject({
      exit: 0,
      stderr: '',
    })

    const account = await load.stop()
    const probes = await prober.stop()
    console.log(
      `Redis away for ${AWAY / 1000} s: ${account.answered} transactions, ${account.perSecond} signed messages a second`,
    )
    expect(account).toMatchObject({ refused: {}, lost: 0 })
    expect(account.answered + account.excused).toBe(account.sent)
    expect(probes).toMatchObject({ wrong: [], refused: 0 })
    for (const node of nodes) expect(await refusals(node)).toEqual({ rejections: 0, dropped: 0, unsigned: 0 })
  }, 150_000)
})
