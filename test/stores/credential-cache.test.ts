import { createSecretKey } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Account, CredentialQuery, CredentialStore } from '../../src/digest/credential-store.ts'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import {
  createCredentialCache,
  type CredentialCache,
  type CredentialCacheOptions,
} from '../../src/stores/credential-cache.ts'
import type { CacheError } from '../../src/stores/lookup-cache.ts'
import { credentialContract } from '../support/contracts/credentials.ts'
import { tomlOfStored } from '../support/contracts/stored-toml.ts'
import { errorOf } from '../keyring/error-of.ts'

credentialContract(async () => ({ store: createCredentialCache(parseCredentials(tomlOfStored())) }))

const query = (username: string, algorithm: CredentialQuery['algorithm'] = 'MD5'): CredentialQuery => ({
  username,
  realm: 'example.org',
  algorithm,
})

const accountOf = (username: string): Account => ({
  username,
  status: 'active',
  ha1: createSecretKey(Buffer.alloc(16, 1)),
})

/** A store whose answers the test gives. */
function rigOf(options: CredentialCacheOptions = {}) {
  let now = 0
  const asked: string[] = []
  const held: { readonly give: (account: Account | undefined) => void; readonly fail: () => void }[] = []
  const store: CredentialStore = {
    find({ username }) {
      asked.push(username)
      return new Promise((resolve, reject) => {
        held.push({ give: resolve, fail: () => reject(new Error('the database is away')) })
      })
    },
  }
  const cache = createCredentialCache(store, { monotonic: () => now, ...options })
  return {
    cache,
    asked,
    held,
    pass: (ms: number) => {
      now += ms
    },
    /** Asks, and gives an answer. */
    ask: async (username: string, account: Account | 'none' = accountOf(username)) => {
      const found = cache.find(query(username))
      await settled()
      held.at(-1)!.give(account === 'none' ? undefined : account)
      return found
    },
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const isAtOnce = (cache: CredentialCache, username: string): boolean =>
  !(cache.find(query(username)) instanceof Promise)

describe('what is remembered', () => {
  it('is an account for its time, at once', async () => {
    const { cache, ask, pass, asked } = rigOf({ foundMs: 1000 })
    const alice = accountOf('alice')
    expect(await ask('alice', alice)).toBe(alice)
    pass(999)
    expect(cache.find(query('alice'))).toBe(alice)
    pass(1)
    expect(isAtOnce(cache, 'alice')).toBe(false)
    await settled()
    expect(asked).toEqual(['alice', 'alice'])
  })

  it('is that there is none, for a time of its own', async () => {
    const { cache, ask, pass } = rigOf({ missingMs: 10 })
    await ask('nobody', 'none')
    expect(cache.find(query('nobody'))).toBeUndefined()
    pass(10)
    expect(isAtOnce(cache, 'nobody')).toBe(false)
  })

  it('is each algorithm, realm and name apart', async () => {
    const { cache, ask } = rigOf()
    await ask('alice')
    for (const other of [
      query('alice', 'SHA-256'),
      { ...query('alice'), realm: 'example.net' },
      query('ALICE'),
      query('alice '),
    ])
      expect(cache.find(other)).toBeInstanceOf(Promise)
  })

  it('is never a failure', async () => {
    const { cache, ask, held } = rigOf()
    const first = cache.find(query('alice'))
    await settled()
    held[0]!.fail()
    await expect(first).rejects.toThrow('the database is away')
    expect(await ask('alice')).toMatchObject({ username: 'alice' })
    expect(cache.counts()).toMatchObject({ failures: 1, misses: 2, hits: 0 })
  })

  it('is bounded, and no number of names that nobody has pushes out an account', async () => {
    const { cache, ask } = rigOf({ capacity: 3 })
    for (const name of ['a', 'b', 'c']) await ask(name)
    for (let i = 0; i < 20; i++) await ask(`nobody${i}`, 'none')
    expect(['a', 'b', 'c'].map((name) => isAtOnce(cache, name))).toEqual([true, true, true])
    await ask('d')
    expect(cache.counts().size).toBe(3)
    expect(isAtOnce(cache, 'nobody0')).toBe(false)
  })

  it('changes sides when an account comes or goes', async () => {
    const { cache, ask, pass } = rigOf({ foundMs: 10, missingMs: 10 })
    await ask('alice', 'none')
    pass(10)
    await ask('alice')
    expect(cache.find(query('alice'))).toMatchObject({ username: 'alice' })
    pass(10)
    await ask('alice', 'none')
    expect(cache.find(query('alice'))).toBeUndefined()
  })
})

describe('what is forgotten', () => {
  it('is one account in every algorithm and form of its name', async () => {
    const { cache, held } = rigOf()
    const queries = [query('alice'), query('alice', 'SHA-256'), query('alice@example.org'), query('bob')]
    for (const one of queries) {
      const found = cache.find(one)
      await settled()
      held.at(-1)!.give(undefined)
      await found
    }
    cache.invalidate('alice', 'example.org')
    expect(queries.map((one) => cache.find(one) instanceof Promise)).toEqual([true, true, true, false])
  })

  it('is all', async () => {
    const { cache, ask } = rigOf()
    await ask('alice')
    await ask('nobody', 'none')
    cache.clear()
    expect([isAtOnce(cache, 'alice'), isAtOnce(cache, 'nobody')]).toEqual([false, false])
  })

  it.each(['invalidate', 'clear'] as const)('is what is on its way, too: %s', async (how) => {
    const { cache, held, asked } = rigOf()
    const before = cache.find(query('alice'))
    await settled()
    if (how === 'clear') cache.clear()
    else cache.invalidate('alice', 'example.org')
    const after = cache.find(query('alice'))
    await settled()
    expect(asked).toHaveLength(2)
    const [old, fresh] = [accountOf('alice'), accountOf('alice')]
    held[1]!.give(fresh)
    expect(await after).toBe(fresh)
    held[0]!.give(old)
    expect(await before).toBe(old)
    expect(cache.find(query('alice'))).toBe(fresh)
  })
})

describe('the store', () => {
  it('is asked once for many at once', async () => {
    const { cache, held, asked } = rigOf()
    const found = Array.from({ length: 50 }, async () => cache.find(query('alice')))
    await settled()
    expect(cache.counts()).toMatchObject({ waiting: 50, misses: 50 })
    held[0]!.give(accountOf('alice'))
    expect(new Set(await Promise.all(found)).size).toBe(1)
    expect(asked).toEqual(['alice'])
    expect(cache.counts().waiting).toBe(0)
  })

  it('fails for all of them at once, and is asked anew', async () => {
    const { cache, held, ask } = rigOf()
    const found = Array.from({ length: 3 }, () => Promise.resolve(cache.find(query('alice'))).catch(String))
    await settled()
    held[0]!.fail()
    expect(await Promise.all(found)).toEqual(Array.from({ length: 3 }, () => 'Error: the database is away'))
    expect(await ask('alice')).toMatchObject({ username: 'alice' })
  })

  it('has so many questions at once', async () => {
    const { cache, held, asked } = rigOf({ maxConcurrent: 2 })
    const found = ['a', 'b', 'c', 'd'].map(async (name) => cache.find(query(name)))
    await settled()
    expect(asked).toEqual(['a', 'b'])
    held[0]!.give(accountOf('a'))
    await settled()
    expect(asked).toEqual(['a', 'b', 'c'])
    for (const name of ['b', 'c', 'd']) {
      held[['a', 'b', 'c', 'd'].indexOf(name)]!.give(accountOf(name))
      await settled()
    }
    expect((await Promise.all(found)).map((account) => account?.username)).toEqual(['a', 'b', 'c', 'd'])
  })

  it.each(['one account', 'many accounts'])('has so many waiting, be it for %s', async (what) => {
    const { cache } = rigOf({ maxConcurrent: 1, maxQueue: 3 })
    const name = (i: number): string => (what === 'one account' ? 'alice' : `user${i}`)
    const found = Array.from({ length: 4 }, (_, i) =>
      Promise.resolve(cache.find(query(name(i)))).catch((error: unknown) => (error as CacheError).code),
    )
    expect(await found[3]).toBe('queue-full')
    expect(cache.counts()).toMatchObject({ waiting: 3, failures: 1 })
  })

  it('is not waited for longer than allowed, and its late answer is not taken for another', async () => {
    const { cache, held } = rigOf({ timeoutMs: 20, maxConcurrent: 1 })
    const [first, second] = [cache.find(query('alice')), cache.find(query('bob'))]
    const outcomes = await Promise.allSettled([first, second])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(first).rejects.toMatchObject({ name: 'CacheError', code: 'timeout' })
    // The one that waited never reached the store, whose place is taken until it answers.
    expect(held).toHaveLength(1)
    held[0]!.give(accountOf('alice'))
    await settled()
    const third = cache.find(query('bob'))
    await settled()
    held[1]!.give(accountOf('bob'))
    expect(await third).toMatchObject({ username: 'bob' })
  })

  it('may answer at once, and may throw', async () => {
    const account = accountOf('alice')
    expect(await createCredentialCache({ find: () => account }).find(query('alice'))).toBe(account)
    const broken = createCredentialCache({
      find() {
        throw new Error('broken')
      },
    })
    await expect(broken.find(query('alice'))).rejects.toThrow('broken')
  })
})

describe('the cache', () => {
  it('shows no secret', async () => {
    const { cache, ask } = rigOf()
    const account = await ask('alice')
    expect(inspect([cache, account], { depth: 9, showHidden: true })).not.toContain('01010101')
  })

  it('is not made of bad numbers', () => {
    const bad = { foundMs: 0, missingMs: -1, capacity: 1.5, maxConcurrent: NaN, maxQueue: 0, timeoutMs: 0 }
    const { issues } = errorOf(() => createCredentialCache({ find: () => undefined }, bad))
    expect(issues.map(({ path }) => path)).toEqual(Object.keys(bad))
  })
})
