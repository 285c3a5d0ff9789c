import { describe, expect, it } from 'vitest'
import type { DigestAlgorithm } from '../../src/digest/algorithm.ts'
import { formatAuthenticationInfo } from '../../src/digest/authentication-info.ts'
import { formatChallenge, opaqueOf } from '../../src/digest/challenge.ts'
import { parseAuth } from '../../src/digest/header.ts'
import { compileOffers, lintOffers, type OfferOptions } from '../../src/digest/offer.ts'
import { errorOf } from '../keyring/error-of.ts'
import { paramsOf } from './client.ts'

const plain = { realm: 'example.org', nonce: 'n', opaque: 'o', qop: ['auth'], age: 'new' } as const

describe('a challenge', () => {
  it('of SHA-256', () => {
    expect(formatChallenge({ ...plain, algorithm: 'SHA-256' })).toBe(
      'Digest realm="example.org", nonce="n", opaque="o", algorithm=SHA-256, qop="auth", charset=UTF-8',
    )
  })

  it('of MD5 has nothing that RFC 2617 does not know, and names its algorithm', () => {
    expect(formatChallenge({ ...plain, algorithm: 'MD5' })).toBe(
      'Digest realm="example.org", nonce="n", opaque="o", algorithm=MD5, qop="auth"',
    )
  })

  it('says stale where the nonce was', () => {
    expect(paramsOf(formatChallenge({ ...plain, algorithm: 'MD5', age: 'stale' }))['stale']).toBe('true')
    expect(paramsOf(formatChallenge({ ...plain, algorithm: 'MD5' }))).not.toHaveProperty('stale')
  })

  it.each([
    [['auth'], 'auth'],
    [['auth-int'], 'auth-int'],
    [['auth', 'auth-int'], 'auth,auth-int'],
    [[], undefined],
  ] as const)('offers qop %j', (qop, expected) => {
    expect(paramsOf(formatChallenge({ ...plain, algorithm: 'MD5', qop }))['qop']).toBe(expected)
  })

  it('writes its realm in UTF-8', () => {
    const text = formatChallenge({ ...plain, algorithm: 'SHA-256', realm: 'münchen' })
    expect(Buffer.from(text, 'latin1').toString('utf8')).toContain('realm="münchen"')
  })

  it('can be read back', () => {
    expect(parseAuth(formatChallenge({ ...plain, algorithm: 'SHA-512-256' })).ok).toBe(true)
  })

  it('has the same opaque on every node, another in every realm', () => {
    expect(opaqueOf('a')).toBe(opaqueOf('a'))
    expect(opaqueOf('a')).not.toBe(opaqueOf('b'))
    expect(opaqueOf('a')).toMatch(/^[0-9a-f]{16}$/)
  })
})

describe('Authentication-Info', () => {
  const info = { rspauth: 'ab', qop: 'auth', nc: '00000001', cnonce: 'c' } as const
  it('is written', () => {
    expect(formatAuthenticationInfo(info)).toBe('qop=auth, rspauth="ab", cnonce="c", nc=00000001')
    expect(formatAuthenticationInfo({ ...info, nextnonce: 'n' })).toMatch(/^nextnonce="n", qop=auth/)
  })

  it('repeats a cnonce with its escapes', () => {
    const cnonce = String.raw`a\"b`
    expect(formatAuthenticationInfo({ ...info, cnonce })).toContain(String.raw`cnonce="a\"b"`)
  })
})

const algorithms = (options: OfferOptions, userAgent?: string, realm = 'r'): readonly DigestAlgorithm[] =>
  compileOffers(options)(realm, userAgent).algorithms

describe('offers', () => {
  it('have three algorithms and auth, unless told otherwise', () => {
    expect(compileOffers({})('r', undefined)).toEqual({
      algorithms: ['SHA-512-256', 'SHA-256', 'MD5'],
      qop: ['auth'],
    })
  })

  it('are strongest first, whatever the order that they are written in, and have each once', () => {
    expect(algorithms({ algorithms: ['MD5', 'SHA-256', 'MD5', 'SHA-512-256', 'MD5-sess'] })).toEqual([
      'SHA-512-256',
      'SHA-256',
      'MD5-sess',
      'MD5',
    ])
  })

  it('differ by realm', () => {
    const options: OfferOptions = {
      algorithms: ['SHA-256'],
      realms: {
        old: { algorithms: ['MD5'], qop: [] },
        other: { qop: ['auth-int'] },
        quirky: { algorithms: ['MD5', 'SHA-256'] },
      },
    }
    const offers = compileOffers(options)
    expect(offers('new', undefined)).toEqual({ algorithms: ['SHA-256'], qop: ['auth'] })
    expect(offers('old', undefined)).toEqual({ algorithms: ['MD5'], qop: [] })
    expect(offers('quirky', undefined).algorithms).toEqual(['MD5', 'SHA-256'])
    expect(offers('other', undefined)).toEqual({ algorithms: ['SHA-256'], qop: ['auth-int'] })
  })

  it('differ by device, in the order written there', () => {
    const options: OfferOptions = {
      algorithms: ['SHA-256', 'MD5'],
      quirks: [
        { userAgent: 'Asterisk PBX 18', algorithms: ['MD5', 'SHA-256'] },
        { userAgent: 'zoiper', algorithms: ['MD5'], qop: [] },
        { userAgent: 'old', qop: [] },
      ],
    }
    const offers = compileOffers(options)
    expect(offers('r', 'Asterisk PBX 18.5.1').algorithms).toEqual(['MD5', 'SHA-256'])
    expect(offers('r', 'ZOIPER v5')).toEqual({ algorithms: ['MD5'], qop: [] })
    expect(offers('r', 'an old telephone')).toEqual({ algorithms: ['SHA-256', 'MD5'], qop: [] })
    expect(offers('r', 'another')).toEqual({ algorithms: ['SHA-256', 'MD5'], qop: ['auth'] })
    expect(offers('r', undefined).algorithms).toEqual(['SHA-256', 'MD5'])
  })

  it('of a quirk must go with those of every realm', () => {
    const realms = { a: { algorithms: ['MD5-sess'] }, b: { qop: [] } } as const
    const at = (options: OfferOptions): readonly string[] =>
      errorOf(() => compileOffers({ realms, ...options })).issues.map(({ path }) => path)
    expect(at({ quirks: [{ userAgent: 'x', qop: [] }] })).toEqual(['quirks[0].qop'])
    expect(at({ quirks: [{ userAgent: 'x', algorithms: ['SHA-256-sess'] }] })).toEqual(['quirks[0].qop'])
  })

  it('are refused all at once where they are none', () => {
    const options = {
      algorithms: [],
      realms: { a: { algorithms: ['sha256'], qop: ['auth-conf'] } },
      quirks: [{ userAgent: '', algorithms: ['MD5-sess'], qop: [] }],
    } as unknown as OfferOptions
    const error = errorOf(() => compileOffers(options))
    expect(error.code).toBe('ERR_PIPELINE_INVALID')
    expect(error.issues).toEqual([
      { path: 'algorithms', message: 'is empty: nothing could be answered' },
      { path: 'realms.a.algorithms', message: '"sha256" is not known: did you mean SHA-256?' },
      { path: 'realms.a.qop', message: '"auth-conf" is neither auth nor auth-int' },
      { path: 'quirks[0].userAgent', message: 'is empty: it would fit every device' },
      { path: 'quirks[0].qop', message: 'must not be empty with MD5-sess' },
    ])
  })
})

describe('C3: doubtful offers', () => {
  it('are told: MD5 beside a stronger algorithm, and before it', () => {
    const issues = lintOffers({
      realms: { a: { algorithms: ['MD5', 'SHA-256'] }, b: { algorithms: ['MD5'] }, c: { qop: [] } },
      quirks: [
        { userAgent: 'x', algorithms: ['SHA-256', 'SHA-512-256'] },
        { userAgent: 'y', qop: [] },
      ],
    })
    expect(issues).toEqual([
      { path: 'algorithms', message: 'offers MD5 beside SHA-512-256: an attacker can take SHA-512-256 away' },
      { path: 'realms.a.algorithms', message: 'offers MD5 before SHA-256: most clients take the first' },
      {
        path: 'quirks[0].algorithms',
        message: 'offers SHA-256 before SHA-512-256: most clients take the first',
      },
    ])
  })

  it('are none where MD5 is alone, or not there', () => {
    expect(lintOffers({ algorithms: ['MD5'] })).toEqual([])
    expect(lintOffers({ algorithms: ['SHA-256', 'SHA-512-256'] })).toEqual([])
  })
})
