import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Redis } from 'ioredis'
import { createMemoryClaims, type MemoryClaims } from '../../src/stores/claim-memory.ts'
import { createRedisClaims, type RedisClaims } from '../../src/stores/claim-redis.ts'
import { createSharedClaims, type ClaimsState, type SharedClaims } from '../../src/stores/claim-shared.ts'
import { openRedis } from '../../src/stores/redis-client.ts'
import { errorOf } from '../keyring/error-of.ts'
import { claimContract } from '../support/contracts/claim.ts'
import { describePeers } from '../support/peers.ts'
import { openProxy, startCluster, startRedis, type RedisServer } from '../support/redis.ts'

const until = (check: () => void | Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 20 })

/** Lets time go by for what a Redis holds. */
async function pass(client: Redis, ms: number): Promise<void> {
  for (const key of await client.keys('*claim:*')) {
    const left = (await client.pttl(key)) - ms
    await (left > 0 ? client.pexpire(key, left) : client.del(key))
  }
  for (const index of await client.keys('*:claims'))
    for (const member of await client.zrange(index, '0', '-1')) await client.zincrby(index, -ms, member)
}

interface Opened {
  readonly claims: RedisClaims
  readonly close: () => Promise<void>
}

async function openClaims(url: string, more: { capacity?: number; timeout?: number } = {}): Promise<Opened> {
  const { capacity, timeout = 1000 } = more
  const client = await openRedis({ url, options: { commandTimeout: timeout } })
  await client.ready().catch(() => {})
  return { claims: createRedisClaims({ client, prefix: 'nonces', capacity }), close: () => client.close() }
}

function memory(capacity = 1000): { local: MemoryClaims; readonly pass: (ms: number) => void } {
  let now = 1000
  const local = createMemoryClaims({ capacity, since: new Date(5), monotonic: () => now })
  return {
    local,
    pass: (ms) => {
      now += ms
    },
  }
}

interface Node {
  readonly claims: SharedClaims
  readonly states: ClaimsState[]
}

/** A node of a fleet, gone when the test ends. */
async function openNode(url: string, timeout?: number): Promise<Node> {
  const states: ClaimsState[] = []
  const { claims: shared, close } = await openClaims(url, timeout === undefined ? {} : { timeout })
  const { local } = memory()
  const claims = createSharedClaims({
    now: () => new Date(),
    shared,
    local,
    onState: (state) => states.push(state),
  })
  onTestFinished(async () => {
    claims.close()
    await close()
  })
  return { claims, states }
}

describePeers('claims in Redis', ['redis-server'], () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })

  describe('alone', () => {
    claimContract(async (capacity) => {
      await redis.client().flushall()
      const { claims, close } = await openClaims(redis.url, { capacity })
      return { claims, close, pass: (ms) => pass(redis.client(), ms) }
    })

    it('give one new between several nodes', async () => {
      await redis.client().flushall()
      const nodes = await Promise.all(Array.from({ length: 4 }, () => openClaims(redis.url)))
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, i) => nodes[i % 4]!.claims.claim('a', String(i), 10_000)),
      )
      expect(results.filter((result) => result === 'new')).toHaveLength(1)
      expect(results.filter((result) => result === 'other')).toHaveLength(39)
      await Promise.all(nodes.map(({ close }) => close()))
    })

    it('are full where the server has no memory left, and give up none', async () => {
      const server = await startRedis()
      const { claims, close } = await openClaims(server.url)
      expect(await claims.claim('a', '1', 10_000)).toBe('new')
      await server.client().config('SET', 'maxmemory', '1')
      expect(await claims.claim('b', '1', 10_000)).toBe('full')
      expect(await claims.claim('a', '1', 10_000)).toBe('same')
      expect(await claims.claim('a', '2', 10_000)).toBe('other')
      await server.client().config('SET', 'maxmemory', '0')
      expect(await claims.claim('b', '1', 10_000)).toBe('new')
      await server.client().flushall()
      await server.client().config('SET', 'maxmemory', '1')
      expect(await claims.claim('c', '1', 10_000)).toBe('full')
      await close()
      await server.stop()
    })

    it('reject at once where there is no connection, and where too much is under way', async () => {
      const proxy = await openProxy(redis.port)
      const { claims, close } = await openClaims(`redis://127.0.0.1:${proxy.port}`, { timeout: 500 })
      proxy.stall()
      const outcomes = await Promise.allSettled(
        Array.from({ length: 2100 }, (_, i) => claims.claim(`k${i}`, '1', 10_000)),
      )
      const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'none'))
      expect(codes.filter((code) => code === 'away')).toHaveLength(2048)
      expect(codes.filter((code) => code === 'busy')).toHaveLength(52)
      await close()
      await expect(claims.claim('a', '1', 1000)).rejects.toMatchObject({ name: 'StoreError', code: 'away' })
    })

    it('end to the millisecond above what was asked, never at once', async () => {
      const { claims, close } = await openClaims(redis.url)
      await redis.client().flushall()
      await claims.claim('a', '1', 60_000.2)
      const [key = ''] = await redis.client().keys('*claim:*')
      expect(key).toBe('xkeys:{nonces}:claim:a')
      expect(await redis.client().pttl(key)).toBeGreaterThan(50_000)
      await close()
    })

    it('work in a Cluster', { timeout: 60_000 }, async () => {
      const client = await openRedis({ url: 'redis://', nodes: (await startCluster()).slice(1, 2) })
      const claims = createRedisClaims({ client, prefix: 'nonces', capacity: 10 })
      await until(async () => expect(await claims.probe()).toMatch(/^[0-9a-f]{16}$/))
      for (let i = 0; i < 10; i++) expect(await claims.claim(`k${i}`, '1', 10_000)).toBe('new')
      expect(await claims.claim('k10', '1', 10_000)).toBe('full')
      expect(await claims.claim('k3', '2', 10_000)).toBe('other')
      await client.close()
    })

    it.each([0, -1, 1.5, NaN])('refuse a capacity of %s', async (capacity) => {
      const client = await openRedis({ url: redis.url })
      onTestFinished(() => client.close())
      expect(errorOf(() => createRedisClaims({ client, prefix: 'a', capacity })).issues).toEqual([
        { path: 'capacity', message: 'must be a whole number, at least 1' },
      ])
    })
  })

  describe('shared by nodes', () => {
    claimContract(async (capacity) => {
      await redis.client().flushall()
      const { claims: shared, close } = await openClaims(redis.url, { capacity })
      const { local, pass: passHere } = memory()
      const claims = createSharedClaims({ now: () => new Date(), shared, local, onState: () => {} })
      return {
        claims,
        async close() {
          claims.close()
          await close()
        },
        async pass(ms) {
          passHere(ms)
          await pass(redis.client(), ms)
        },
      }
    })

    it('are known to every node, retransmissions too', async () => {
      await redis.client().flushall()
      const [one, two] = [await openNode(redis.url), await openNode(redis.url)]
      expect(await one.claims.claim('a', '1', 10_000)).toBe('new')
      expect(await two.claims.claim('a', '2', 10_000)).toBe('other')
      expect(await two.claims.claim('a', '1', 10_000)).toBe('same')
      expect(await one.claims.claim('a', '2', 10_000)).toBe('other')
      expect([one.states, two.states]).toEqual([[], []])
      expect(one.claims.since).toBeUndefined()
    })

    it(
      'hold without the server, by what this node knows, and are told of once',
      { timeout: 60_000 },
      async () => {
        const server = await startRedis()
        const { claims, states } = await openNode(server.url)
        expect(await claims.claim('a', '1', 600_000)).toBe('new')
        await server.stop()
        await until(async () => {
          await claims.claim('tried', '1', 600_000)
          expect(states).toEqual(['local'])
        })
        // Nobody waits: no promise.
        expect(claims.claim('a', '2', 600_000)).toBe('other')
        expect(claims.claim('a', '1', 600_000)).toBe('same')
        expect(claims.claim('b', '1', 600_000)).toBe('new')
        expect(claims.since).toBeInstanceOf(Date)
        await server.restart()
        await until(() => expect(states).toEqual(['local', 'shared']))
        // The server has forgotten, the node has not.
        expect(await claims.claim('a', '2', 600_000)).toBe('other')
        expect(await claims.claim('a', '1', 600_000)).toBe('same')
        expect(await claims.claim('b', '2', 600_000)).toBe('other')
        expect(await claims.claim('c', '1', 600_000)).toBe('new')
        expect(states).toEqual(['local', 'shared'])
        await server.stop()
      },
    )

    it(
      'keep what was claimed without the server from other values after it is back',
      { timeout: 60_000 },
      async () => {
        const proxy = await openProxy(redis.port)
        await redis.client().flushall()
        const { claims, states } = await openNode(`redis://127.0.0.1:${proxy.port}`, 300)
        expect(await claims.claim('a', '1', 600_000)).toBe('new')
        proxy.stall()
        await until(() => expect(states).toEqual(['local']))
        expect(claims.claim('b', '1', 600_000)).toBe('new')
        proxy.resume()
        await until(() => expect(states).toEqual(['local', 'shared']))
        expect(await claims.claim('b', '2', 600_000)).toBe('other')
        expect(await claims.claim('b', '1', 600_000)).toBe('same')
        expect(await claims.claim('a', '2', 600_000)).toBe('other')
      },
    )

    it('begin in memory where the server is away, and say so without being asked', async () => {
      const server = await startRedis()
      await server.stop()
      const { claims, states } = await openNode(server.url)
      await until(() => expect(states).toEqual(['local']))
      expect(claims.claim('a', '1', 10_000)).toBe('new')
      expect(claims.state).toBe('local')
    })

    it('do not trust a server that would give up some, and say why', { timeout: 60_000 }, async () => {
      const server = await startRedis({ args: ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'] })
      const { claims: shared, close } = await openClaims(server.url)
      const told = vi.fn<(state: ClaimsState, detail: string) => void>()
      const claims = createSharedClaims({
        now: () => new Date(),
        shared,
        local: memory().local,
        onState: told,
      })
      onTestFinished(async () => {
        claims.close()
        await close()
      })
      const why =
        'it gives up claims where it lacks memory: its maxmemory-policy is allkeys-lru, not noeviction'
      await until(() => expect(told.mock.calls).toEqual([['local', why]]))
      await server.client().config('SET', 'maxmemory-policy', 'noeviction')
      await until(() => expect(told.mock.lastCall).toEqual(['shared', 'the store answers']))
      await server.stop()
    })

    it('notice that the server was emptied behind their back', async () => {
      const server = await startRedis()
      const { claims, states } = await openNode(server.url)
      expect(await claims.claim('a', '1', 600_000)).toBe('new')
      expect(claims.since).toBeUndefined()
      await server.client().flushall()
      expect(await claims.claim('a', '2', 600_000)).toBe('other')
      expect(await server.client().keys('*claim:*')).toEqual([])
      expect(await claims.claim('b', '1', 600_000)).toBe('new')
      expect(claims.since).toBeInstanceOf(Date)
      expect(states).toEqual([])
      await server.stop()
    })

    it('answer every message of a stalled server, and come back', { timeout: 60_000 }, async () => {
      await redis.client().flushall()
      const proxy = await openProxy(redis.port)
      const { claims, states } = await openNode(`redis://127.0.0.1:${proxy.port}`, 300)
      expect(await claims.claim('a', '1', 600_000)).toBe('new')
      proxy.stall()
      const results = await Promise.all(
        Array.from({ length: 3000 }, async (_, i) => claims.claim(`k${i % 1500}`, '1', 600_000)),
      )
      expect(new Set(results)).toEqual(new Set(['new', 'same', 'full']))
      expect(states).toEqual(['local'])
      expect(claims.claim('a', '2', 600_000)).toBe('other')
      proxy.resume()
      await until(() => expect(states).toEqual(['local', 'shared']))
    })
  })
})
