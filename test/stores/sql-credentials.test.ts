import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HashAlgorithm } from '../../src/digest/algorithm.ts'
import { computeHa1 } from '../../src/digest/response.ts'
import {
  openSqlCredentials,
  type SqlAccountsOptions,
  type SqlCredentials,
} from '../../src/stores/sql-credentials.ts'
import {
  createPasswords,
  createSubscribers,
  hashesOf,
  insertRows,
  LOOSE,
  PASSWORD_AND_NAME_QUERY,
  PASSWORD_QUERY,
  SUBSCRIBERS,
} from '../support/accounts.ts'
import { credentialContract, type OpenedStore } from '../support/contracts/credentials.ts'
import {
  createKamailioTables,
  DATABASE_PROGRAMS,
  startDatabase,
  type TestDatabase,
} from '../support/databases.ts'
import { describePeers } from '../support/peers.ts'

const REALM = 'sip.example'
const ERIN = { username: 'erin', realm: REALM, password: 'e' }

const find = (store: SqlCredentials, username: string, algorithm: HashAlgorithm = 'MD5') =>
  store.find({ username, realm: REALM, algorithm })

describe.each(['sqlite', 'mysql', 'postgres'] as const)('accounts in %s', (engine) => {
  describePeers(engine, DATABASE_PROGRAMS[engine], () => {
    let database: TestDatabase
    beforeAll(async () => {
      database = await startDatabase(engine)
      await createSubscribers(database)
      await createPasswords(database)
      await createKamailioTables(database)
    })
    afterAll(() => database?.close())

    const open = (options: Omit<SqlAccountsOptions, 'url'>): Promise<SqlCredentials> =>
      openSqlCredentials({ url: database.url, timeoutMs: 15_000, ...options })
    const opened = (options: Omit<SqlAccountsOptions, 'url'>) => async (): Promise<OpenedStore> => {
      const store = await open(options)
      return { store, close: store.close }
    }
    /** Asks a store that is open for as long. */
    async function using<T>(
      options: Omit<SqlAccountsOptions, 'url'>,
      work: (store: SqlCredentials) => Promise<T>,
    ): Promise<T> {
      const store = await open(options)
      try {
        return await work(store)
      } finally {
        await store.close()
      }
    }

    describe('with HA1 in a table', () => {
      credentialContract(opened({ subscriber: SUBSCRIBERS }))
    })
    describe('with plain passwords in a table', () => {
      credentialContract(opened({ subscriber: { ...SUBSCRIBERS, calculateHa1: true } }))
    })
    describe("by the operator's own SELECT", () => {
      credentialContract(opened({ query: PASSWORD_QUERY }), 'passwords')
    })
    describe("by the operator's own SELECT that tells whose a row is", () => {
      credentialContract(opened({ query: PASSWORD_AND_NAME_QUERY }), 'passwords')
    })

    describe("in Kamailio's own tables", () => {
      beforeAll(async () => {
        const { ha1, ha1b } = hashesOf(ERIN) as { ha1: string; ha1b: string }
        await insertRows(database, 'subscriber', [
          { username: 'erin', domain: REALM, password: '', ha1, ha1b },
          { username: 'frank', domain: REALM, password: 'f', ha1: '', ha1b: '' },
          { username: 'grace', domain: 'a.example', password: 'g', ha1, ha1b },
          { username: 'grace', domain: 'b.example', password: 'g', ha1: ha1b, ha1b: ha1 },
        ])
        await insertRows(database, 'uri', [
          { username: 'erin', domain: REALM, uri_user: '1001' },
          { username: 'erin', domain: REALM, uri_user: '1002' },
          { username: 'erin', domain: 'other.example', uri_user: '1003' },
        ])
      })

      it('are found by name and realm, with what stands in the table uri', async () => {
        await using({ subscriber: { uriTable: 'uri' } }, async (store) => {
          const erin = await find(store, 'erin')
          expect(erin?.ha1?.export()).toEqual(computeHa1('MD5', 'erin', REALM, 'e'))
          expect(erin?.identities?.toSorted()).toEqual(['1001', '1002'])
          const full = await find(store, `erin@${REALM}`)
          expect(full).toMatchObject({ username: 'erin', domain: REALM })
          expect(full?.ha1?.export()).toEqual(computeHa1('MD5', `erin@${REALM}`, REALM, 'e'))
          expect(await find(store, 'frank')).toMatchObject({ identities: [], ha1: undefined })
          expect(await find(store, 'erin@other.example')).toBeUndefined()
        })
      })

      it('have no HA1 of an algorithm that the stored one is too short for', async () => {
        await using({}, async (store) => {
          expect(await find(store, 'erin', 'SHA-256')).toMatchObject({ username: 'erin', ha1: undefined })
        })
      })

      it('have an HA1 computed in any algorithm, but not of an empty password', async () => {
        await using({ subscriber: { calculateHa1: true } }, async (store) => {
          const frank = await find(store, 'frank', 'SHA-256')
          expect(frank?.ha1?.export()).toEqual(computeHa1('SHA-256', 'frank', REALM, 'f'))
          expect(await find(store, 'erin')).toMatchObject({ username: 'erin', ha1: undefined })
        })
      })

      it('are found in any realm where domains do not count, unless two have the name', async () => {
        await using({ subscriber: { useDomain: false } }, async (store) => {
          expect(await store.find({ username: 'erin', realm: 'x', algorithm: 'MD5' })).toMatchObject({
            username: 'erin',
          })
          await expect(find(store, 'grace')).rejects.toMatchObject({ code: 'account-ambiguous' })
        })
      })

      it.each([
        ['a column that is not there', { columns: { ha1: 'ha2' } }, 'subscriber.columns.ha1', 'ha1?'],
        ['a table that is not there', { table: 'subscribers' }, 'subscriber.table', 'subscribers'],
        [
          'a status that is not there',
          { status: { column: 'statu', active: ['0'] } },
          'subscriber.status.column',
          'statu',
        ],
        ['attributes that are not there', { loadCredentials: 'a=b' }, 'subscriber.loadCredentials', 'b'],
        ['a table of URIs that is none', { uriTable: 'version' }, 'subscriber.uriTable', 'uri_user'],
      ])('%s is an error of the configuration', async (_, subscriber, path, told) => {
        await expect(open({ subscriber })).rejects.toMatchObject({
          code: 'ERR_CONFIG_INVALID',
          issues: expect.arrayContaining([
            { path, message: expect.stringContaining(told) as string },
          ]) as unknown,
        })
      })

      it('all errors of the configuration are told at once', async () => {
        await expect(
          open({
            subscriber: { columns: { ha1: 'x1', ha1b: 'x2' }, status: { column: 'x3', active: ['0'] } },
          }),
        ).rejects.toMatchObject({ issues: { length: 3 } })
      })
    })

    describe("the operator's own SELECT", () => {
      beforeAll(async () => {
        const loose = engine === 'mysql' ? LOOSE : ''
        await database.exec(
          `CREATE TABLE own (name VARCHAR(64), secret VARCHAR(128), kind VARCHAR(16)) ${loose}`,
        )
        const { ha1, ha1_sha256: sha256 } = hashesOf(ERIN) as { ha1: string; ha1_sha256: string }
        await insertRows(database, 'own', [
          { name: 'erin', secret: ha1.toUpperCase(), kind: 'MD5' },
          { name: 'erin', secret: sha256, kind: 'sha-256' },
          { name: 'short', secret: ha1, kind: 'SHA-256' },
          ...Array.from({ length: 17 }, () => ({ name: 'many', secret: ha1, kind: 'MD5' })),
        ])
      })
      const own = 'SELECT secret, kind FROM own WHERE name = :id'

      it('gives hashes of several algorithms, of either case', async () => {
        await using({ query: own }, async (store) => {
          for (const algorithm of ['MD5', 'SHA-256'] as const) {
            const { ha1 } = (await find(store, 'erin', algorithm))!
            expect(ha1?.export()).toEqual(computeHa1(algorithm, 'erin', REALM, 'e'))
          }
          for (const name of ['erin', 'short'])
            expect(await find(store, name, 'SHA-512-256')).toMatchObject({ username: name, ha1: undefined })
          expect(await find(store, 'short', 'SHA-256')).toMatchObject({ ha1: undefined })
          expect(await find(store, `erin@${REALM}`, 'MD5')).toMatchObject({ ha1: undefined })
          expect(await find(store, 'nobody', 'MD5')).toBeUndefined()
        })
      })

      it('gives an MD5 where it has one column', async () => {
        await using({ query: "SELECT secret FROM own WHERE name = :id AND kind = 'MD5';" }, async (store) => {
          const found = await find(store, 'erin', 'MD5')
          expect(found?.ha1?.export()).toEqual(computeHa1('MD5', 'erin', REALM, 'e'))
          expect(await find(store, 'erin', 'SHA-256')).toMatchObject({ ha1: undefined })
        })
      })

      it('may bind its values in any order and repeatedly, and has comments and literals of its own', async () => {
        const query = [
          'SELECT secret, kind /* of :nobody; */ FROM own -- :authid is no name here',
          "WHERE :domain = 'sip.example' AND ':id' <> ';' AND (name = :id OR name = :authid AND name = :id)",
        ].join('\n')
        await using({ query }, async (store) => {
          const found = await find(store, 'erin', 'MD5')
          expect(found?.ha1?.export()).toEqual(computeHa1('MD5', 'erin', REALM, 'e'))
        })
      })

      it('is a failure where it finds more rows than an account has', async () => {
        await using({ query: own }, async (store) => {
          await expect(find(store, 'many', 'MD5')).rejects.toMatchObject({ code: 'too-many-rows' })
        })
      })

      it.each([
        ['a column that is not there', 'SELECT secrets FROM own WHERE name = :id'],
        ['a table that is not there', 'SELECT secret FROM owned WHERE name = :id'],
        ['a syntax that is none', 'SELECT secret FROM own WHERE WHERE name = :id'],
        ['too many columns', 'SELECT name, secret, kind, 1 FROM own WHERE name = :id'],
      ])('with %s is an error of the configuration', async (_, query) => {
        await expect(open({ query })).rejects.toMatchObject({
          code: 'ERR_CONFIG_INVALID',
          issues: [{ path: 'query' }],
        })
      })
    })

    it('a name that a column cannot hold is nobody', async () => {
      const charset = engine === 'mysql' ? 'DEFAULT CHARSET=latin1' : ''
      const kind = engine === 'postgres' ? 'BIGINT' : 'VARCHAR(64)'
      await database.exec(
        `CREATE TABLE narrow (username ${kind}, domain VARCHAR(64), ha1 VARCHAR(64)) ${charset}`,
        `INSERT INTO narrow VALUES ('1001', '${REALM}', '')`,
      )
      await using({ subscriber: { table: 'narrow' } }, async (store) => {
        for (const username of ['🙂', 'Jäsøn', '0', '1001 ', '9'.repeat(40)])
          expect(await store.find({ username, realm: REALM, algorithm: 'MD5' })).toBeUndefined()
        expect(await store.find({ username: '1001', realm: REALM, algorithm: 'MD5' })).toMatchObject({
          username: '1001',
        })
      })
    })
  })
})
