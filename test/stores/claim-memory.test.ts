import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryClaims, type MemoryClaims } from '../../src/stores/claim-memory.ts'
import { errorOf } from '../keyring/error-of.ts'
import { claimContract } from '../support/contracts/claim.ts'

function openClaims(capacity: number): { claims: MemoryClaims; readonly pass: (ms: number) => void } {
  let now = 1000
  const claims = createMemoryClaims({ capacity, since: new Date(5), monotonic: () => now })
  return {
    claims,
    pass: (ms) => {
      now += ms
    },
  }
}

claimContract(openClaims)

describe('claims in memory', () => {
  it('answer at once', () => {
    expect(openClaims(1).claims.claim('a', '1', 1000)).toBe('new')
  })

  it('say since when they know', () => {
    expect(openClaims(1).claims.since).toEqual(new Date(5))
  })

  it('tell what a key is claimed with, and claim nothing by it', () => {
    const { claims, pass } = openClaims(10)
    expect(claims.held('a')).toBeUndefined()
    claims.claim('a', '1', 1000)
    expect(claims.held('a')).toBe('1')
    pass(1000)
    expect(claims.held('a')).toBeUndefined()
    expect(claims.claim('a', '2', 1000)).toBe('new')
  })

  it('are cleared away when they have ended, all of them', () => {
    const { claims, pass } = openClaims(100_000)
    for (let i = 0; i < 50_000; i++) claims.claim(`k${i}`, '1', 1000 + (i % 7) * 1000)
    expect(claims.size).toBe(50_000)
    pass(20_000)
    claims.claim('x', '1', 1000)
    expect(claims.size).toBe(1)
  })

  it('survive a key that is claimed anew in every slot', () => {
    const { claims, pass } = openClaims(2)
    for (let i = 0; i < 100; i++) {
      expect(claims.claim('a', String(i), 700)).toBe('new')
      pass(701)
    }
    pass(10_000)
    claims.claim('b', '1', 1000)
    expect(claims.size).toBe(1)
  })

  it('never grow beyond their room, whatever comes', () => {
    const { claims } = openClaims(10)
    for (let i = 0; i < 10_000; i++) claims.claim(`k${i}`, '1', 1000)
    expect(claims.size).toBe(10)
  })

  it('do as a plain list of claims does', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.constantFrom('1', '2'),
      ttl: fc.integer({ min: 1, max: 4000 }),
      wait: fc.integer({ min: 0, max: 3000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { claims, pass } = openClaims(100)
        const model = new Map<string, { value: string; ends: number }>()
        let now = 0
        for (const { key, value, ttl, wait } of steps) {
          pass(wait)
          now += wait
          const held = model.get(key)
          const expected =
            held === undefined || held.ends <= now ? 'new' : held.value === value ? 'same' : 'other'
          if (expected === 'new') model.set(key, { value, ends: now + ttl })
          expect(claims.claim(key, value, ttl)).toBe(expected)
        }
      }),
    )
  })

  it.each([0, -1, 1.5, NaN, Infinity])('refuse a capacity of %s', (capacity) => {
    expect(errorOf(() => openClaims(capacity)).issues).toEqual([
      { path: 'capacity', message: 'must be a whole number, at least 1' },
    ])
  })
})
