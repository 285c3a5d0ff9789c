/**
 * The hash algorithms of digest authentication, their names and their order of strength (RFC 7616 §3.3, RFC 8760 §2.1).
 * @module
 */

/** A hash; an HA1 belongs to one of these. */
export type HashAlgorithm = 'MD5' | 'SHA-256' | 'SHA-512-256'

/** A value of `algorithm`. With `-sess` the nonce and the cnonce go into A1. */
export type DigestAlgorithm = HashAlgorithm | 'MD5-sess' | 'SHA-256-sess' | 'SHA-512-256-sess'

/** A value of `qop`. */
export type Qop = 'auth' | 'auth-int'

/** What an algorithm is made of. */
export interface DigestSpec {
  readonly name: DigestAlgorithm
  readonly hash: HashAlgorithm
  /** Its name in OpenSSL. */
  readonly digest: 'md5' | 'sha256' | 'sha512-256'
  /** Digest length, bytes. */
  readonly size: number
  readonly session: 'sess' | 'plain'
}

/** All six, strongest first; the place in the list is their number in a nonce, so it never changes. */
export const DIGEST_SPECS: readonly DigestSpec[] = [
  { name: 'SHA-512-256-sess', hash: 'SHA-512-256', digest: 'sha512-256', size: 32, session: 'sess' },
  { name: 'SHA-512-256', hash: 'SHA-512-256', digest: 'sha512-256', size: 32, session: 'plain' },
  { name: 'SHA-256-sess', hash: 'SHA-256', digest: 'sha256', size: 32, session: 'sess' },
  { name: 'SHA-256', hash: 'SHA-256', digest: 'sha256', size: 32, session: 'plain' },
  { name: 'MD5-sess', hash: 'MD5', digest: 'md5', size: 16, session: 'sess' },
  { name: 'MD5', hash: 'MD5', digest: 'md5', size: 16, session: 'plain' },
]

/** The hashes, strongest first. */
export const HASH_ALGORITHMS: readonly HashAlgorithm[] = ['SHA-512-256', 'SHA-256', 'MD5']

const BY_NAME: ReadonlyMap<string, DigestSpec> = new Map(
  DIGEST_SPECS.map((spec) => [spec.name.toLowerCase(), spec]),
)

/** The algorithm of that name, in any case; undefined where it is none of ours. */
export function digestSpec(name: string): DigestSpec | undefined {
  return BY_NAME.get(name.toLowerCase())
}

/** The spec of a known algorithm. */
export function specOf(algorithm: DigestAlgorithm): DigestSpec {
  return BY_NAME.get(algorithm.toLowerCase())!
}

/** Strongest first (RFC 8760 §3: an attacker who reorders gains nothing from a client that takes the strongest). */
export function byStrength(algorithms: readonly DigestAlgorithm[]): readonly DigestAlgorithm[] {
  return DIGEST_SPECS.filter(({ name }) => algorithms.includes(name)).map(({ name }) => name)
}
