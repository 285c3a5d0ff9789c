import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  compileHooksQuery,
  openSqlHookTargets,
  type SqlHookTargetsOptions,
} from '../../src/stores/sql-hook-targets.ts'
import type { ReadHookTarget } from '../../src/stores/http-hook-target.ts'
import { errorOf } from '../keyring/error-of.ts'
import { insertRows, LOOSE } from '../support/accounts.ts'
import { DATABASE_PROGRAMS, startDatabase, type TestDatabase } from '../support/databases.ts'
import { describePeers } from '../support/peers.ts'

const QUERY = 'SELECT secret, url, login AS username, password FROM hooks WHERE realm = :realm;'

/** A target with its secrets as text. */
const shown = (target: ReadHookTarget | undefined): unknown =>
  target && {
    url: target.url.href,
    method: target.method,
    basic: target.basic?.export().toString('latin1'),
    secret: target.secret?.export().toString('utf8'),
  }
const BASIC = `Basic ${Buffer.from('edge:p:w').toString('base64')}`

describe.each(['sqlite', 'mysql', 'postgres'] as const)('services named in %s', (engine) => {
  describePeers(engine, DATABASE_PROGRAMS[engine], () => {
    let database: TestDatabase
    beforeAll(async () => {
      database = await startDatabase(engine)
      const columns = ['realm', 'url', 'login', 'password', 'secret'].map((name) => `${name} VARCHAR(99)`)
      await database.exec(
        `CREATE TABLE hooks (${columns.join(', ')}) ${engine === 'mysql' ? LOOSE : ''}`,
        "INSERT INTO hooks (realm) VALUES ('none.example')",
      )
      await insertRows(database, 'hooks', [
        { realm: 'plain.example', url: 'http://192.0.2.1:3000/auth', login: '', password: '', secret: '' },
        { realm: 'all.example', url: 'https://h/x?y=1', login: 'edge', password: 'p:w', secret: 'wh_secret' },
        { realm: 'twice.example', url: 'https://one/' },
        { realm: 'twice.example', url: 'https://two/' },
        { realm: 'file.example', url: 'file:///etc/passwd' },
        { realm: 'user.example', url: 'https://u:hunter2@h/' },
        { realm: 'half.example', url: 'https://h/', login: 'edge' },
      ])
    })
    afterAll(() => database?.close())

    async function finder(options: Partial<SqlHookTargetsOptions> = {}) {
      const opened = await openSqlHookTargets({
        url: database.url,
        timeoutMs: 15_000,
        hooksQuery: QUERY,
        ...options,
      })
      onTestFinished(() => opened.close())
      return opened.find
    }

    it('have what their row says, and what it does not say from the settings', async () => {
      const find = await finder({ secret: 'of all' })
      expect(shown(await find('all.example'))).toEqual({
        url: 'https://h/x?y=1',
        method: 'POST',
        basic: BASIC,
        secret: 'wh_secret',
      })
      expect(shown(await find('plain.example'))).toEqual({
        url: 'http://192.0.2.1:3000/auth',
        method: 'POST',
        basic: undefined,
        secret: 'of all',
      })
    })

    it.each([
      'nowhere.example',
      'none.example',
      '',
      "' OR '1' = '1",
      'PLAIN.EXAMPLE',
      'plain.example ',
      'plaín.example',
    ])('are none for %j', async (realm) => {
      expect(await (await finder())(realm)).toBeUndefined()
    })

    it.each([
      ['twice.example', { fault: 'failed', code: 'too-many-rows' }],
      ['file.example', { fault: 'url-malformed' }],
      ['user.example', { fault: 'url-malformed' }],
      ['half.example', { fault: 'url-malformed' }],
    ])('are a failure for %s', async (realm, expected) => {
      const error: unknown = await (await finder())(realm).catch((each: unknown) => each)
      expect(error).toMatchObject(expected)
      expect(String(error)).not.toMatch(/hunter2|passwd/)
    })

    it.each([
      ['SELECT url FROM nowhere WHERE realm = :realm', [/nowhere/]],
      [
        'SELECT realm, url FROM hooks WHERE realm = :realm',
        [/^gives a column "realm": it has url, username/],
      ],
      ['SELECT url AS uri FROM hooks WHERE realm = :realm', [/did you mean url\?$/, /^gives no column url$/]],
    ])('are not asked for by %s', async (hooksQuery, messages) => {
      await expect(finder({ hooksQuery })).rejects.toMatchObject({
        issues: messages.map((message) => ({
          path: 'hooksQuery',
          message: expect.stringMatching(message) as string,
        })),
      })
    })

    it.skipIf(engine !== 'postgres')(
      'are a failure by columns that could not be looked at before',
      async () => {
        const find = await finder({ hooksQuery: 'SELECT url AS uri FROM hooks WHERE length(url) = :realm' })
        expect(await find('no number')).toBeUndefined()
        await expect(find('5')).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
      },
    )

    it('are not signed for where they are asked by GET', async () => {
      await expect(finder({ method: 'GET' })).rejects.toMatchObject({
        issues: [{ path: 'hooksQuery', message: 'gives a secret, which signs a body: a GET has none' }],
      })
    })

    it('are not known while the table is away', async () => {
      const find = await finder()
      await database.exec('ALTER TABLE hooks RENAME TO elsewhere')
      await expect(find('plain.example')).rejects.toMatchObject({ fault: 'statement' })
      await database.exec('ALTER TABLE elsewhere RENAME TO hooks')
      expect(await find('plain.example')).toBeDefined()
    })
  })
})

describe('a SELECT of services', () => {
  it.each([
    ['SELECT url FROM t', ['asks for nobody: bind :realm']],
    ['SELECT url FROM t WHERE r = :id', [':id is not known: it has :realm', 'asks for nobody: bind :realm']],
    [
      'SELECT url FROM t WHERE r = ?',
      ['has a ? outside of quotes: values are bound as :realm', expect.any(String)],
    ],
  ])('may not be %s', (sql, messages) => {
    const { issues } = errorOf(() => compileHooksQuery(sql, 'mysql', {}))
    expect(issues.map(({ message }) => message)).toEqual(messages)
  })
})
