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

function respond(input: Omit<ResponseInput, 'method'>, method: string): string {
  const { digest, session } = specOf(input.algorithm)
  const { nonce, qop, uri } = input
  const cnonce = input.cnonce ?? ''
  const over = (text: string): string => hash(digest, Buffer.from(text, 'latin1'), 'hex')

  const entity = qop === 'auth-int' ? `:${hash(digest, input.body ?? new Uint8Array(0), 'hex')}` : ''
  const ha2 = over(`${method}:${uri}${entity}`)
  const rest = qop === undefined ? `${nonce}:${ha2}` : `${nonce}:${input.nc ?? ''}:${cnonce}:${qop}:${ha2}`
  const ha1 = hexBytes(input.ha1)
  const secret =
    session === 'plain' ? ha1 : hexBytes(hash(digest, keyed(ha1, `${nonce}:${cnonce}`), 'buffer'))
  const response = hash(digest, keyed(secret, rest), 'hex')
  ha1.fill(0)
  secret.fill(0)
  return response
}

/** `secret ":" text`. */
function keyed(secret: Buffer, text: string): Buffer {
  return Buffer.concat([secret, Buffer.from(`:${text}`, 'latin1')])
}

const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

/** Hex as bytes and not as a string, which could not be wiped. */
function hexBytes(bytes: Uint8Array): Buffer {
  const hex = Buffer.allocUnsafe(bytes.length * 2)
  for (let i = 0; i < bytes.length; i++) {
    hex[i * 2] = DIGITS[bytes[i]! >> 4]!
    hex[i * 2 + 1] = DIGITS[bytes[i]! & 15]!
  }
  return hex
}

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
