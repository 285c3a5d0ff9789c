import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { describePeers, freePorts } from '../support/peers.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import type { EdgeProcess } from './edge-process.ts'
import { startSipp } from './sipp.ts'
import { openAgent, type Agent, type Answer } from './users-agent.ts'
import { PASSWORD, phoneAt } from './users-clients.ts'
import { fileSettings } from './users-databases.ts'
import { startRegistrar, type Registrar } from './users-registrar.ts'
import { startUserEdge, succeeds, userPlaces, type EdgePlaces } from './users-world.ts'

const NAMES = Array.from({ length: 30 }, (_, i) => `user${i}`)
const ACCOUNTS = fileSettings(Object.fromEntries(NAMES.map((name) => [name, PASSWORD])))

/** Where nonce counts are remembered, and what becomes of a request that was copied and is sent to another node. */
const CLAIMS = [
  { title: 'claims in each node', store: 'memory', elsewhere: 'accepted' },
  { title: 'claims in Redis', store: 'redis', elsewhere: 'asked again' },
] as const

describePeers('three edges with one key group for nonces', ['kamailio', 'sipp', 'redis-server'], () => {
  describe.each(CLAIMS)('$title', ({ store, elsewhere }) => {
    const nodes: { readonly places: EdgePlaces; edge: EdgeProcess }[] = []
    const agents: Agent[] = []
    let registrar: Registrar
    let caller: Endpoint
    let redis: RedisServer | undefined

    const start = (places: EdgePlaces): Promise<EdgeProcess> => {
      const source = redis === undefined ? '' : `source = "${redis.url}"`
      return startUserEdge(places, ACCOUNTS, { tables: `[users.claims]\n${source}` })
    }
    const at = (i: number): Endpoint => nodes[i % nodes.length]!.places.edge

    beforeAll(async () => {
      if (store === 'redis') redis = await startRedis()
      const places = await userPlaces()
      const [port = 0] = await freePorts(1)
      caller = places.caller
      registrar = await startRegistrar(places.registrar, places.service)
      for (const i of [1, 2, 3]) {
        const own = {
          ...places,
          edge: { address: `127.0.1.${i}`, port },
          edgeUpstream: { address: `127.0.2.${i}`, port },
        }
        nodes.push({ places: own, edge: await start(own) })
      }
      for (const name of NAMES) agents.push(await openAgent(name, PASSWORD, await phoneAt('127.0.0.1')))
    }, 60_000)
    afterAll(async () => {
      for (const agent of agents) agent.close()
      await Promise.all([...nodes.map(({ edge }) => edge.stop()), registrar?.stop()])
      await redis?.stop()
    })

    it('one answers what another one asked: nobody is refused, or asked twice', async () => {
      const answers = await Promise.all(agents.map((agent, i) => agent.registerAt(at(i), at(i + 1))))
      expect(answers.map(({ status }) => status)).toEqual(agents.map(() => 200))
      for (const [i, name] of NAMES.entries()) {
        const { address } = nodes[(i + 1) % 3]!.places.edgeUpstream
        expect(await registrar.bindingOf(name)).toMatchObject({
          path: expect.stringContaining(`@${address}:`),
        })
      }
    })

    it('a node that restarts between challenge and answer refuses nobody, and reaches who registered before', async () => {
      const challenged = await Promise.all(agents.map((agent) => agent.register(at(0))))
      await nodes[0]!.edge.stop()
      nodes[0]!.edge = await start(nodes[0]!.places)
      const half = agents.length / 2
      // Half of them answer the node that has forgotten, half another one.
      const answers = await Promise.all(
        agents.map((agent, i) => agent.register(at(i < half ? 0 : 1), agent.credentials(challenged[i]!))),
      )
      expect(answers.slice(half).map(({ status }) => status)).toEqual(Array.from({ length: half }, () => 200))
      // What it forgot may have been used: a new nonce, and no question for a password. What is shared is not forgotten.
      const expected = store === 'memory' ? { status: 401, isStale: true } : { status: 200 }
      for (const answer of answers.slice(0, half)) expect(answer).toMatchObject(expected)
      const asked = store === 'memory' ? agents.slice(0, half) : []
      const again = await Promise.all(
        asked.map((agent, i) => agent.register(at(0), agent.credentials(answers[i]!))),
      )
      expect(again.map(({ status }) => status)).toEqual(again.map(() => 200))

      // The third node was told of this one; its flow token outlives it.
      const last = agents[1]!
      expect((await last.registerAt(at(2))).status).toBe(200)
      await nodes[2]!.edge.stop()
      nodes[2]!.edge = await start(nodes[2]!.places)
      last.close()
      const callee = await startSipp({ scenario: 'sessionCallee', local: last.local, calls: 1 })
      const list = `SEQUENTIAL\n${NAMES[1]}\n`
      const calling = { local: caller, to: registrar.local, calls: 1, list }
      await succeeds(await startSipp({ scenario: 'sessionCaller', ...calling }), callee)
      agents.splice(1, 1)
    }, 60_000)

    it(`a copied request is asked again at its node, and ${elsewhere} at another one`, async () => {
      const [agent] = agents
      const thief = await openAgent(NAMES[0]!, 'unknown', await phoneAt('127.0.0.1'))
      const credentials = agent!.credentials(await agent!.register(at(0)))
      expect((await agent!.register(at(0), credentials)).status).toBe(200)
      const outcomeAt = async (i: number): Promise<string> =>
        outcomeOf(await thief.register(at(i), credentials))
      expect(await outcomeAt(0)).toBe('asked again')
      expect(await outcomeAt(1)).toBe(elsewhere)
      thief.close()
    })
  })
})

function outcomeOf({ status, isStale }: Answer): string {
  if (status === 200) return 'accepted'
  return status === 401 && isStale ? 'asked again' : `refused ${status}`
}
