/**
 * A user agent client's side of digest authentication, written apart from ours: plain strings, one hash call each.
 */
import { createHash } from 'node:crypto'

const HASHES = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' } as const

/** H(text), latin1 text. */
export function hashOf(algorithm: string, text: string | Uint8Array): string {
  const name = HASHES[algorithm.replace(/-sess$/, '') as keyof typeof HASHES]
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  return createHash(name).update(bytes).digest('hex')
}

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

/** The parameters of a challenge. */
export function paramsOf(challenge: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Array.from(
      challenge.matchAll(/([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g),
      ([, name, quoted, bare]) => [name!.toLowerCase(), quoted ?? bare!],
    ),
  )
}

/** What an answer is made of. */
export interface AnswerInput {
  readonly username?: string
  readonly password?: string
  readonly method?: string
  readonly uri?: string
  readonly nc?: string
  readonly cnonce?: string
  /** `none`: the answer of RFC 2069. */
  readonly qop?: 'auth' | 'auth-int' | 'none'
  readonly body?: string
  /** Parameters as they go into the text, behind the response was made; null leaves one out. */
  readonly with?: Readonly<Record<string, string | null>>
}

export const PASSWORD = 'correct horse'

/** The value of Authorization that answers a challenge. */
export function answerTo(challenge: string, input: AnswerInput = {}): string {
  const { realm = '', nonce = '', algorithm = 'MD5', opaque } = paramsOf(challenge)
  const { username = 'alice', password = PASSWORD, method = 'REGISTER' } = input
  const { uri = 'sip:example.org', nc = '00000001', cnonce = '0a4f113b', body = '' } = input
  const qop = input.qop ?? 'auth'
  const h = (text: string): string => hashOf(algorithm, text)
  const plain = h(`${utf8(username)}:${realm}:${utf8(password)}`)
  const ha1 = algorithm.endsWith('-sess') ? h(`${plain}:${nonce}:${cnonce}`) : plain
  const ha2 = h(`${method}:${uri}${qop === 'auth-int' ? `:${h(body)}` : ''}`)
  const response =
    qop === 'none' ? h(`${ha1}:${nonce}:${ha2}`) : h(`${ha1}:${nonce}:${nc}:${cnonce}:${qop}:${ha2}`)
  const params: Record<string, string | null> = {
    username: `"${utf8(username)}"`,
    realm: `"${realm}"`,
    nonce: `"${nonce}"`,
    uri: `"${uri}"`,
    response: `"${response}"`,
    algorithm,
    opaque: opaque === undefined ? null : `"${opaque}"`,
    ...(qop === 'none' ? {} : { qop, nc, cnonce: `"${cnonce}"` }),
    ...input.with,
  }
  return `Digest ${Object.entries(params)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')}`
}
