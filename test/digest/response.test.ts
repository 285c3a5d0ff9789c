import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DIGEST_SPECS, type DigestAlgorithm } from '../../src/digest/algorithm.ts'
import {
  computeHa1,
  computeResponse,
  computeRspauth,
  computeUserhash,
  equalResponse,
  type ResponseInput,
} from '../../src/digest/response.ts'
import { hashOf } from './client.ts'

/** An example that somebody else published. */
interface Example extends Omit<ResponseInput, 'ha1'> {
  readonly username: string
  readonly realm: string
  readonly password: string
}

const RFC7616: Omit<Example, 'algorithm'> = {
  username: 'Mufasa',
  realm: 'http-auth@example.org',
  password: 'Circle of Life',
  method: 'GET',
  uri: '/dir/index.html',
  nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
  cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  nc: '00000001',
  qop: 'auth',
}

const EXAMPLES: readonly (readonly [string, Example, string])[] = [
  ['RFC 7616 section 3.9.1, MD5', { ...RFC7616, algorithm: 'MD5' }, '8ca523f5e9506fed4657c9700eebdbec'],
  [
    'RFC 7616 section 3.9.1, SHA-256',
    { ...RFC7616, algorithm: 'SHA-256' },
    '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
  ],
  [
    'RFC 7616 section 3.9.2 as corrected by erratum 4897',
    {
      algorithm: 'SHA-512-256',
      username: 'Jäsøn Doe',
      realm: 'api@example.org',
      password: 'Secret, or not?',
      method: 'GET',
      uri: '/doe.json',
      nonce: '5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK',
      cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
      nc: '00000001',
      qop: 'auth',
    },
    '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
  ],
  [
    'RFC 2617 section 3.5',
    {
      algorithm: 'MD5',
      username: 'Mufasa',
      realm: 'testrealm@host.com',
      password: 'Circle Of Life',
      method: 'GET',
      uri: '/dir/index.html',
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      cnonce: '0a4f113b',
      nc: '00000001',
      qop: 'auth',
    },
    '6629fae49393a05397450978507c4ef1',
  ],
  [
    'a registration that an HTTP hook is documented with',
    {
      algorithm: 'MD5',
      username: 'john',
      realm: 'jambonz.org',
      password: '1234',
      method: 'REGISTER',
      uri: 'sip:172.37.0.10:5060',
      nonce: '157590482938000',
      cnonce: '6b8b4567',
      nc: '00000001',
      qop: 'auth',
    },
    'be641cf7951ff23ab04c57907d59f37d',
  ],
]

function responseOf({ username, realm, password, ...rest }: Example): string {
  const hash = rest.algorithm.replace('-sess', '') as 'MD5'
  return computeResponse({ ...rest, ha1: computeHa1(hash, username, realm, password) })
}

describe('known answers', () => {
  it.each(EXAMPLES)('%s', (_, example, response) => {
    expect(responseOf(example)).toBe(response)
  })

  it('userhash of RFC 7616 section 3.9.2', () => {
    expect(computeUserhash('SHA-512-256', 'Jäsøn Doe', 'api@example.org')).toBe(
      '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
    )
  })

  it.each([
    ['password', '1b0c9cc5738bbc3997b7a7a9f330017697df6953961d48085fba88c2efc6e1d8'],
    ['1234', '8be01ad9dc03ef2a610bf13c7e307e78dd72c973ad365eb2b128505f8dbeaa74'],
  ])('HA1 of bob:localhost:%s', (password, ha1) => {
    expect(computeHa1('SHA-256', 'bob', 'localhost', password).toString('hex')).toBe(ha1)
  })
})

describe('the response', () => {
  const text = fc.string({ unit: 'binary-ascii', maxLength: 30 })
  const cases = fc.record({
    algorithm: fc.constantFrom(...DIGEST_SPECS.map(({ name }) => name)),
    qop: fc.constantFrom('auth' as const, 'auth-int' as const, undefined),
    method: fc.constantFrom('REGISTER', 'INVITE', 'x'),
    uri: text,
    nonce: text,
    cnonce: text,
    nc: fc.constantFrom('00000001', 'ffffffff'),
    body: fc.uint8Array({ maxLength: 40 }),
    ha1: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  })

  it('is what the formulas of RFC 7616 say, of every algorithm and qop', () => {
    fc.assert(
      fc.property(cases, (given) => {
        const { algorithm, qop, method, uri, nonce, cnonce, nc, body } = given
        const ha1 = Buffer.from(given.ha1.subarray(0, algorithm.startsWith('MD5') ? 16 : 32))
        const h = (value: string): string => hashOf(algorithm, value)
        const plain = ha1.toString('hex')
        const a1 = algorithm.endsWith('-sess') ? h(`${plain}:${nonce}:${cnonce}`) : plain
        const entity = qop === 'auth-int' ? `:${hashOf(algorithm, body)}` : ''
        const over = (a2: string): string =>
          h(qop === undefined ? `${a1}:${nonce}:${h(a2)}` : `${a1}:${nonce}:${nc}:${cnonce}:${qop}:${h(a2)}`)
        const input = { algorithm, ha1, method, uri, nonce, cnonce, nc, qop, body }
        expect(computeResponse(input)).toBe(over(`${method}:${uri}${entity}`))
        expect(computeRspauth(input)).toBe(over(`:${uri}${entity}`))
      }),
    )
  })

  it('hashes the bytes of a body, whatever they are', () => {
    const body = Buffer.from([0, 255, 13, 10, 0xc3, 0x28])
    const input = { ...RFC7616, algorithm: 'SHA-256' as DigestAlgorithm, qop: 'auth-int' as const, body }
    const other = { ...input, body: Buffer.from([0, 255, 13, 10, 0xc3, 0x29]) }
    expect(responseOf(input)).not.toBe(responseOf(other))
  })

  it('leaves the HA1 that it is given as it was', () => {
    const ha1 = createHash('md5').update('x').digest()
    const before = ha1.toString('hex')
    computeResponse({ algorithm: 'MD5', ha1, method: 'A', uri: 'b', nonce: 'c' })
    expect(ha1.toString('hex')).toBe(before)
  })
})

describe('comparing', () => {
  const hex = '8ca523f5e9506fed4657c9700eebdbec'

  it('takes hex of either case', () => {
    expect(equalResponse(hex, hex)).toBe(true)
    expect(equalResponse(hex, hex.toUpperCase())).toBe(true)
  })

  it.each([
    ['one digit off', `0${hex.slice(1)}`],
    ['the last digit off', `${hex.slice(0, -1)}0`],
    ['too short', hex.slice(2)],
    ['too long', `${hex}00`],
    ['no hex', 'z'.repeat(32)],
    ['hex that breaks off', `${hex.slice(0, 20)}zzzzzzzzzzzz`],
    ['empty', ''],
  ])('refuses %s', (_, given) => {
    expect(equalResponse(hex, given)).toBe(false)
  })
})
