import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bindKeys, createMac } from '../../src/digest/keyed-mac.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { SECRETS } from '../support/signed-messages.ts'

const START = Date.parse('2026-11-21T12:00:00Z')
const key = (name: string, secret: string, more: { expires?: Date; activeFrom?: Date } = {}) =>
  createKey({ name, secret, ...more })
const ring = (...keys: readonly ReturnType<typeof createKey>[]): Keyring => createKeyring([['g', keys]])

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })

describe('a MAC', () => {
  it('is HMAC-SHA-256, of secrets and data of any length', () => {
    fc.assert(
      fc.property(
        bytes(200),
        fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 300, maxLength: 2000 })),
        fc.constantFrom('latin1', 'utf8'),
        bytes(80),
        (secret, text, encoding, tail) => {
          const wanted = createHmac('sha256', secret).update(text, encoding).update(tail).digest('binary')
          const mac = createMac(secret)
          expect(mac.digest(text, encoding, tail)).toBe(wanted)
          // Nothing of the data before is left in it.
          mac.digest('another', 'latin1')
          expect(mac.digest(text, encoding, tail)).toBe(wanted)
        },
      ),
    )
  })

  it('has forgotten its secret when it is told to', () => {
    const [one, other] = [createMac(Buffer.from('one')), createMac(Buffer.from('other'))]
    expect(one.digest('text', 'latin1')).not.toBe(other.digest('text', 'latin1'))
    one.forget()
    other.forget()
    expect(one.digest('text', 'latin1')).toBe(other.digest('text', 'latin1'))
  })
})

/** The keys that count, what was bound and what was forgotten. */
function open(source: () => Keyring) {
  const secrets: Uint8Array[] = []
  const forgotten: string[] = []
  const keysNow = bindKeys(source, 'g', (secret) => {
    const name = Buffer.from(secret).toString()
    secrets.push(secret)
    return { name, forget: () => void forgotten.push(name) }
  })
  return { keysNow, secrets, forgotten }
}

describe('the keys of a group', () => {
  it('are bound once, and their secrets wiped', () => {
    const both = ring(key('a', SECRETS.old), key('b', SECRETS.new))
    const { keysNow, secrets } = open(() => both)
    const { active, verifying } = keysNow(START)
    expect(verifying.map(({ name }) => name).toSorted()).toEqual([SECRETS.old, SECRETS.new].toSorted())
    expect(verifying).toContain(active)
    expect(keysNow(START + 1000).active).toBe(active)
    expect(secrets).toHaveLength(2)
    for (const secret of secrets) expect(secret.every((byte) => byte === 0)).toBe(true)
  })

  it('follow the keyring and the clock: those that count no more are forgotten', () => {
    const stays = key('b', SECRETS.new)
    let current = ring(key('a', SECRETS.old, { expires: new Date(START + 60_000) }), stays)
    const { keysNow, secrets, forgotten } = open(() => current)
    expect(keysNow(START).verifying).toHaveLength(2)
    expect(forgotten).toEqual([])
    expect(keysNow(START + 120_000).verifying.map(({ name }) => name)).toEqual([SECRETS.new])
    expect(forgotten).toEqual([SECRETS.old])
    current = ring(stays, key('c', SECRETS.other))
    expect(keysNow(START + 120_000).verifying).toHaveLength(2)
    // The one that stays was not bound again.
    expect(secrets).toHaveLength(3)
    current = ring(key('c', SECRETS.other))
    expect(keysNow(START + 120_000).verifying.map(({ name }) => name)).toEqual([SECRETS.other])
    expect(forgotten).toContain(SECRETS.new)
  })
})
