import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Account } from '../../src/digest/credential-store.ts'
import {
  openSqlCredentials,
  type SqlAccountsOptions,
  type SqlCredentials,
} from '../../src/stores/sql-credentials.ts'
import type { SqlDatabase } from '../../src/stores/sql-database.ts'
import type { SqlError } from '../../src/stores/sql-error.ts'
import { toSqlError } from '../../src/stores/sql-sqlite.ts'
import { createSubscribers, SUBSCRIBERS } from '../support/accounts.ts'
import { DATABASE_PROGRAMS, startDatabase, type TestDatabase } from '../support/databases.ts'
import { describePeers, tempFolder } from '../support/peers.ts'

const open: SqlCredentials[] = []
afterEach(async () => {
  for (const store of open.splice(0)) await store.close()
})

/** Opens a store that is closed when the test ends, and what it told of its state. */
async function openStore(
  url: string,
  options: Omit<SqlAccountsOptions, 'url'> = {},
): Promise<{ readonly store: SqlCredentials; readonly states: readonly string[] }> {
  const states: string[] = []
  const onState = (state: string, code: string): void => void states.push(`${state} ${code}`)
  const store = await openSqlCredentials({
    url,
    subscriber: SUBSCRIBERS,
    timeoutMs: 15_000,
    onState,
    ...options,
  })
  open.push(store)
  return { store, states }
}

const find = (store: SqlCredentials): Promise<Account | undefined> =>
  store.find({ username: 'alice', realm: 'example.org', algorithm: 'MD5' })
const failure = (store: SqlCredentials): Promise<SqlError> =>
  find(store).then(
    () => Promise.reject(new Error('it was answered')),
    (error: SqlError) => error,
  )

/** Makes everybody else wait for the table until the database is closed. */
async function lockTable(database: TestDatabase): Promise<SqlDatabase> {
  const locker = await database.open()
  const statements = {
    sqlite: ['BEGIN EXCLUSIVE'],
    mysql: ['LOCK TABLES accounts WRITE'],
    postgres: ['BEGIN', 'LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE'],
  }
  for (const text of statements[database.engine]) await locker.run({ text, values: [] })
  return locker
}

const absent = (): Promise<never> =>
  Promise.reject(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' }))

// Who runs the tests may be root, whom no folder keeps from writing; so not with a file.
it('a folder that cannot be written to is said to be what is wrong with a database of SQLite', () => {
  expect(toSqlError({ code: 'UNKNOWN_SQLITE_ERROR_1544', message: 'attempt to write' })).toMatchObject({
    fault: 'denied',
    message: 'SQLite must be able to write beside the file, even to read it',
  })
})

describe.each(['sqlite', 'mysql', 'postgres'] as const)('failures of %s', (engine) => {
  describePeers(engine, DATABASE_PROGRAMS[engine], () => {
    let database: TestDatabase
    beforeAll(async () => {
      database = await startDatabase(engine)
      await createSubscribers(database)
      // In its other mode readers need not wait for a writer.
      if (engine === 'sqlite') await database.exec('PRAGMA journal_mode = DELETE')
    })
    afterAll(() => database?.close())

    it('a lock that is held: every question fails in its time, told once, and goes on after it', async () => {
      const { store, states } = await openStore(database.url, { timeoutMs: 2000, poolSize: 2 })
      await find(store)
      const locker = await lockTable(database)
      const errors = await Promise.all([failure(store), failure(store), failure(store)])
      expect(errors.map(({ fault }) => fault)).toEqual(['slow', 'slow', 'slow'])
      expect(states).toHaveLength(1)
      expect(states[0]).toMatch(/^down /)
      await locker.close()
      await expect.poll(() => find(store), { timeout: 10_000 }).toMatchObject({ username: 'alice' })
      expect(states[1]).toBe('up answered')
    })

    it('a pool and a queue that are full: one more is refused at once', async () => {
      const { store } = await openStore(database.url, { timeoutMs: 3000, poolSize: 1, maxQueue: 2 })
      const locker = await lockTable(database)
      let hasEnded = false
      const held = Promise.all([failure(store), failure(store), failure(store)]).then((errors) => {
        hasEnded = true
        return errors
      })
      expect(await failure(store)).toMatchObject({ fault: 'full', code: 'queue-full' })
      expect([hasEnded, store.waiting()]).toEqual([false, 2])
      for (const { fault } of await held) expect(fault).toBe('slow')
      await locker.close()
    })

    it('many questions at once are answered by the connections of the pool', async () => {
      const { store, states } = await openStore(database.url, { poolSize: 3 })
      const found = await Promise.all(Array.from({ length: 300 }, () => find(store)))
      expect(found.every((account) => account?.username === 'alice')).toBe(true)
      expect(states).toEqual([])
      if (engine === 'sqlite') return
      const counts = {
        mysql: "SELECT count(*) FROM information_schema.processlist WHERE db = 'kamailio'",
        postgres: "SELECT count(*) FROM pg_stat_activity WHERE datname = 'kamailio'",
      }
      // One is the question's own.
      expect((await database.exec(counts[engine])).rows).toEqual([['4']])
    })

    it('a table that goes and comes back', async () => {
      const { store, states } = await openStore(database.url)
      await find(store)
      await database.exec('ALTER TABLE accounts RENAME TO away')
      expect(await failure(store)).toMatchObject({ fault: 'statement' })
      expect(await failure(store)).toMatchObject({ fault: 'statement' })
      await database.exec('ALTER TABLE away RENAME TO accounts')
      expect(await find(store)).toMatchObject({ username: 'alice' })
      expect(states).toHaveLength(2)
    })

    it('a store that is closed answers nobody, waiting or not', async () => {
      const { store } = await openStore(database.url, { poolSize: 1 })
      const waiting = Promise.all([find(store), find(store), find(store)]).catch((error: SqlError) => error)
      await store.close()
      expect(await waiting).toMatchObject({ fault: 'lost' })
      expect(await failure(store)).toMatchObject({ code: 'closed' })
    })

    it('a driver that is not installed is an error of the configuration', async () => {
      const name = { sqlite: 'libsql', mysql: 'mysql2', postgres: 'pg' }[engine]
      await expect(
        openSqlCredentials({ url: database.url }, { libsql: absent, mysql2: absent, pg: absent }),
      ).rejects.toMatchObject({
        code: 'ERR_CONFIG_INVALID',
        issues: [
          { path: 'url', message: `needs the package ${name}, which is not installed: npm install ${name}` },
        ],
      })
    })

    if (engine === 'sqlite') return

    it('a database that stops and comes back: told once each, and found again by itself', async () => {
      const { store, states } = await openStore(database.url)
      expect(await find(store)).toMatchObject({ username: 'alice' })
      await database.stop()
      for (let i = 0; i < 3; i++) expect(await failure(store)).toMatchObject({ fault: 'lost' })
      expect(states).toEqual(['down ECONNREFUSED'])
      await database.start()
      expect(await find(store)).toMatchObject({ username: 'alice' })
      expect(states).toEqual(['down ECONNREFUSED', 'up answered'])
    })

    it('a database that stops between two questions unnoticed is asked again', async () => {
      const { store, states } = await openStore(database.url)
      await Promise.all([find(store), find(store), find(store)])
      await database.stop()
      await database.start()
      expect(await find(store)).toMatchObject({ username: 'alice' })
      expect(states).toEqual([])
    })

    it('a store opens while the database is away, and is checked once it is there', async () => {
      await database.stop()
      const { store, states } = await openStore(database.url)
      const wrong = await openStore(database.url, { subscriber: { table: 'nowhere' } })
      expect(await failure(store)).toMatchObject({ fault: 'lost' })
      await database.start()
      expect(await find(store)).toMatchObject({ username: 'alice' })
      expect(states).toEqual(['down ECONNREFUSED', 'up answered'])
      await expect(find(wrong.store)).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
      expect(wrong.states).toContain('down configuration')
    })

    it.each([
      ['password', (url: URL) => (url.password = 'hunter2-secret')],
      ['user', (url: URL) => (url.username = 'nobody')],
      ['database', (url: URL) => (url.pathname = '/nowhere')],
    ])('a wrong %s is an error of the configuration that shows no password', async (_, spoil) => {
      const url = new URL(database.url)
      spoil(url)
      const error = await openStore(url.href).catch((error: unknown) => error)
      expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID', issues: [{ path: 'url' }] })
      for (const secret of ['hunter2', 'ss/word', 'ss%2Fword'])
        expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(secret)
    })

    it.each([
      ['says nothing', () => {}, /^timeout$/],
      ['hangs up', (socket: Socket) => socket.destroy(), /./],
      ['talks something else', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /./],
    ])('a server that %s: no answer, and no connection is left', async (_, greet, code) => {
      const server = createServer((socket) => {
        socket.on('error', () => {}).resume()
        greet(socket)
      })
      const port = await listen(server)
      const url = new URL(database.url)
      url.port = String(port)
      const { store } = await openStore(url.href, { timeoutMs: 300 })
      const error = await failure(store)
      expect(['lost', 'slow', 'failed']).toContain(error.fault)
      expect(error.code).toMatch(code)
      await store.close()
      await new Promise((resolve) => server.close(resolve))
    })
  })
})

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

describe('a file that is no database of SQLite', () => {
  it('that is not there is an error of the configuration, and is not made', async () => {
    const path = join(tempFolder(), 'none.db')
    for (let i = 0; i < 2; i++)
      await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  })

  it('that holds something else is one, too', async () => {
    const path = join(tempFolder(), 'text.db')
    writeFileSync(path, 'x'.repeat(4096))
    await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({
      issues: [{ path: 'url', message: expect.stringContaining('SQLITE_NOTADB') as string }],
    })
    rmSync(path)
  })

  it('a statement without end is ended, and its thread with it', async () => {
    const database = await startDatabase('sqlite')
    await createSubscribers(database)
    const query =
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE :id <> '') SELECT max(n) FROM c"
    const { store } = await openStore(database.url, { subscriber: undefined, query, timeoutMs: 2000 })
    expect(await failure(store)).toMatchObject({ fault: 'slow' })
    await store.close()
  })
})
