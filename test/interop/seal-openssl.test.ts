import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { createKek, sealMac, sealSecret, type SealPlace } from '../../src/keyring/seal-crypto.ts'
import { describePeers, programPath } from '../support/peers.ts'

const BYTES = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 11) & 255))
const kek = createKek(BYTES)
const place: SealPlace = { keyring: 'main', group: 'Trunk-A', key: '2026-q4' }

function openssl(args: readonly string[], input: Buffer = Buffer.alloc(0)): Buffer {
  return execFileSync(programPath('openssl'), args, { input })
}

const hkdf = (info: string, length: number): Buffer =>
  openssl([
    'kdf',
    '-binary',
    '-keylen',
    String(length),
    ...['digest:SHA2-256', `hexkey:${BYTES.toString('hex')}`, `info:${info}`].flatMap((text) => [
      '-kdfopt',
      text,
    ]),
    'HKDF',
  ])

const prefixed = (field: string): Buffer =>
  Buffer.concat([Buffer.of(0, 0, 0, Buffer.byteLength(field)), Buffer.from(field)])

// ── GCM (NIST SP 800-38D) over openssl's AES alone: its command line has no AES-GCM ──

const KEY = ['-nopad', '-K', BYTES.toString('hex')]
const aes = (block: Buffer): Buffer => openssl(['enc', '-aes-256-ecb', ...KEY], block)
const ctr = (counter: Buffer, data: Buffer): Buffer =>
  openssl(['enc', '-aes-256-ctr', ...KEY, '-iv', counter.toString('hex')], data)

const numberOf = (block: Buffer): bigint => BigInt(`0x${block.toString('hex')}`)

/** Multiplication in GF(2^128), bit by bit as in section 6.3. */
function multiply(x: bigint, y: bigint): bigint {
  let [z, v] = [0n, y]
  for (let i = 127n; i >= 0n; i--) {
    if ((x >> i) & 1n) z ^= v
    v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n
  }
  return z
}

const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((16 - (bytes.length % 16)) % 16)])

function tagOf(iv: Buffer, data: Buffer, ciphertext: Buffer): Buffer {
  const lengths = Buffer.alloc(16)
  lengths.writeBigUInt64BE(BigInt(data.length * 8), 0)
  lengths.writeBigUInt64BE(BigInt(ciphertext.length * 8), 8)
  const blocks = Buffer.concat([padded(data), padded(ciphertext), lengths])
  const h = numberOf(aes(Buffer.alloc(16)))
  let hash = 0n
  for (let at = 0; at < blocks.length; at += 16) {
    hash = multiply(hash ^ numberOf(blocks.subarray(at, at + 16)), h)
  }
  const mask = numberOf(aes(Buffer.concat([iv, Buffer.of(0, 0, 0, 1)])))
  return Buffer.from((hash ^ mask).toString(16).padStart(32, '0'), 'hex')
}

describePeers('openssl computes the same seal', ['openssl'], () => {
  it('the id of a KEK', () => {
    expect(kek.id).toBe(hkdf('auth-xkeys kek id v1', 8).toString('hex'))
  })

  it.each([1, 16, 47, 100])('a secret of %i bytes', (length) => {
    const secret = Buffer.from(Array.from({ length }, (_, i) => (i * 73) & 255))
    const bytes = Buffer.from(sealSecret(kek, place, secret).slice(3), 'base64url')
    const [iv, ciphertext, tag] = [bytes.subarray(0, 12), bytes.subarray(12, -16), bytes.subarray(-16)]
    expect(ctr(Buffer.concat([iv, Buffer.of(0, 0, 0, 2)]), ciphertext)).toEqual(secret)
    const fields = ['auth-xkeys sealed secret v1', 'main', 'trunk-a', '2026-q4', kek.id]
    expect(tag).toEqual(tagOf(iv, Buffer.concat(fields.map(prefixed)), ciphertext))
  })

  it('the MAC', () => {
    const keys = [{ name: 'k', sealed: 'v1.x', expires: new Date('2027-01-01T00:00:00Z') }]
    const fields = ['auth-xkeys sealed keyring v1', 'main', kek.id, '7', '1']
    const rest = ['g', '1', 'k', 'v1.x', '', '2027-01-01T00:00:00.000Z', '']
    const macKey = hkdf('auth-xkeys kek mac v1', 32).toString('hex')
    const mac = openssl(
      ['dgst', '-sha256', '-binary', '-mac', 'HMAC', '-macopt', `hexkey:${macKey}`],
      Buffer.concat([...fields, ...rest].map(prefixed)),
    )
    expect(sealMac(kek, { keyring: 'main', revision: 7, groups: [{ id: 'g', keys }] })).toBe(
      mac.toString('base64url'),
    )
  })
})
