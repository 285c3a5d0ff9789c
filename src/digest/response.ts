/**
 * The values that digest authentication computes: HA1, response, rspauth, userhash (RFC 7616 §3.4, §3.5, RFC 2617 §3.2.2).
 * Text that came with a message is latin1, one character a byte; names and passwords are characters, hashed as UTF-8.
 * @module
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { specOf, type DigestAlgorithm, type HashAlgorithm, type Qop } from './algorithm.ts'

/** What a response is made of. */
export interface ResponseInput {
  readonly algorithm: DigestAlgorithm
  /** H(username ":" realm ":" password), as bytes; of `-sess`, too. */
  readonly ha1: Uint8Array
  readonly method: string
  /** The digest-uri, as in the credentials. */
  readonly uri: string
  readonly nonce: string
  /** Absent: the response of RFC 2069. */
  readonly qop?: Qop | undefined
  /** Eight hex digits, as sent. Needed with `qop`. */
  readonly nc?: string | undefined
  /** Needed with `qop` and with `-sess`. */
  readonly cnonce?: string | undefined
  /** Hashed with `auth-int`: the body's bytes; absent, an empty body. */
  readonly body?: Uint8Array | undefined
}

/** HA1: the hash that stands for a password in a realm. Whoever has it can authenticate: keep it as a secret. */
export function computeHa1(
  algorithm: HashAlgorithm,
  username: string,
  realm: string,
  password: string,
): Buffer {
  return hash(specOf(algorithm).digest, Buffer.from(`${username}:${realm}:${password}`, 'utf8'), 'buffer')
}

/** The value of `response`, in lower-case hex. */
export function computeResponse(input: ResponseInput): string {
  return respond(input, input.method)
}

/** The value of `rspauth`: proves to the client that the server knows the password (RFC 7616 §3.5); `body` is the response's. */
export function computeRspauth(input: Omit<ResponseInput, 'method'>): string {
  return respond(input, '')
}

/** The value of `username` with `userhash=true` (RFC 7616 §3.4.4). */
export function computeUserhash(algorithm: HashAlgorithm, username: string, realm: string): string {
  return hash(specOf(algorithm).digest, Buffer.from(`${username}:${realm}`, 'utf8'), 'hex')
}

/** Where what is hashed is laid out: SIP addresses and nonces are far shorter. What is longer has memory of its own. */
const work = Buffer.alloc(2048)

function respond(input: Omit<ResponseInput, 'method'>, method: string): string {
  const { digest, session } = specOf(input.algorithm)
  const { nonce, qop, uri, ha1 } = input
  const cnonce = input.cnonce ?? ''

  const entity = qop === 'auth-int' ? `:${hash(digest, input.body ?? NOTHING, 'hex')}` : ''
  const ha2 = hash(digest, lay(NOTHING, `${method}:${uri}${entity}`), 'hex')
  const rest = qop === undefined ? `:${nonce}:${ha2}` : `:${nonce}:${input.nc ?? ''}:${cnonce}:${qop}:${ha2}`
  if (session === 'plain') return keyed(digest, ha1, rest, 'hex')
  const secret = keyed(digest, ha1, `:${nonce}:${cnonce}`, 'buffer')
  const response = keyed(digest, secret, rest, 'hex')
  secret.fill(0)
  return response
}

const NOTHING = new Uint8Array(0)

function keyed(digest: string, secret: Uint8Array, text: string, as: 'hex'): string
function keyed(digest: string, secret: Uint8Array, text: string, as: 'buffer'): Buffer
/** The hash of a secret in hex and the text behind it. */
function keyed(digest: string, secret: Uint8Array, text: string, as: 'hex' | 'buffer'): string | Buffer {
  const bytes = lay(secret, text)
  const hashed = hash(digest, bytes, as)
  bytes.fill(0, 0, secret.length * 2)
  return hashed
}

/** Lays out a secret in hex, as bytes and not as a string, which could not be wiped, and latin1 text. */
function lay(secret: Uint8Array, text: string): Buffer {
  const start = secret.length * 2
  const end = start + text.length
  const bytes = end <= work.length ? work : Buffer.alloc(end)
  for (let i = 0; i < secret.length; i++) {
    bytes[i * 2] = DIGITS[secret[i]! >> 4]!
    bytes[i * 2 + 1] = DIGITS[secret[i]! & 15]!
  }
  bytes.write(text, start, 'latin1')
  return bytes.subarray(0, end)
}

const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

/** Whether two responses in hex are one, in a time that depends on their length alone. */
export function equalResponse(expected: string, given: string): boolean {
  if (expected.length !== given.length) return false
  return timingSafeEqual(Buffer.from(expected, 'hex'), padded(given))
}

/** `Buffer.from` stops at what is no hex digit: the rest stays zero, so that both have one length. */
function padded(hex: string): Buffer {
  const bytes = Buffer.alloc(hex.length >> 1)
  bytes.write(hex, 'hex')
  return bytes
}
