import { createHash, createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  ALGORITHMS,
  DATA_START,
  createWorkBuffer,
  keyedHash,
  wipe,
  type XkeyAlgorithm,
} from '../../src/xkeys/algorithm.ts'

function digest(
  algorithm: XkeyAlgorithm,
  secret: string | Buffer,
  data: string | Buffer,
  encoding: 'hex' | 'base64url' | 'binary' = 'hex',
  work = createWorkBuffer(8192),
): string {
  const bytes = Buffer.from(data as string, 'latin1')
  bytes.copy(work.bytes, DATA_START)
  const hash = keyedHash(ALGORITHMS.get(algorithm)!, Buffer.from(secret as string, 'latin1'))
  return hash(work, DATA_START + bytes.length, encoding)
}

/** RFC 4231 §4.2–4.8: key, data, and the digests of SHA-256, SHA-384, SHA-512. */
const RFC_4231: readonly (readonly [title: string, key: string, data: string, ...digests: string[]])[] = [
  [
    'test case 1',
    '0b'.repeat(20),
    '4869205468657265',
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6',
    '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854',
  ],
  [
    'test case 2: a key shorter than the output',
    '4a656665',
    '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
    '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
  ],
  [
    'test case 3: key and data longer than 64 bytes together',
    'aa'.repeat(20),
    'dd'.repeat(50),
    '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    '88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27',
    'fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb',
  ],
  [
    'test case 4',
    '0102030405060708090a0b0c0d0e0f10111213141516171819',
    'cd'.repeat(50),
    '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    '3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb',
    'b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd',
  ],
  [
    'test case 6: a key longer than a block',
    'aa'.repeat(131),
    '54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374',
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    '4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952',
    '80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598',
  ],
  [
    'test case 7: key and data longer than a block',
    'aa'.repeat(131),
    '5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b657920616e642061206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520686173686564206265666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e',
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
    '6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e',
    'e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58',
  ],
]

describe('HMAC', () => {
  const rows = RFC_4231.flatMap(([title, key, data, ...digests]) =>
    (['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const).map((algorithm, i) => ({
      title,
      algorithm,
      key: Buffer.from(key, 'hex'),
      data: Buffer.from(data, 'hex'),
      expected: digests[i]!,
    })),
  )

  it.each(rows)('RFC 4231 $title, $algorithm', ({ algorithm, key, data, expected }) => {
    expect(digest(algorithm, key, data)).toBe(expected)
  })

  it('RFC 4231 test case 5, cut to 128 bits there', () => {
    const key = Buffer.alloc(20, 0x0c)
    const cut = (algorithm: XkeyAlgorithm): string =>
      digest(algorithm, key, 'Test With Truncation').slice(0, 32)
    expect(cut('hmac-sha256')).toBe('a3b6167473100ee06e0c796c2955552b')
    expect(cut('hmac-sha384')).toBe('3abf34c3503b2a23a46efc619baef897')
    expect(cut('hmac-sha512')).toBe('415fad6271580a531d4179bc891d87a6')
  })

  it('the known answer of both encodings', () => {
    expect(digest('hmac-sha256', 'secretkey', 'teststring')).toBe(
      '5fe919db4e1076f03f81da813f7ab003966a1759ce0373c37f55591ec61ba908',
    )
    expect(digest('hmac-sha256', 'secretkey', 'teststring', 'base64url')).toBe(
      'X-kZ204QdvA_gdqBP3qwA5ZqF1nOA3PDf1VZHsYbqQg',
    )
  })
})

describe('the prefix hash of Kamailio', () => {
  it('the known answer', () => {
    expect(digest('sha256', 'secret2', 'hello')).toBe(
      '082dcb33bf1e2256ae9ad0cfe8afae9f35adbfa46789644a550e9af8f5ab6d53',
    )
  })

  it('T12: is no HMAC, and no HMAC is it', () => {
    for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
      const prefix = createHash(hash).update('secret:data').digest('hex')
      expect(digest(hash, 'secret', 'data')).toBe(prefix)
      expect(digest(`hmac-${hash}`, 'secret', 'data')).not.toBe(prefix)
    }
  })
})

describe('both families, for every length of secret and data around the blocks', () => {
  const work = createWorkBuffer(8192)
  const lengths = [1, 2, 63, 64, 65, 110, 111, 112, 126, 127, 128, 129, 200, 4000]

  it.each([...ALGORITHMS.values()])('$name equals node:crypto', ({ name, family, hash }) => {
    for (const secretLength of lengths) {
      const secret = randomBytes(secretLength)
      for (const dataLength of [0, ...lengths]) {
        const data = randomBytes(dataLength)
        const expected =
          family === 'hmac'
            ? createHmac(hash, secret).update(data).digest()
            : createHash(hash).update(secret).update(':').update(data).digest()
        expect(digest(name, secret, data, 'hex', work)).toBe(expected.toString('hex'))
        expect(digest(name, secret, data, 'base64url', work)).toBe(expected.toString('base64url'))
        expect(digest(name, secret, data, 'binary', work)).toBe(expected.toString('latin1'))
      }
    }
  })

  it('one buffer serves many keys in turn', () => {
    const keys = ['a', 'b', 'c'.repeat(100)].flatMap((secret) =>
      [...ALGORITHMS.values()].map((spec) => [spec, secret, keyedHash(spec, Buffer.from(secret))] as const),
    )
    Buffer.from('data').copy(work.bytes, DATA_START)
    for (let round = 0; round < 3; round++) {
      for (const [spec, secret, hash] of keys.toReversed()) {
        expect(hash(work, DATA_START + 4, 'hex')).toBe(digest(spec.name, secret, 'data'))
      }
    }
  })

  it('T20: a wiped buffer holds nothing of the secret, and works on', () => {
    for (const spec of ALGORITHMS.values()) {
      const secret = 's'.repeat(40)
      const hash = keyedHash(spec, Buffer.from(secret))
      Buffer.from('data').copy(work.bytes, DATA_START)
      const before = hash(work, DATA_START + 4, 'hex')
      wipe(work)
      expect(work.bytes.subarray(0, DATA_START).every((byte) => byte === 0)).toBe(true)
      expect(hash(work, DATA_START + 4, 'hex')).toBe(before)
    }
  })
})
