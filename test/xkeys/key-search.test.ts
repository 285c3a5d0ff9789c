import { beforeEach, describe, expect, it, vi } from 'vitest'

const counted = vi.hoisted(() => ({ hashes: 0 }))

vi.mock('node:crypto', async (load) => {
  const crypto = await load<typeof import('node:crypto')>()
  return {
    ...crypto,
    hash: (...parameters: Parameters<typeof crypto.hash>) => {
      counted.hashes++
      return crypto.hash(...parameters)
    },
  }
})

const { createVerifier } = await import('../../src/xkeys/verify.ts')
const { bytesOf, contextOf } = await import('../support/messages.ts')
const { NOON, agree, later, ringOf, signedBytes } = await import('../support/parties.ts')

const MESSAGE = bytesOf()
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `key-${i}`)
const by = (secret: string): Buffer => signedBytes(MESSAGE, { ring: ringOf([secret]) })

/** A verifier of `keys`, and how many keys it tries for a message signed with one of them. */
function trier(keys: readonly string[], clock = { now: NOON }) {
  const verifier = createVerifier({ agreement: agree(), keyring: ringOf(keys), now: () => clock.now })
  return (secret: string, address = '192.0.2.1'): number | 'refused' => {
    const context = contextOf(by(secret), { source: { address, port: 5060 } })
    counted.hashes = 0
    const result = verifier.verify(context)
    // An HMAC is two hashes.
    return result.ok ? counted.hashes / 2 : counted.hashes === keys.length * 2 ? 'refused' : Number.NaN
  }
}

beforeEach(() => {
  counted.hashes = 0
})

describe('T13: which keys are tried', () => {
  it('newest first, as Kamailio does', () => {
    for (const [i, name] of names(5).entries()) expect(trier(names(5))(name)).toBe(5 - i)
  })

  it('the one that a source used last comes first', () => {
    const tries = trier(names(5))
    expect([tries('key-0'), tries('key-0'), tries('key-0')]).toEqual([5, 1, 1])
    // The remembered one, then the others without it.
    expect([tries('key-1'), tries('key-1')]).toEqual([5, 1])
    expect([tries('key-4'), tries('key-4')]).toEqual([2, 1])
  })

  it('of each source apart', () => {
    const tries = trier(names(5))
    expect([tries('key-0', '192.0.2.1'), tries('key-1', '192.0.2.2')]).toEqual([5, 4])
    expect([tries('key-0', '192.0.2.1'), tries('key-1', '192.0.2.2')]).toEqual([1, 1])
    expect(tries('key-2', '192.0.2.3')).toBe(3)
  })

  it('all of them before a refusal, each once', () => {
    const tries = trier(names(5))
    expect(tries('nobody')).toBe('refused')
    expect(tries('key-0')).toBe(5)
    expect(tries('nobody')).toBe('refused')
    expect(tries('key-0')).toBe(1)
  })

  it('a forged token makes nothing remembered', () => {
    const tries = trier(names(3))
    for (let i = 0; i < 2000; i++) tries('nobody', `10.0.${i >> 8}.${i & 255}`)
    expect(tries('key-2')).toBe(1)
    expect(tries('key-0')).toBe(3)
  })

  it('none before the message is known to bear a token of the right form', () => {
    const verifier = createVerifier({ agreement: agree(), keyring: ringOf(), now: () => NOON })
    counted.hashes = 0
    verifier.verify(contextOf(MESSAGE))
    verifier.verify(contextOf(bytesOf({ add: ['X-Auth: zz'] })))
    expect(counted.hashes).toBe(0)
  })

  it('1000 of them, where the limit was raised', () => {
    const tries = trier(names(1000))
    expect(tries('key-999')).toBe(1)
    expect(tries('key-0')).toBe(1000)
    expect(tries('key-0')).toBe(1)
    expect(tries('nobody')).toBe('refused')
  })

  it('T19: a remembered key that has ended since is not tried', () => {
    const ring = ringOf([
      { name: 'a', secret: 'a', expires: later(1000) },
      { name: 'b', secret: 'b' },
      { name: 'c', secret: 'c' },
    ])
    let now = NOON
    const verifier = createVerifier({ agreement: agree(), keyring: ring, now: () => now })
    const context = contextOf(by('a'))
    expect(verifier.verify(context).ok).toBe(true)
    now = later(1000)
    counted.hashes = 0
    expect(verifier.verify(context)).toEqual({ ok: false, reason: 'token-mismatch' })
    expect(counted.hashes).toBe(4)
  })
})
