import { webcrypto } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  createKek,
  isSealMac,
  openSecret,
  sealMac,
  sealSecret,
  type SealedContent,
  type SealPlace,
} from '../../src/keyring/seal-crypto.ts'

const BYTES = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7 + 1))
const kek = createKek(BYTES)
const place: SealPlace = { keyring: 'main', group: 'Trunk-A', key: '2026-q4' }
const secret = Buffer.from('xks_pQ4vZr8sTn1wHk6yLb3xJd9fGm2cVa7eUoWiNqRtYuS')
const { subtle } = webcrypto

// ── the format again, written from docs/sealed.md, over another implementation of the algorithms ──

const lengthPrefixed = (...fields: readonly string[]): Buffer =>
  Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field)
      return [Buffer.of(0, 0, bytes.length >> 8, bytes.length & 255), bytes]
    }),
  )

async function hkdf(bytes: Uint8Array, info: string, length: number): Promise<Buffer> {
  const key = await subtle.importKey('raw', bytes, 'HKDF', false, ['deriveBits'])
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: Buffer.alloc(0), info: Buffer.from(info) }
  return Buffer.from(await subtle.deriveBits(algorithm, key, length * 8))
}

const associatedData = ({ keyring, group, key }: SealPlace, id: string): Buffer =>
  lengthPrefixed('auth-xkeys sealed secret v1', keyring, group.toLowerCase(), key, id)

const aesKey = () => subtle.importKey('raw', BYTES, 'AES-GCM', false, ['encrypt', 'decrypt'])
const gcm = (iv: Uint8Array) => ({ name: 'AES-GCM', iv, additionalData: associatedData(place, kek.id) })

const content: SealedContent = {
  keyring: 'main',
  revision: 12,
  groups: [
    {
      id: 'Trunk-A',
      keys: [
        { name: '2026-q4', sealed: 'v1.a', activeFrom: new Date('2026-10-01T00:00:00Z') },
        { name: '2027-q1', sealed: 'v1.b', expires: new Date('2027-04-01T00:00:00Z'), revoked: new Date(0) },
      ],
    },
    { id: 'clé', keys: [{ name: 'only', sealed: 'v1.c' }] },
  ],
}
const CANONICAL = [
  ['auth-xkeys sealed keyring v1', 'main', kek.id, '12', '2'],
  ['Trunk-A', '2'],
  ['2026-q4', 'v1.a', '2026-10-01T00:00:00.000Z', '', ''],
  ['2027-q1', 'v1.b', '', '2027-04-01T00:00:00.000Z', '1970-01-01T00:00:00.000Z'],
  ['clé', '1'],
  ['only', 'v1.c', '', '', ''],
].flat()

describe('the format, computed by a second implementation', () => {
  it('the id of a KEK', async () => {
    expect(kek.id).toBe((await hkdf(BYTES, 'auth-xkeys kek id v1', 8)).toString('hex'))
  })

  it('what we seal, WebCrypto opens', async () => {
    const bytes = Buffer.from(sealSecret(kek, place, secret).replace(/^v1\./, ''), 'base64url')
    const opened = await subtle.decrypt(gcm(bytes.subarray(0, 12)), await aesKey(), bytes.subarray(12))
    expect(Buffer.from(opened)).toEqual(secret)
  })

  it('what WebCrypto seals, we open', async () => {
    const iv = Buffer.from('000102030405060708090a0b', 'hex')
    const sealed = Buffer.from(await subtle.encrypt(gcm(iv), await aesKey(), secret))
    const text = `v1.${Buffer.concat([iv, sealed]).toString('base64url')}`
    expect(openSecret(kek, place, text)).toEqual(secret)
    expect(sealSecret(kek, place, secret, () => iv)).toBe(text)
  })

  it('the MAC', async () => {
    const bytes = await hkdf(BYTES, 'auth-xkeys kek mac v1', 32)
    const key = await subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    const mac = Buffer.from(await subtle.sign('HMAC', key, lengthPrefixed(...CANONICAL))).toString(
      'base64url',
    )
    expect(sealMac(kek, content)).toBe(mac)
    expect(isSealMac(kek, content, mac)).toBe(true)
  })

  // Whoever changes the format breaks every sealed file there is.
  it('stays what it is', () => {
    const iv = Buffer.from('000102030405060708090a0b', 'hex')
    expect(kek.id).toBe('9d8973939343c90c')
    expect(sealSecret(kek, place, Buffer.from('secret'), () => iv)).toBe(
      'v1.AAECAwQFBgcICQoLzbjOAcwsfKcEeEoSS6Vg4IJ8swNLTA',
    )
    expect(sealMac(kek, content)).toBe('bkrrTKB8PPkecwrpTE8uR4h0tPKTa61pFrjZvwR3WQw')
  })
})

describe('a KEK', () => {
  it.each([0, 16, 31, 33, 64])('of %i bytes is refused', (length) => {
    expect(() => createKek(Buffer.alloc(length, 1))).toThrow(RangeError)
  })

  it('copies the bytes: the caller may wipe them', () => {
    const bytes = Buffer.from(BYTES)
    const copied = createKek(bytes)
    bytes.fill(0)
    expect(openSecret(copied, place, sealSecret(kek, place, secret))).toEqual(secret)
  })

  it('shows in no dump', () => {
    const shown = inspect(kek, { showHidden: true, depth: 9 }) + JSON.stringify(kek)
    for (const form of ['hex', 'base64', 'base64url', 'latin1'] as const)
      expect(shown).not.toContain(BYTES.toString(form))
  })
})

describe('a sealed secret', () => {
  it('is another text each time', () => {
    expect(new Set(Array.from({ length: 100 }, () => sealSecret(kek, place, secret))).size).toBe(100)
  })

  it.each([Buffer.of(0), Buffer.alloc(4096, 0xff), Buffer.from('\r\n"')])('holds any bytes (%#)', (bytes) => {
    expect(openSecret(kek, place, sealSecret(kek, place, bytes))).toEqual(bytes)
  })

  it('opens whatever the case of the group, as groups compare', () => {
    expect(openSecret(kek, { ...place, group: 'trunk-a' }, sealSecret(kek, place, secret))).toEqual(secret)
  })

  it.each<readonly [string, SealPlace]>([
    ['another keyring', { ...place, keyring: 'other' }],
    ['another group', { ...place, group: 'trunk-b' }],
    ['another key', { ...place, key: '2027-q1' }],
    ['the same texts, cut otherwise', { keyring: 'mainT', group: 'runk-A', key: '2026-q4' }],
  ])('does not open for %s', (_, other) => {
    expect(openSecret(kek, other, sealSecret(kek, place, secret))).toBeUndefined()
  })

  it('does not open with another KEK, be it under the same id', () => {
    const other = createKek(Buffer.alloc(32, 1))
    const sealed = sealSecret(kek, place, secret)
    expect(openSecret(other, place, sealed)).toBeUndefined()
    expect(openSecret({ id: kek.id, key: other.key }, place, sealed)).toBeUndefined()
    expect(openSecret({ id: other.id, key: kek.key }, place, sealed)).toBeUndefined()
  })

  it('does not open with any one bit changed', () => {
    const bytes = Buffer.from(sealSecret(kek, place, secret).slice(3), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(openSecret(kek, place, `v1.${changed.toString('base64url')}`)).toBeUndefined()
    }
  })

  it('does not open when it is short of bytes, or has too many', () => {
    const sealed = sealSecret(kek, place, secret)
    for (let length = 0; length < sealed.length; length++)
      expect(openSecret(kek, place, sealed.slice(0, length))).toBeUndefined()
    expect(openSecret(kek, place, `${sealed}AAAA`)).toBeUndefined()
  })

  it.each(['', 'v1.', 'v2.', 'v1', 'secret', 'v1.*', 'v1.=='])('is not %j', (text) => {
    expect(openSecret(kek, place, text)).toBeUndefined()
  })

  it('is written in one way only', () => {
    const sealed = sealSecret(kek, place, Buffer.from('12345'))
    const bytes = sealed.slice(3)
    const others = [
      `V1.${bytes}`,
      ` ${sealed}`,
      `${sealed}\n`,
      `${sealed}=`,
      `v1.${Buffer.from(bytes, 'base64url').toString('base64')}`,
      `v1.${bytes.slice(0, -1)}${bytes.endsWith('B') ? 'A' : 'B'}`,
    ].filter((other) => other !== sealed)
    for (const other of others) expect(openSecret(kek, place, other)).toBeUndefined()
  })
})

describe('the MAC', () => {
  const [first, second] = content.groups
  const [key, next] = first!.keys
  const withKeys = (...keys: (typeof first & object)['keys'][number][]): SealedContent => ({
    ...content,
    groups: [{ ...first!, keys }, second!],
  })
  const CHANGED: Readonly<Record<string, SealedContent>> = {
    'the revision': { ...content, revision: 11 },
    'the name': { ...content, keyring: 'other' },
    'the order of groups': { ...content, groups: content.groups.toReversed() },
    'a group less': { ...content, groups: [first!] },
    'a group more': { ...content, groups: [...content.groups, { id: 'g', keys: [] }] },
    'a group renamed': { ...content, groups: [{ ...first!, id: 'trunk-a' }, second!] },
    'the order of keys': withKeys(next!, key!),
    'a key less': withKeys(key!),
    'a key twice': withKeys(key!, next!, next!),
    'a key renamed': withKeys(key!, { ...next!, name: 'k' }),
    'a secret': withKeys(key!, { ...next!, sealed: 'v1.c' }),
    'a start': withKeys({ ...key!, activeFrom: new Date('2026-10-01T00:00:00.001Z') }, next!),
    'no start': withKeys({ ...key!, activeFrom: undefined }, next!),
    'an end': withKeys(key!, { ...next!, expires: new Date('2037-04-01T00:00:00Z') }),
    'no end': withKeys(key!, { ...next!, expires: undefined }),
    'revoked otherwise': withKeys(key!, { ...next!, revoked: new Date('2027-01-01T00:00:00Z') }),
    'not revoked': withKeys(key!, { ...next!, revoked: undefined }),
    'a date in another setting': withKeys(
      { ...key!, activeFrom: undefined, expires: key!.activeFrom },
      next!,
    ),
  }

  it.each(Object.keys(CHANGED))('covers: %s', (what) => {
    expect(isSealMac(kek, CHANGED[what]!, sealMac(kek, content))).toBe(false)
  })

  it.each(['', 'AAAA', `${sealMac(kek, content)}=`, sealMac(kek, content).slice(0, -1)])(
    'is not %j',
    (mac) => {
      expect(isSealMac(kek, content, mac)).toBe(false)
    },
  )

  it('needs the KEK', () => {
    expect(isSealMac(createKek(Buffer.alloc(32)), content, sealMac(kek, content))).toBe(false)
  })
})
