import { expect, it, onTestFinished } from 'vitest'
import { describePeers } from '../support/peers.ts'
import { convergence, refusals } from './fleet-checks.ts'
import { GROUP_NAMES } from './fleet-config.ts'
import { openNetns } from './fleet-netns.ts'
import { startFleet } from './fleet-rig.ts'
import { until } from './fleet-steps.ts'

/** Within which a node has what is stored once it can ask again, milliseconds. */
const LIMIT = 5000

describePeers('a node that is cut off from Redis, and not from its peers', ['redis-server'], () => {
  it('refuses nothing valid, is named by every command, and catches up', async ({ skip }) => {
    const netns = openNetns()
    if (typeof netns === 'string') return skip(netns)
    onTestFinished(() => netns.remove())
    const fleet = await startFleet(netns)
    const { nodes, prober, truth } = fleet
    const third = nodes[2]!
    for (const group of GROUP_NAMES) prober.use(group, ['first'])
    const load = fleet.load(50)
    await fleet.operator.step(['key', 'add', '--group', 'all', '--name', 'spare'], () => true)
    await until('n3 has it', () => truth.inForce('n3') === truth.revision())

    netns.partition()
    await until('n3 says so', async () => (await third.metric('xkeys_keyring_store_up')) === 0)
    const started = await fleet.operator.cli('rotate', 'start', '--group', 'west', '--name', 'second')
    expect(started.exit).toBe(1)
    expect(started.stdout + started.stderr).toContain('n3')
    const revoked = await fleet.operator.cli('key', 'revoke', 'spare', '--group', 'all')
    expect(revoked.exit).toBe(1)
    expect(revoked.stderr).toContain('n3')
    await truth.refresh()
    // The revoked key ends where it is known to be revoked; where it is not, the operator was told.
    for (const [i, status] of ['403', '403', '200'].entries())
      expect(await prober.send('all', nodes[i]!, 'spare')).toMatchObject({ status })
    const fleetStatus = await fleet.operator.cli('fleet', 'status')
    expect(fleetStatus.exit).toBe(1)
    expect(fleetStatus.stdout).toMatch(/n3.*silent/)
    const rotateStatus = await fleet.operator.cli('rotate', 'status', '--group', 'west')
    expect(rotateStatus.exit).toBe(1)
    expect(rotateStatus.stdout).toContain('n3')
    const promoted = await fleet.operator.cli('rotate', 'promote', '--group', 'west')
    expect(promoted.exit).toBe(1)
    expect(promoted.stdout + promoted.stderr).toContain('n3')

    netns.mend()
    const took = await convergence(fleet, LIMIT)
    console.log(`the partition mended: every node has what is stored after ${took} ms`)
    expect(took).toBeLessThan(LIMIT)
    for (const node of nodes) expect(await prober.send('all', node, 'spare')).toMatchObject({ status: '403' })
    await until(
      'the fleet is one again',
      async () => (await fleet.operator.cli('fleet', 'status')).exit === 0,
    )

    const account = await load.stop()
    const probes = await prober.stop()
    expect(account).toMatchObject({ refused: {}, lost: 0, answered: account.sent })
    expect(probes).toMatchObject({ wrong: [], refused: 0 })
    for (const node of nodes) expect(await refusals(node)).toEqual({ rejections: 0, dropped: 0, unsigned: 0 })
  }, 120_000)
})
