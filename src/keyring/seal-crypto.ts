/**
 * What seals a keyring: AES-256-GCM over each secret, one MAC over everything that decides about keys. The format is in
 * `docs/sealed.md`.
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import { foldGroup } from './keyring.ts'

/** Length of a key-encryption key in bytes: AES-256. */
export const KEK_BYTES = 32

/** A key-encryption key (KEK): it encrypts secrets, and the MAC's key is derived from it. */
export interface Kek {
  /**
   * 16 hexadecimal digits that follow from the key by HKDF: the same wherever the key is, and safe to show. It stands
   * in the sealed keyring, so that a wrong key is told from a file that was changed.
   */
  readonly id: string
  readonly key: KeyObject
}

/** Where a reader of sealed keyrings finds the KEK, and what it insists on. */
export interface KekSource {
  /**
   * The KEK with this id; `undefined`: it is not at hand. What it throws becomes an issue: its message must not hold
   * secrets.
   */
  readonly find: (id: string) => Kek | undefined
  /** The name that a keyring must have been sealed under; absent: any. */
  readonly keyring?: string | undefined
  /** Whether a keyring that is not sealed is read all the same; default `accepted`. */
  readonly plaintext?: 'accepted' | 'refused' | undefined
}

/** The place that a sealed secret is bound to: at any other it does not open. */
export interface SealPlace {
  /** Name of the keyring. */
  readonly keyring: string
  readonly group: string
  /** Name of the key. */
  readonly key: string
}

/** What the MAC covers: all that decides which key signs and verifies when. Order counts, for it decides between equals. */
export interface SealedContent {
  readonly keyring: string
  readonly revision: number
  readonly groups: readonly {
    readonly id: string
    readonly keys: readonly {
      readonly name: string
      /** The sealed text, as it stands in the file. */
      readonly sealed: string
      readonly activeFrom?: Date | undefined
      readonly expires?: Date | undefined
      readonly revoked?: Date | undefined
    }[]
  }[]
}

const ID_BYTES = 8
const IV_BYTES = 12
const TAG_BYTES = 16
const MAC_BYTES = 32
const VERSION = 'v1.'

/**
 * Makes a KEK of exactly 32 bytes, which are copied.
 * @throws RangeError for any other length
 */
export function createKek(bytes: Uint8Array): Kek {
  if (bytes.length !== KEK_BYTES) throw new RangeError(`a key-encryption key has exactly ${KEK_BYTES} bytes`)
  const key = createSecretKey(bytes)
  return Object.freeze({ id: derive(key, 'id', ID_BYTES).toString('hex'), key })
}

/** A source that knows these KEKs and accepts any keyring. */
export function kekSourceOf(...keks: readonly Kek[]): KekSource {
  return { find: (id) => keks.find((kek) => kek.id === id) }
}

/** Seals a secret: `v1.` and base64url of a random 96-bit IV, the ciphertext and the tag. */
export function sealSecret(
  kek: Kek,
  place: SealPlace,
  secret: Uint8Array,
  random: (size: number) => Uint8Array = randomBytes,
): string {
  const iv = random(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', kek.key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(associatedData(kek, place))
  const parts = [iv, cipher.update(secret), cipher.final(), cipher.getAuthTag()]
  return VERSION + Buffer.concat(parts).toString('base64url')
}

/** The secret; `undefined` where the text was changed, or sealed with another KEK or for another place. */
export function openSecret(kek: Kek, place: SealPlace, sealed: string): Buffer | undefined {
  const bytes = decode(sealed.slice(VERSION.length))
  if (!sealed.startsWith(VERSION) || bytes === undefined || bytes.length < IV_BYTES + TAG_BYTES)
    return undefined
  const decipher = createDecipheriv('aes-256-gcm', kek.key, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(associatedData(kek, place))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  const secret = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES))
  try {
    decipher.final()
    return secret
  } catch {
    // Nothing of what did not authenticate is left behind.
    secret.fill(0)
    return undefined
  }
}

/** The MAC over a keyring: base64url of HMAC-SHA-256 under a key that HKDF derives from the KEK. */
export function sealMac(kek: Kek, content: SealedContent): string {
  const hmac = createHmac('sha256', derive(kek.key, 'mac', MAC_BYTES))
  for (const field of canonicalFields(kek, content)) hmac.update(prefixed(field))
  return hmac.digest('base64url')
}

/** Whether `mac` is the MAC over a keyring; compared in constant time. */
export function isSealMac(kek: Kek, content: SealedContent, mac: string): boolean {
  const given = decode(mac)
  return (
    given?.length === MAC_BYTES && timingSafeEqual(given, Buffer.from(sealMac(kek, content), 'base64url'))
  )
}

function derive(key: KeyObject, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `auth-xkeys kek ${purpose} v1`, length))
}

function associatedData(kek: Kek, { keyring, group, key }: SealPlace): Buffer {
  const fields = ['auth-xkeys sealed secret v1', keyring, foldGroup(group), key, kek.id]
  return Buffer.concat(fields.map(prefixed))
}

function canonicalFields(kek: Kek, { keyring, revision, groups }: SealedContent): readonly string[] {
  return [
    'auth-xkeys sealed keyring v1',
    keyring,
    kek.id,
    String(revision),
    String(groups.length),
    ...groups.flatMap(({ id, keys }) => [
      id,
      String(keys.length),
      ...keys.flatMap(({ name, sealed, activeFrom, expires, revoked }) => [
        name,
        sealed,
        ...[activeFrom, expires, revoked].map((time) => time?.toISOString() ?? ''),
      ]),
    ]),
  ]
}

/** Length in front, 4 bytes, so that no two lists of fields give the same bytes. */
function prefixed(field: string): Buffer {
  const bytes = Buffer.from(field, 'utf8')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Only the canonical form, so that no two texts mean the same bytes. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
