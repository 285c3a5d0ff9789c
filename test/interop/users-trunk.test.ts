import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { DATABASE_PROGRAMS, startDatabase, type TestDatabase } from '../support/databases.ts'
import { describeWith } from '../support/deploy-programs.ts'
import { freePorts, startKamailio, type Running } from '../support/peers.ts'
import { documented, placed } from './documented.ts'
import { startEdge, type EdgeProcess } from './edge-process.ts'
import { startSipp } from './sipp.ts'
import { openAgent } from './users-agent.ts'
import { PASSWORD, phoneAt } from './users-clients.ts'
import { accountSettings, fillSubscriber } from './users-databases.ts'
import { startRegistrar, type Registrar } from './users-registrar.ts'
import { playUser, succeeds, USER_KEYS, USERS } from './users-world.ts'

const CALLS = 100
const RATE = 40

for (const engine of ['mysql', 'postgres'] as const) {
  const programs = ['kamailio', 'sipp', ...DATABASE_PROGRAMS[engine]]
  describeWith(`users in ${engine} and the documented trunk at one edge`, programs, () => {
    let places: Record<'core' | 'kamailio' | 'edge' | 'edgeUpstream' | 'upstream' | 'service', Endpoint>
    let database: TestDatabase
    let edge: EdgeProcess
    let registrar: Registrar
    let carrier: Running

    beforeAll(async () => {
      database = await startDatabase(engine)
      await fillSubscriber(database, [{ username: 'alice', domain: 'example.org', password: PASSWORD }])
      const [port = 0] = await freePorts(1)
      const at = (last: number): Endpoint => ({ address: `127.0.0.${last}`, port })
      places = {
        core: at(1),
        kamailio: at(2),
        edge: at(3),
        edgeUpstream: at(4),
        upstream: at(5),
        service: at(6),
      }
      const accounts = accountSettings(database)
      const config = [placed('edge.toml', places), USERS, '[users.credentials]', accounts.lines]
      edge = await startEdge(config.join('\n'), `${documented('keyring.toml')}\n${USER_KEYS}`, accounts.files)
      carrier = await startKamailio(placed('kamailio.cfg', places))
      registrar = await startRegistrar(places.upstream, places.service)
    }, 60_000)
    afterAll(async () => {
      await Promise.all([edge?.stop(), registrar?.stop(), carrier?.stop()])
      await database?.close()
    })

    /** Calls of the trunk; each must go as if there were no users. */
    async function trunkCalls(): Promise<void> {
      const run = { calls: CALLS, rate: RATE, patience: 20 }
      const answering = await startSipp({ ...run, scenario: 'patientCallee', local: places.service })
      const calling = { ...run, local: places.core, to: places.kamailio }
      await succeeds(await startSipp({ ...calling, scenario: 'caller' }), answering)
    }

    async function users(scenario: 'registration' | 'unavailableRegistration'): Promise<void> {
      const local = await phoneAt('127.0.0.9')
      await playUser({ places }, ['alice', PASSWORD], { scenario, local, calls: CALLS / 2, rate: RATE / 2 })
    }

    /** What the edge counts of its trunk. */
    const trunkFaults = async (): Promise<number> =>
      (await edge.metric('xkeys_rejections_total', { peer: 'kamailio' })) +
      (await edge.metric('xkeys_verifications_total', { outcome: 'refuse' }))

    const accepted = (): Promise<number> =>
      edge.metric('xkeys_digest_authentications_total', { outcome: 'accepted' })

    it('while the database is there both are served', async () => {
      await Promise.all([trunkCalls(), users('registration')])
      expect(await trunkFaults()).toBe(0)
      expect(await registrar.bindingOf('alice')).toBeDefined()
    }, 60_000)

    it('while it is not, every user is answered 503 and every call of the trunk goes on; then all is as before', async () => {
      await database.stop()
      const before = await accepted()
      await Promise.all([trunkCalls(), users('unavailableRegistration')])
      expect(await accepted()).toBe(before)
      expect(await trunkFaults()).toBe(0)
      await database.start()
      const agent = await openAgent('alice', PASSWORD, await phoneAt('127.0.0.9'))
      let status = 0
      for (const end = Date.now() + 20_000; status !== 200 && Date.now() < end; await sleep(100))
        ({ status } = await agent.registerAt(places.edge))
      agent.close()
      expect(status).toBe(200)
      await users('registration')
    }, 90_000)
  })
}
