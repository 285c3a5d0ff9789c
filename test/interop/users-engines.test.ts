import { afterAll, beforeAll } from 'vitest'
import { DATABASE_PROGRAMS, startDatabase, type TestDatabase } from '../support/databases.ts'
import { describeWith } from '../support/deploy-programs.ts'
import { ACCOUNTS, defineClients, PASSWORD } from './users-clients.ts'
import { accountSettings, fillSubscriber } from './users-databases.ts'
import { startWorld, type World } from './users-world.ts'

for (const engine of ['sqlite', 'mysql', 'postgres'] as const) {
  describeWith(`users in ${engine}, at an edge`, ['kamailio', 'sipp', ...DATABASE_PROGRAMS[engine]], () => {
    let database: TestDatabase
    let world: World

    beforeAll(async () => {
      database = await startDatabase(engine)
      const accounts = ACCOUNTS.map((username) => ({ username, domain: 'example.org', password: PASSWORD }))
      await fillSubscriber(database, accounts)
      world = await startWorld(accountSettings(database))
    }, 60_000)
    afterAll(async () => {
      await world?.stop()
      await database?.close()
    })

    defineClients(() => world)
  })
}
