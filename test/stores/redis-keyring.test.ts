import { inspect } from 'node:util'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { KeyringStore } from '../../src/keyring/keyring-store.ts'
import { openRedisKeyringStore, type RedisKeyringOptions } from '../../src/stores/redis-keyring.ts'
import {
  audited,
  heartbeat,
  keyringStoreContract,
  put,
  revision,
} from '../support/contracts/keyring-store.ts'
import { errorFrom } from '../support/error-from.ts'
import { describePeers } from '../support/peers.ts'
import {
  makeTlsFiles,
  openProxy,
  startCluster,
  startRedis,
  startSentinel,
  type RedisServer,
} from '../support/redis.ts'

const until = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 20 })

async function open(options: Omit<RedisKeyringOptions, 'name'> & { name?: string }): Promise<KeyringStore> {
  const store = await openRedisKeyringStore({ name: 'main', ...options })
  onTestFinished(() => store.close())
  return store
}

/** What a promise rejects with, as code and message. */
async function fault(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
  )
}

/** Everything that is wrong with settings. */
async function issuesOf(settings: Omit<RedisKeyringOptions, 'name'>): Promise<readonly string[]> {
  const error = await errorFrom(openRedisKeyringStore({ ...settings, name: 'main' }))
  expect(error.message).not.toContain('pw-')
  return error.issues.map(({ path, message }) => `${path}: ${message}`)
}

const withPassword = (word: string, port: number): string =>
  `redis://:${encodeURIComponent(word)}@127.0.0.1:${port}/0`

describePeers('a keyring in Redis', ['redis-server', 'openssl'], () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })

  keyringStoreContract(async () => {
    await redis.client().flushall()
    const [store, other] = await Promise.all(
      ['main', 'main'].map((name) => openRedisKeyringStore({ url: redis.url, name })),
    )
    return {
      store: store!,
      other: other!,
      close: async () => {
        await Promise.all([store!.close(), other!.close()])
      },
    }
  })

  describe('holds', () => {
    it('each keyring under a name of its own, also where the name has braces', async () => {
      await redis.client().flushall()
      const [one, two] = [await open({ url: redis.url }), await open({ url: redis.url, name: '}{' })]
      await put(one, revision(1))
      expect(await two.read()).toBe('empty')
      await two.beat(heartbeat('n1'))
      expect((await redis.client().keys('*')).toSorted()).toEqual([
        'xkeys:{%7D%7B}:nodes',
        'xkeys:{main}:audit',
        'xkeys:{main}:keyring',
      ])
    })

    it('not for ever what it was told: the audit is cut', async () => {
      await redis.client().flushall()
      const store = await open({ url: redis.url })
      await redis.client().rpush('xkeys:{main}:audit', ...Array.from({ length: 10_000 }, (_, i) => String(i)))
      await put(store, revision(1))
      const lines = await store.audit(20_000)
      expect([lines.length, lines[0], lines.at(-1)]).toEqual([10_000, '1', audited(revision(1))])
      await expect(store.note('{}\n{}')).rejects.toThrow('one short line')
    })

    it('heartbeats of 10,000 nodes, read in pages', { timeout: 60_000 }, async () => {
      const client = redis.client()
      await client.flushall()
      const store = await open({ url: redis.url })
      await store.beat(heartbeat('n'))
      const [stored = ''] = await client.hvals('xkeys:{main}:nodes')
      for (let i = 0; i < 10_000; i += 500) {
        const nodes = Array.from({ length: 500 }, (_, j) => `n${i + j}`)
        await client.hset(
          'xkeys:{main}:nodes',
          ...nodes.flatMap((node) => [node, stored.replace('"node":"n"', `"node":"${node}"`)]),
        )
      }
      const found = await store.heartbeats()
      expect(found.size).toBe(10_001)
      expect([...found.values()]).not.toContain('damaged')
    })

    it('no more than 20,000 nodes', { timeout: 60_000 }, async () => {
      const client = redis.client()
      await client.flushall()
      const store = await open({ url: redis.url })
      for (let i = 0; i < 20_000; i += 1000)
        await client.hset(
          'xkeys:{main}:nodes',
          ...Array.from({ length: 1000 }, (_, j) => [`n${i + j}`, 'x']).flat(),
        )
      expect(await fault(store.beat(heartbeat('another')))).toContain('full: it knows 20000 nodes')
      await store.beat(heartbeat('n7'))
      await store.forget('n8')
      await store.beat(heartbeat('another'))
    })
  })

  describe('that was damaged', () => {
    it('never counts: a text that is none, that has no revision, or another', async () => {
      const client = redis.client()
      const key = 'xkeys:{main}:keyring'
      const store = await open({ url: redis.url })
      for (const fields of [
        { revision: '1' },
        { text: revision(1).text },
        { revision: '2', text: revision(1).text },
        { revision: '1', text: 'a = [' },
        { revision: '1', text: '' },
        { revision: 'x', text: revision(1).text },
      ]) {
        await client.del(key)
        await client.hset(key, fields)
        expect(await fault(store.read())).toBe('damaged: the keyring in it is damaged')
      }
      await client.del(key)
      await client.set(key, 'text')
      expect(await fault(store.read())).toBe('damaged: something else is kept under this name (WRONGTYPE)')
      await client.del(key)
    })

    it('heartbeats that are half written are told as such, and no other is lost', async () => {
      const client = redis.client()
      await client.flushall()
      const store = await open({ url: redis.url })
      for (const node of ['n1', 'n2']) await store.beat(heartbeat(node))
      const half = (await client.hget('xkeys:{main}:nodes', 'n2'))!
      const bad = {
        half: half.slice(0, half.length / 2),
        empty: '',
        stampless: half.replace(/^\d+/, ''),
        foreign: half,
        list: '1763726400000 []',
        proto: '1763726400000 {"__proto__":{}}',
        loud: half.replaceAll('n2', 'loud').replace('0.1.0', '\\u001b[2J'),
      }
      await client.hset('xkeys:{main}:nodes', bad)
      const found = await store.heartbeats()
      expect(found.size).toBe(9)
      for (const node of Object.keys(bad)) expect(found.get(node)).toBe('damaged')
      expect(found.get('n1')).toMatchObject({ version: '0.1.0' })
    })

    it('nothing in it commands the terminal of an operator', async () => {
      const client = redis.client()
      await client.flushall()
      const store = await open({ url: redis.url })
      await client.hset('xkeys:{main}:nodes', '\u001b[2J\nacknowledged by n1', '')
      await client.rpush('xkeys:{main}:audit', '\u001b[2J{"by":"a\u{e0001}"}')
      expect([...(await store.heartbeats())]).toEqual([
        [String.raw`\u001b[2J\u000aacknowledged by n1`, 'damaged'],
      ])
      const confirmed = {
        group: 'g',
        key: 'k',
        fingerprint: '0badc0de',
        peer: 'p',
        at: new Date(),
        by: '\u001b[2J',
      }
      await store.confirm(confirmed, () => true)
      expect(await store.confirmations()).toMatchObject([{ by: String.raw`\u001b[2J` }])
      expect(await store.audit(1)).toEqual([String.raw`\u001b[2J{"by":"a\udb40\udc01"}`])
    })

    it('fields of a later version are left alone', async () => {
      const client = redis.client()
      await client.flushall()
      const store = await open({ url: redis.url })
      await store.beat(heartbeat('n1'))
      const stored = (await client.hget('xkeys:{main}:nodes', 'n1'))!
      await client.hset('xkeys:{main}:nodes', 'n1', stored.replace('{"format":1', '{"format":1,"later":[1]'))
      expect((await store.heartbeats()).get('n1')).toMatchObject({ version: '0.1.0' })
    })

    it('confirmations that say nothing confirm nothing, and go with the next', async () => {
      const client = redis.client()
      await client.flushall()
      const store = await open({ url: redis.url })
      await client.hset('xkeys:{main}:confirmations', 'a', '{"group":', 'b', '{}')
      expect(await store.confirmations()).toEqual([])
      const added = { group: 'g', key: 'k', fingerprint: '1', peer: 'p', at: new Date(0), by: 'me' }
      await store.confirm(added, () => true)
      expect(await store.confirmations()).toEqual([added])
      expect(await client.hlen('xkeys:{main}:confirmations')).toBe(1)
    })
  })

  describe('that cannot be asked', () => {
    it('rejects, and serves again once it is back, empty', { timeout: 60_000 }, async () => {
      const server = await startRedis()
      const store = await open({ url: server.url })
      const told = vi.fn<() => void>()
      const following = store.follow(told)
      onTestFinished(() => following.close())
      await put(store, revision(1))
      await until(() => expect(told).toHaveBeenCalled())
      await server.stop()
      expect(await fault(store.read())).toMatch(/^away: /)
      expect(await fault(store.beat(heartbeat('n1')))).toMatch(/^away: /)
      told.mockClear()
      await server.restart()
      await until(() => expect(told).toHaveBeenCalled())
      await until(async () => expect(await store.read()).toBe('empty'))
      told.mockClear()
      await put(store, revision(2))
      await until(() => expect(told).toHaveBeenCalled())
      await server.stop()
    })

    it('rejects at the first try where nobody listens', async () => {
      const server = await startRedis()
      await server.stop()
      const store = await open({ url: server.url })
      expect(await fault(store.read())).toBe('away: it cannot be reached (ECONNREFUSED)')
    })

    it('rejects in bounded time where it takes connections and says nothing', async () => {
      const proxy = await openProxy(redis.port)
      proxy.stall()
      const url = `redis://127.0.0.1:${proxy.port}`
      const store = await open({ url, options: { commandTimeout: 200 } })
      expect(await fault(store.read())).toBe('away: it does not answer within 0.2 s')
    })

    it('rejects in bounded time where it stalls, and serves again after', { timeout: 60_000 }, async () => {
      await redis.client().flushall()
      const proxy = await openProxy(redis.port)
      const url = `redis://127.0.0.1:${proxy.port}`
      const store = await open({ url, options: { commandTimeout: 200 } })
      await put(store, revision(1))
      proxy.stall()
      const faults = await Promise.all(Array.from({ length: 3000 }, () => fault(store.read())))
      expect(faults.filter((text) => text.startsWith('away: it does not answer'))).toHaveLength(2048)
      expect(faults.filter((text) => text.startsWith('busy: more than 2048'))).toHaveLength(952)
      proxy.resume()
      await until(async () => expect(await store.read()).toEqual(revision(1)))
    })

    it('rejects what is asked after it was closed, and when it is closed in between', async () => {
      const store = await openRedisKeyringStore({ url: redis.url, name: 'main' })
      const asked = fault(store.read())
      await store.close()
      expect(await asked).toMatch(/^away: /)
      expect(await fault(store.read())).toBe('away: the connection was closed')
      await store.close()
    })

    it('is full where the server has no memory left, and still read', async () => {
      const server = await startRedis()
      const store = await open({ url: server.url })
      await put(store, revision(1))
      await server.client().config('SET', 'maxmemory', '1')
      expect(await fault(store.replace({ before: 1, after: revision(2), audit: '{}' }))).toBe(
        'full: it has no memory left (OOM)',
      )
      expect(await store.read()).toEqual(revision(1))
      expect(await store.audit(9)).toHaveLength(1)
      await server.stop()
    })
  })

  describe('behind a password', () => {
    const password = 'pw-8f1c6a/5be@0d'

    it('is opened with it, by address or by option', async () => {
      const server = await startRedis({ password })
      for (const options of [
        { url: withPassword(password, server.port) },
        { url: `redis://127.0.0.1:${server.port}`, options: { password } },
        { url: `redis://127.0.0.1:${server.port}`, options: { username: 'default', password } },
        { url: `unix:${server.socket}`, options: { password } },
      ]) {
        const store = await open(options)
        expect(await store.read()).toBe('empty')
        expect(inspect(store, { depth: 9 })).not.toContain(password)
        expect(store.place).not.toContain('pw-')
      }
      await server.stop()
    })

    it('says that it is wrong, and never shows it', async () => {
      const server = await startRedis({ password })
      const output = vi.spyOn(console, 'warn')
      for (const [options, expected] of [
        [
          { url: withPassword('pw-wrong', server.port) },
          'the user name or the password is wrong (WRONGPASS)',
        ],
        [{ url: `redis://127.0.0.1:${server.port}` }, 'it asks for a password (NOAUTH)'],
      ] as const) {
        const store = await open(options)
        const error: unknown = await store.read().catch((reason: unknown) => reason)
        expect(error).toMatchObject({ name: 'StoreError', code: 'refused', message: expected })
        expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/pw-/)
      }
      expect(output.mock.calls.flat().join()).not.toMatch(/pw-/)
      output.mockRestore()
      await server.stop()
    })
  })

  describe('of another kind', () => {
    it('with TLS', async () => {
      const tls = makeTlsFiles()
      const server = await startRedis({ tls })
      const store = await open({ url: server.url, options: { tls: { ca: tls.ca } } })
      await put(store, revision(1))
      const distrusting = await open({ url: server.url })
      expect(await fault(distrusting.read())).toBe('away: it cannot be reached (DEPTH_ZERO_SELF_SIGNED_CERT)')
      await server.stop()
    })

    it('behind sentinels', async () => {
      const sentinel = await startSentinel(redis)
      await redis.client().flushall()
      const options = { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'main' }
      const store = await open({ url: 'redis://', options })
      await put(store, revision(1))
      expect(await (await open({ url: redis.url })).read()).toEqual(revision(1))
    })

    it('a Cluster', { timeout: 60_000 }, async () => {
      const nodes = await startCluster()
      const store = await open({ url: 'redis://', nodes: nodes.slice(0, 1) })
      const other = await open({ url: 'redis://', nodes: nodes.slice(2) })
      const told = vi.fn<() => void>()
      const following = other.follow(told)
      onTestFinished(() => following.close())
      await until(() => expect(told).toHaveBeenCalled())
      told.mockClear()
      await put(store, revision(1), revision(2))
      await store.beat(heartbeat('n1'))
      await until(() => expect(told).toHaveBeenCalled())
      expect(await other.read()).toEqual(revision(2))
      expect([...(await other.heartbeats()).keys()]).toEqual(['n1'])
      expect(await other.audit(9)).toHaveLength(2)
    })
  })

  it('refuses settings with all that is wrong, and shows no password', async () => {
    expect(await issuesOf({ url: 'http://h' })).toEqual([
      'url: must begin with redis://, rediss:// or unix:/',
    ])
    expect(await issuesOf({ url: 'redi://h' })).toEqual([
      'url: must begin with redis://, rediss:// or unix:/; did you mean redis:?',
    ])
    expect(await issuesOf({ url: 'redis://:pw-1/2@h' })).toHaveLength(1)
    expect(await issuesOf({ url: 'redis://:pw-%zz@h' })).toHaveLength(1)
    expect(await issuesOf({ url: 'redis://h/x' })).toHaveLength(1)
    expect(await issuesOf({ url: 'redis://h?family=6' })).toHaveLength(1)
    expect(await issuesOf({ url: 'unix:' })).toHaveLength(1)
    expect(
      await issuesOf({
        url: 'redis://:pw-1@h',
        nodes: ['h', 'h:0', 'h:70000', '[::1]:7000', 'h:7000'],
        options: { keyPrefix: 'a:', retryStrategy: 1, commandTimeout: 0, sentinels: [] },
      }),
    ).toEqual([
      'options.keyPrefix: is set by xkeys itself: take it out',
      'options.retryStrategy: is set by xkeys itself: take it out',
      'options.commandTimeout: must be a number of milliseconds, from 1 to 60000',
      ...[0, 1, 2].map((i) => `nodes[${i}]: must be written as host:port`),
      'nodes: cannot stand beside sentinels',
      'options.name: is missing: the name under which the sentinels know the master',
    ])
  })
})
