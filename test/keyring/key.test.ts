import { inspect } from 'node:util'
import { createSecretKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/keyring/generate.ts'
import { createKey, type KeyInput } from '../../src/keyring/key.ts'
import { errorOf } from './error-of.ts'

const issuesOf = (input: KeyInput) => errorOf(() => createKey(input)).issues

describe('createKey', () => {
  it('takes bytes, text and key objects for the same secret', () => {
    const prints = ['clé', Buffer.from('clé'), createSecretKey(Buffer.from('clé'))].map(
      (secret) => createKey({ name: 'n', secret }).fingerprint,
    )
    expect(new Set(prints).size).toBe(1)
    expect(prints[0]).toMatch(/^[0-9a-f]{8}$/)
  })

  it('has a fingerprint that never changes between versions', () => {
    expect(createKey({ name: 'n', secret: 'secret' }).fingerprint).toBe('617b8c8f')
  })

  it('copies what it is given', () => {
    const secret = Buffer.from('secret')
    const expires = new Date('2030-01-01T00:00:00Z')
    const key = createKey({ name: 'n', secret, expires })
    secret.fill(0)
    expires.setTime(0)
    expect(key.secret.export().toString()).toBe('secret')
    expect(key.expires).toEqual(new Date('2030-01-01T00:00:00Z'))
    expect(Object.isFrozen(key)).toBe(true)
  })

  it('shows its secret nowhere', () => {
    const key = createKey({ name: 'n', secret: 'hunter2-hunter2' })
    expect(inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key)).not.toContain('hunter')
  })

  it('reports everything at once', () => {
    expect(errorOf(() => createKey({ name: '', secret: '' })).code).toBe('ERR_KEYRING_INVALID')
    const day = new Date('2026-01-01T00:00:00Z')
    expect(issuesOf({ name: '', secret: '', activeFrom: day, expires: day })).toEqual([
      { path: 'name', message: 'must not be empty' },
      { path: 'expires', message: 'must be later than active_from, or the key would never sign' },
      { path: 'secret', message: 'must not be empty' },
    ])
    expect(issuesOf({ name: 'a\nb', secret: 's', revoked: new Date(NaN) }).map(({ path }) => path)).toEqual([
      'name',
      'revoked',
    ])
  })
})

describe('generateSecret', () => {
  it('is text of 47 characters that needs quoting nowhere', () => {
    expect(generateSecret()).toMatch(/^xks_[A-Za-z0-9_-]{43}$/)
    expect(generateSecret()).not.toBe(generateSecret())
  })

  it('encodes 32 bytes of the source it is given', () => {
    expect(generateSecret((size) => new Uint8Array(size).fill(255))).toBe(
      `xks_${Buffer.alloc(32, 255).toString('base64url')}`,
    )
  })
})
