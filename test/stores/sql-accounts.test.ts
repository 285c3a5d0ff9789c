import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { computeHa1 } from '../../src/digest/response.ts'
import {
  secretsOf,
  type AccountChange,
  type AccountInput,
  type AccountRow,
} from '../../src/stores/account-change.ts'
import { createAccountTable } from '../../src/stores/sql-account-schema.ts'
import { openSqlAccounts, type SqlAccounts } from '../../src/stores/sql-accounts.ts'
import { openSqlCredentials } from '../../src/stores/sql-credentials.ts'
import {
  createKamailioTables,
  DATABASE_PROGRAMS,
  startDatabase,
  type TestDatabase,
} from '../support/databases.ts'
import { describePeers } from '../support/peers.ts'

const REALM = 'example.org'
/** A busy machine is no failure here. */
const PATIENT = 15_000

function account(username: string, password: string, keep: 'hashes' | 'plain' = 'hashes'): AccountInput {
  const name = { username, domain: REALM, realm: REALM }
  return { ...name, secrets: secretsOf(name, password, keep) }
}
const add = (username: string, password = 'p'): AccountChange => ({
  change: 'add',
  account: account(username, password),
})

const remove = (username: string): AccountChange => ({
  change: 'remove',
  account: { username, domain: REALM },
})

async function listOf(accounts: SqlAccounts): Promise<readonly AccountRow[]> {
  const rows: AccountRow[] = []
  for await (const row of accounts.list()) rows.push(row)
  return rows
}

describe.each(['sqlite', 'mysql', 'postgres'] as const)('writing accounts in %s', (engine) => {
  describePeers(engine, DATABASE_PROGRAMS[engine], () => {
    let database: TestDatabase
    let accounts: SqlAccounts
    beforeAll(async () => {
      database = await startDatabase(engine)
      await createAccountTable({ url: database.url, timeoutMs: PATIENT })
    })
    afterAll(() => database?.close())
    beforeEach(async () => {
      await database.exec('DELETE FROM subscriber')
      accounts = await openSqlAccounts({ url: database.url, timeoutMs: PATIENT }, 'write')
    })
    afterEach(() => accounts.close())

    const names = async (): Promise<readonly string[]> =>
      (await listOf(accounts)).map(({ username }) => username)

    it('they are found with the HA1 of every algorithm, and no password is stored', async () => {
      expect(await accounts.change([add('alice', 'correct horse')], 'make')).toEqual([])
      const store = await openSqlCredentials({ url: database.url, timeoutMs: PATIENT })
      for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256'] as const)
        for (const username of ['alice', `alice@${REALM}`]) {
          const found = await store.find({ username, realm: REALM, algorithm })
          expect(found?.ha1?.export()).toEqual(computeHa1(algorithm, username, REALM, 'correct horse'))
        }
      await store.close()
      expect((await database.exec('SELECT password FROM subscriber')).rows).toEqual([['']])
    })

    it('a password that was stored as it is goes with the next one', async () => {
      await accounts.change([{ change: 'add', account: account('alice', 'one', 'plain') }], 'make')
      expect((await database.exec('SELECT password FROM subscriber')).rows).toEqual([['one']])
      expect(await accounts.change([{ change: 'passwd', account: account('alice', 'two') }], 'make')).toEqual(
        [],
      )
      expect((await database.exec('SELECT password, ha1 FROM subscriber')).rows).toEqual([
        ['', computeHa1('MD5', 'alice', REALM, 'two').toString('hex')],
      ])
    })

    it('all changes are made, or none', async () => {
      await accounts.change([add('alice')], 'make')
      expect(await accounts.change([add('bob'), add('alice'), add('carol'), add('bob')], 'make')).toEqual([
        `alice@${REALM} is there already`,
        `bob@${REALM} is there already`,
      ])
      expect(await names()).toEqual(['alice'])
      expect(await accounts.change([add('bob'), add('carol')], 'try')).toEqual([])
      expect(await names()).toEqual(['alice'])
      expect(await accounts.change([add('bob'), add('carol')], 'make')).toEqual([])
      expect(await names()).toEqual(['alice', 'bob', 'carol'])
    })

    it('what is not there is neither changed nor removed', async () => {
      await accounts.change([add('alice')], 'make')
      for (const name of ['ALICE', 'alice ', 'ali%', "alice' --"]) {
        expect(await accounts.change([remove(name)], 'make')).toEqual([`${name}@${REALM} is not there`])
        expect(
          await accounts.change([{ change: 'passwd', account: account(name, 'x') }], 'make'),
        ).toHaveLength(1)
      }
      expect(await names()).toEqual(['alice'])
      expect(await accounts.change([remove('alice')], 'make')).toEqual([])
      expect(await names()).toEqual([])
    })

    it('names are written as they are', async () => {
      const odd = ["' OR '1'='1", 'a;DROP TABLE subscriber', 'Jäsøn Doe', '${x}', '__proto__']
      expect(
        await accounts.change(
          odd.map((name) => add(name)),
          'make',
        ),
      ).toEqual([])
      expect((await names()).toSorted()).toEqual(odd.toSorted())
    })

    it('are listed and read page by page', async () => {
      const many = Array.from({ length: 1050 }, (_, i) => `u${String(i).padStart(5, '0')}`)
      expect(
        await accounts.change(
          many.map((name) => add(name)),
          'make',
        ),
      ).toEqual([])
      expect(await names()).toEqual(many)
    })

    it.skipIf(engine === 'sqlite')(
      'a name that is too long for its column is refused, and not cut',
      async () => {
        expect(await accounts.change([add('bob'), add('x'.repeat(65))], 'make')).toEqual([
          `${'x'.repeat(65)}@${REALM} does not fit the columns of the table`,
        ])
        expect(await names()).toEqual([])
      },
    )

    it("in Kamailio's own table only MD5 is stored", async () => {
      await database.exec('ALTER TABLE subscriber RENAME TO other', 'DROP TABLE IF EXISTS uri')
      if (engine === 'postgres')
        await database.exec('ALTER TABLE other RENAME CONSTRAINT subscriber_account_idx TO other_idx')
      await createKamailioTables(database)
      const own = await openSqlAccounts({ url: database.url, timeoutMs: PATIENT }, 'write')
      try {
        expect(await own.change([add('alice')], 'make')).toEqual([])
        expect(await listOf(own)).toMatchObject([{ username: 'alice', algorithms: ['MD5'] }])
        const name = { username: 'bob', domain: REALM, realm: REALM }
        const secrets = { ha1: { 'SHA-256': 'a'.repeat(64) }, ha1b: {} }
        expect(await own.change([{ change: 'add', account: { ...name, secrets } }], 'make')).toEqual([
          `bob@${REALM} has no hash that the table has a column for`,
        ])
        // A collation that takes both for one must not change both.
        if (engine !== 'mysql') return
        expect(await own.change([add('ALICE')], 'make')).toEqual([
          `ALICE@${REALM} is there already, as alice@${REALM}`,
        ])
      } finally {
        await own.close()
        await database.exec('DROP TABLE subscriber', 'ALTER TABLE other RENAME TO subscriber')
      }
    })
  })
})
