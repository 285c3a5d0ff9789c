/**
 * What every store of claims does. A memory clock drives time: a store that has its own is asked to `pass` it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Claims } from '../../../src/pipeline/claim.ts'

/** A store under test. */
export interface ClaimsUnderTest {
  readonly claims: Claims
  /** Lets time go by, milliseconds. */
  pass(ms: number): void | Promise<void>
  close?(): void | Promise<void>
}

/** The contract. @param open makes an empty store with room for `capacity` claims */
export function claimContract(open: (capacity: number) => ClaimsUnderTest | Promise<ClaimsUnderTest>): void {
  describe('the contract of claims', () => {
    let store: ClaimsUnderTest
    const claim = async (key: string, value: string, ttl = 10_000): Promise<string> =>
      store.claims.claim(key, value, ttl)

    beforeEach(async () => {
      store = await open(20)
    })
    afterEach(() => store.close?.())

    it('gives a key to the first', async () => {
      expect(await claim('a', '1')).toBe('new')
    })

    it('knows the same value and another', async () => {
      await claim('a', '1')
      expect(await claim('a', '1')).toBe('same')
      expect(await claim('a', '2')).toBe('other')
      expect(await claim('a', '1')).toBe('same')
    })

    it('keeps keys apart', async () => {
      await claim('a', '1')
      expect(await claim('b', '1')).toBe('new')
      expect(await claim('A', '1')).toBe('new')
      expect(await claim('', '1')).toBe('new')
      expect(await claim('__proto__', '1')).toBe('new')
    })

    it('gives one new between two at once', async () => {
      const results = await Promise.all(Array.from({ length: 8 }, (_, i) => claim('a', String(i))))
      expect(results.filter((result) => result === 'new')).toHaveLength(1)
      expect(results.filter((result) => result === 'other')).toHaveLength(7)
    })

    it('holds a claim for its time', async () => {
      await claim('a', '1', 10_000)
      await store.pass(9000)
      expect(await claim('a', '2', 10_000)).toBe('other')
    })

    it('ends it afterwards', async () => {
      await claim('a', '1', 10_000)
      await store.pass(12_000)
      expect(await claim('a', '2', 10_000)).toBe('new')
      expect(await claim('a', '1', 10_000)).toBe('other')
    })

    it('is not prolonged by asking', async () => {
      await claim('a', '1', 10_000)
      await store.pass(6000)
      await claim('a', '1', 10_000)
      await store.pass(6000)
      expect(await claim('a', '2', 10_000)).toBe('new')
    })

    it('takes times of several lengths', async () => {
      await claim('long', '1', 60_000)
      await claim('short', '1', 1000)
      await store.pass(3000)
      expect(await claim('short', '2', 1000)).toBe('new')
      expect(await claim('long', '2', 60_000)).toBe('other')
    })

    it('keys and values may have 200 characters', async () => {
      const long = 'k'.repeat(200)
      expect(await claim(long, long)).toBe('new')
      expect(await claim(long, long)).toBe('same')
      expect(await claim(`${long.slice(1)}x`, long)).toBe('new')
    })

    it('gives up none when it is full, and takes new ones when some have ended', async () => {
      for (let i = 0; i < 20; i++) expect(await claim(`k${i}`, '1')).toBe('new')
      expect(await claim('one more', '1')).toBe('full')
      for (let i = 0; i < 20; i++) expect(await claim(`k${i}`, '1')).toBe('same')
      await store.pass(12_000)
      expect(await claim('one more', '1')).toBe('new')
    })
  })
}
