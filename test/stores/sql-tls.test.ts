import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSqlCredentials, type SqlAccountsOptions } from '../../src/stores/sql-credentials.ts'
import { createSubscribers, SUBSCRIBERS } from '../support/accounts.ts'
import { DATABASE_PROGRAMS, makeCertificate, startDatabase, type TestDatabase } from '../support/databases.ts'
import { describePeers, tempFolder } from '../support/peers.ts'

async function find(url: string, options: Omit<SqlAccountsOptions, 'url'> = {}): Promise<string | undefined> {
  const store = await openSqlCredentials({ url, timeoutMs: 15_000, subscriber: SUBSCRIBERS, ...options })
  try {
    return (await store.find({ username: 'alice', realm: 'example.org', algorithm: 'MD5' }))?.username
  } finally {
    await store.close()
  }
}

describe.each(['mysql', 'postgres'] as const)('the way to %s', (engine) => {
  describePeers(engine, ['openssl', ...DATABASE_PROGRAMS[engine]], () => {
    let database: TestDatabase
    let other: TestDatabase
    let authority: string
    beforeAll(async () => {
      const [one, two] = [makeCertificate('localhost'), makeCertificate('db.example')]
      authority = join(tempFolder(), 'authorities.pem')
      writeFileSync(authority, one.cert + two.cert)
      ;[database, other] = await Promise.all([startDatabase(engine, one), startDatabase(engine, two)])
      await createSubscribers(database)
    })
    afterAll(() => Promise.all([database?.close(), other?.close()]))

    const withParameter = (name: string, value: string, { url: base } = database): string => {
      const url = new URL(base)
      url.hostname = 'localhost'
      url.searchParams.set(name, value)
      return url.href
    }

    it('is encrypted with the authority that is given', async () => {
      expect(await find(withParameter('ca', authority))).toBe('alice')
    })

    it('is not gone where the authority is not known', async () => {
      await expect(find(withParameter('tls', 'on'))).rejects.toMatchObject({ fault: 'lost' })
    })

    it('is not gone where the name is not that of the server', async () => {
      await expect(find(withParameter('ca', authority, other))).rejects.toMatchObject({ fault: 'lost' })
    })

    it('is as options of the driver say', async () => {
      const ssl = {
        ca: readFileSync(authority, 'utf8'),
        rejectUnauthorized: true,
        checkServerIdentity: () => undefined,
      }
      expect(await find(database.url, { driver: { ssl } })).toBe('alice')
    })

    it.skipIf(engine === 'postgres')('is not gone to an address that could not be verified', async () => {
      const url = new URL(withParameter('ca', authority))
      url.hostname = '127.0.0.1'
      await expect(find(url.href)).rejects.toMatchObject({
        issues: [{ path: 'url', message: expect.stringContaining('name the host') as string }],
      })
    })

    it('is a unix socket', async () => {
      expect(await find(withParameter('socket', database.socket))).toBe('alice')
    })
  })
})
