import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../../src/xkeys/algorithm.ts'
import { createTokenScratch, decodeToken, equalToken } from '../../src/xkeys/token.ts'

const DIGESTS = {
  sha256: createHash('sha256').update('x').digest(),
  sha384: createHash('sha384').update('x').digest(),
  sha512: createHash('sha512').update('x').digest(),
}

/** The digest that `text` is decoded to; null where it is refused. */
function decode(text: string, algorithm = 'hmac-sha256'): Buffer | null {
  const spec = ALGORITHMS.get(algorithm)!
  const bytes = Buffer.from(`0${text}0`, 'latin1')
  const out = createTokenScratch()
  return decodeToken(bytes, 1, bytes.length - 1, spec, out) ? Buffer.from(out.subarray(0, spec.size)) : null
}

describe.each([...ALGORITHMS.values()])('tokens of $name', ({ name, hash, size }) => {
  const digest = DIGESTS[hash]
  const hex = digest.toString('hex')
  const base64url = digest.toString('base64url')

  it.each([
    ['lower-case hex', hex],
    ['upper-case hex', hex.toUpperCase()],
    ['mixed hex', hex.replace(/[a-f]/, (digit) => digit.toUpperCase())],
    ['white space and folds around it', ` \t\r\n ${hex}\t \r\n `],
  ])('%s is one', (_what, text) => {
    expect(decode(text, name)).toEqual(digest)
  })

  it.each([
    ['nothing', ''],
    ['white space', ' \t '],
    ['one digit less', hex.slice(1)],
    ['one digit more', `${hex}0`],
    ['two digits more', `${hex}00`],
    ['a byte that is no digit', `${hex.slice(1)}g`],
    ['a digit of Unicode', `${hex.slice(1)}\xb2`],
    ['a space inside', `${hex.slice(0, 10)} ${hex.slice(11)}`],
    ['a fold inside', `${hex.slice(0, 10)}\r\n ${hex.slice(13)}`],
    ['a NUL behind', `${hex}\0`],
    ['VT around', `\v${hex}`],
    ['quotes', `"${hex}"`],
    ['angle brackets', `<${hex}>`],
    ['a prefix 0x', `0x${hex.slice(2)}`],
    ['a parameter', `${hex};x`],
    ['a list', `${hex},${hex}`],
    ['another algorithm, half', hex.slice(0, size)],
    ['another algorithm, double', hex + hex],
    ['padded base64url', `${base64url}=`],
    ['plain base64', '+/'.repeat(size).slice(0, base64url.length)],
  ])('%s is none', (_what, text) => {
    expect(decode(text, name)).toBeNull()
  })
})

const ofFamily = (family: 'sha' | 'hmac') =>
  [...ALGORITHMS.values()]
    .filter((spec) => spec.family === family)
    .map(({ name, hash }) => ({
      name,
      digest: DIGESTS[hash],
      base64url: DIGESTS[hash].toString('base64url'),
    }))

describe.each(ofFamily('hmac'))('base64url tokens of $name', ({ name, digest, base64url }) => {
  it('unpadded base64url is one', () => {
    expect(decode(base64url, name)).toEqual(digest)
    expect(decode(`\r\n ${base64url} `, name)).toEqual(digest)
  })

  it('base64url is canonical: of the last characters that decode alike, one is taken', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const taken = [...alphabet].filter((last) => decode(base64url.slice(0, -1) + last, name) !== null)
    const same = taken.filter((last) => decode(base64url.slice(0, -1) + last, name)!.equals(digest))
    expect(same).toEqual([base64url.at(-1)])
    expect(taken).toHaveLength({ 43: 16, 64: 64, 86: 4 }[base64url.length]!)
  })

  it.each(['+', '/', '=', ' ', '.', '\xc3', '\0'])('%j is no character of base64url', (char) => {
    expect(decode(base64url.slice(0, 5) + char + base64url.slice(6), name)).toBeNull()
  })
})

describe.each(ofFamily('sha'))('base64url tokens of $name', ({ name, base64url }) => {
  it('base64url is none, as in Kamailio', () => {
    expect(decode(base64url, name)).toBeNull()
  })
})

describe('T13: comparing', () => {
  const digest = DIGESTS.sha512.toString('latin1')

  it('finds one flipped bit anywhere', () => {
    const token = Uint8Array.from(DIGESTS.sha512)
    expect(equalToken(digest, token, 64)).toBe(true)
    for (let bit = 0; bit < 512; bit++) {
      token[bit >> 3]! ^= 1 << (bit & 7)
      expect(equalToken(digest, token, 64)).toBe(false)
      token[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  it('compares the length of the algorithm and no more', () => {
    const token = Uint8Array.from(DIGESTS.sha512)
    token[32]! ^= 1
    expect(equalToken(digest, token, 32)).toBe(true)
    expect(equalToken(digest, token, 33)).toBe(false)
  })

  it('reads every byte, wherever the first difference is', () => {
    for (const differs of [0, 31, 63]) {
      const token = Uint8Array.from(DIGESTS.sha512)
      token[differs]! ^= 1
      const read: number[] = []
      const watched = new Proxy(token, {
        get(target, at) {
          read.push(Number(at))
          return Reflect.get(target, at) as number
        },
      })
      expect(equalToken(digest, watched, 64)).toBe(false)
      expect(read).toEqual(Array.from({ length: 64 }, (_, i) => i))
    }
  })
})
