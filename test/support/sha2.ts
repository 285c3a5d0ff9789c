import { createHash } from 'node:crypto'

/**
 * SHA-256 and SHA-512 (FIPS 180-4) that go on from a digest: what a length extension needs and node:crypto does not offer.
 */
interface Variant {
  readonly word: 32 | 64
  readonly rounds: number
  /** Rotations of Σ0, Σ1, then rotations of σ0, σ1 of which the last one shifts. */
  readonly turns: readonly (readonly [number, number, number])[]
}

const VARIANTS: Readonly<Record<'sha256' | 'sha512', Variant>> = {
  sha256: {
    word: 32,
    rounds: 64,
    turns: [
      [2, 13, 22],
      [6, 11, 25],
      [7, 18, 3],
      [17, 19, 10],
    ],
  },
  sha512: {
    word: 64,
    rounds: 80,
    turns: [
      [28, 34, 39],
      [14, 18, 41],
      [1, 8, 7],
      [19, 61, 6],
    ],
  },
}

/** The first bits of the fractions of the cube roots of the first primes. */
function constants({ word, rounds }: Variant): bigint[] {
  const found: bigint[] = []
  for (let n = 2n; found.length < rounds; n++) {
    let prime = true
    for (let d = 2n; d * d <= n; d++) if (n % d === 0n) prime = false
    if (prime) found.push(cubeRoot(n << BigInt(3 * word)) & mask(word))
  }
  return found
}

function cubeRoot(n: bigint): bigint {
  let low = 0n
  let high = 1n << 70n
  while (low < high) {
    const middle = (low + high + 1n) / 2n
    if (middle ** 3n <= n) low = middle
    else high = middle - 1n
  }
  return low
}

const mask = (word: number): bigint => (1n << BigInt(word)) - 1n

/** The padding behind `length` bytes: 0x80, zeros, the length in bits. */
export function padding(name: 'sha256' | 'sha512', length: number): Buffer {
  const block = VARIANTS[name].word * 2
  const size = block / 8
  const zeros = (2 * block - ((length + 1 + size) % block)) % block
  const bits = Buffer.alloc(size)
  bits.writeBigUInt64BE(BigInt(length) * 8n, size - 8)
  return Buffer.concat([Buffer.from([0x80]), Buffer.alloc(zeros), bits])
}

/** The digest of a text that begins with `hashed` bytes whose digest is known, padding included, and goes on with `more`. */
export function extend(name: 'sha256' | 'sha512', digest: Buffer, hashed: number, more: Buffer): Buffer {
  const variant = VARIANTS[name]
  const { word, rounds, turns } = variant
  const k = constants(variant)
  const all = mask(word)
  const size = word / 8
  const block = word * 2
  const rotate = (x: bigint, by: number): bigint => ((x >> BigInt(by)) | (x << BigInt(word - by))) & all
  const large = (x: bigint, [a, b, c]: readonly [number, number, number]): bigint =>
    rotate(x, a) ^ rotate(x, b) ^ rotate(x, c)
  const small = (x: bigint, [a, b, c]: readonly [number, number, number]): bigint =>
    rotate(x, a) ^ rotate(x, b) ^ (x >> BigInt(c))
  const read = (bytes: Buffer, at: number): bigint => BigInt(`0x${bytes.toString('hex', at, at + size)}`)

  const text = Buffer.concat([more, padding(name, hashed + more.length)])
  let state = Array.from({ length: 8 }, (_, i) => read(digest, i * size))
  for (let at = 0; at < text.length; at += block) {
    const w = Array.from({ length: 16 }, (_, i) => read(text, at + i * size))
    for (let i = 16; i < rounds; i++) {
      w.push((small(w[i - 2]!, turns[3]!) + w[i - 7]! + small(w[i - 15]!, turns[2]!) + w[i - 16]!) & all)
    }
    let [a, b, c, d, e, f, g, h] = state as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint]
    for (let i = 0; i < rounds; i++) {
      const first = h + large(e, turns[1]!) + ((e & f) ^ (~e & all & g)) + k[i]! + w[i]!
      const second = large(a, turns[0]!) + ((a & b) ^ (a & c) ^ (b & c))
      h = g
      g = f
      f = e
      e = (d + first) & all
      d = c
      c = b
      b = a
      a = (first + second) & all
    }
    state = [a, b, c, d, e, f, g, h].map((value, i) => (value + state[i]!) & all)
  }
  return Buffer.from(state.map((value) => value.toString(16).padStart(size * 2, '0')).join(''), 'hex')
}

/** The digest by node:crypto, to check the above against. */
export const digestOf = (name: 'sha256' | 'sha512', ...pieces: readonly (string | Buffer)[]): Buffer =>
  pieces.reduce((hash, piece) => hash.update(piece), createHash(name)).digest()
