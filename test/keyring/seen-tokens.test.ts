import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createSeenTokens, GENERATION_MS } from '../../src/keyring/seen-tokens.ts'

const token = (i: number): Uint8Array => createHash('sha256').update(`token ${i}`).digest()

describe('seen tokens', () => {
  it('are new once', () => {
    const seen = createSeenTokens()
    expect([1, 2, 1, 2, 3].map((i) => seen.isNew(token(i)))).toEqual([true, true, false, false, true])
  })

  it('are known for one generation at least, and not longer than two', () => {
    const seen = createSeenTokens()
    seen.age(0)
    seen.age(GENERATION_MS - 1)
    expect(seen.isNew(token(1))).toBe(true)
    seen.age(GENERATION_MS)
    seen.age(2 * GENERATION_MS - 1)
    expect(seen.isNew(token(1))).toBe(false)
    seen.age(2 * GENERATION_MS)
    expect(seen.isNew(token(1))).toBe(true)
  })

  it('a token that repeats by itself is new again once a generation or two: a peer that sends nothing else is seen', () => {
    const seen = createSeenTokens()
    let news = 0
    for (let second = 0; second < 3600; second++) {
      seen.age(second * 1000)
      if (seen.isNew(token(1))) news++
    }
    expect(news).toBeGreaterThanOrEqual(3)
    expect(news).toBeLessThanOrEqual(6)
  })

  it('stay known when the clock steps backwards', () => {
    const seen = createSeenTokens()
    seen.age(10 * GENERATION_MS)
    seen.isNew(token(1))
    seen.age(0)
    seen.age(GENERATION_MS - 1)
    expect(seen.isNew(token(1))).toBe(false)
  })

  it('of half a million others few are taken for known ones, and none of theirs is forgotten by then', () => {
    const seen = createSeenTokens()
    seen.isNew(token(-1))
    let wrong = 0
    // Below the number at which a generation ends.
    for (let i = 0; i < 500_000; i++) {
      const bytes = Buffer.alloc(16)
      // A cheap mixing of i stands for a hash: half a million hashes are slow.
      for (let j = 0, x = i + 1; j < 4; j++) {
        x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d)
        x = Math.imul(x ^ (x >>> 12), 0x297a2d39)
        x ^= x >>> 15
        bytes.writeInt32LE(x | 0, j * 4)
      }
      if (!seen.isNew(bytes)) wrong++
    }
    expect(wrong).toBeLessThan(500_000 / 200)
    expect(seen.isNew(token(-1))).toBe(false)
  })

  it('are bounded: the oldest go when very many come', () => {
    const seen = createSeenTokens()
    seen.isNew(token(-1))
    const bytes = Buffer.alloc(16)
    for (let i = 0; i < 3 << 20; i++) {
      bytes.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, 0)
      bytes.writeUInt32LE(Math.imul(i + 7, 0x85ebca6b) >>> 0, 4)
      seen.isNew(bytes)
    }
    expect(seen.isNew(token(-1))).toBe(true)
  })
})
