import { expect, it } from 'vitest'
import { describePeers } from '../support/peers.ts'
import { PAIRS } from './fleet-config.ts'
import { refusals } from './fleet-checks.ts'
import { startFleet } from './fleet-rig.ts'
import { createRandom, delayNodes, rotate } from './fleet-steps.ts'

/** Of the three groups, side by side: 10 together. */
const ROTATIONS = [4, 3, 3]

describePeers('rotations of a fleet by the command line, under load', ['redis-server'], () => {
  it('refuse nothing before a key ends, and everything after it, whichever node hears of it first', async () => {
    const seed = Date.now() % 1_000_000
    console.log(`seed ${seed}`)
    const fleet = await startFleet()
    const { nodes, prober } = fleet
    const load = fleet.load(50)
    const endDelays = delayNodes(nodes, createRandom(seed))
    try {
      await Promise.all(
        PAIRS.map(async (group, i) => {
          prober.use(group, ['first'])
          let old = 'first'
          for (let n = 1; n <= ROTATIONS[i]!; n++) {
            await rotate(fleet, group, old, `key-${n}`)
            old = `key-${n}`
          }
        }),
      )
    } finally {
      await endDelays()
    }
    const account = await load.stop()
    const probes = await prober.stop()
    console.log(
      `10 rotations: ${account.sent} transactions between nodes, ${account.perSecond} signed messages a second; ` +
        `probes: ${probes.accepted} accepted, ${probes.refused} refused`,
    )
    expect(account).toMatchObject({ refused: {}, lost: 0, answered: account.sent })
    expect(probes.wrong).toEqual([])
    expect(probes.refused).toBeGreaterThan(0)
    for (const node of nodes) expect(await refusals(node)).toEqual({ rejections: 0, dropped: 0, unsigned: 0 })
  }, 240_000)
})
