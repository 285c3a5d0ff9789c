/**
 * Challenges (RFC 3261 §22, RFC 7616 §3.3, RFC 8760 §2).
 * @module
 */
import { hash } from 'node:crypto'
import { digestSpec, type DigestAlgorithm, type Qop } from './algorithm.ts'
import { formatAuth, type AuthParamInput } from './header.ts'
import type { NonceOrigin, Nonces } from './nonce.ts'
import type { Offer } from './offer.ts'
import { encodeUtf8 } from './text.ts'

/** One challenge. */
export interface Challenge {
  readonly realm: string
  readonly nonce: string
  readonly algorithm: DigestAlgorithm
  /** Empty: none is offered, for telephones that know only RFC 2069. */
  readonly qop: readonly Qop[]
  readonly opaque: string
  /** `stale`: the nonce was the fault, and the client need not ask its user. */
  readonly age: 'new' | 'stale'
}

/** The value of WWW-Authenticate or Proxy-Authenticate for one algorithm. */
export function formatChallenge(challenge: Challenge): string {
  const { realm, nonce, algorithm, qop, opaque, age } = challenge
  const params: AuthParamInput[] = [
    ['realm', encodeUtf8(realm), 'quoted'],
    ['nonce', nonce, 'quoted'],
    ['opaque', opaque, 'quoted'],
    // Always: clients differ in what they take its absence for.
    ['algorithm', algorithm, 'bare'],
  ]
  if (qop.length > 0) params.push(['qop', qop.join(','), 'quoted'])
  if (age === 'stale') params.push(['stale', 'true', 'bare'])
  // Telephones of RFC 2617 see none but its parameters.
  if (digestSpec(algorithm)?.hash !== 'MD5') params.push(['charset', 'UTF-8', 'bare'])
  return formatAuth('Digest', params)
}

/** The value of `opaque` in a realm: the same on every node, so that it can be compared when it comes back. */
export function opaqueOf(realm: string): string {
  return hash('sha256', `auth-xkeys opaque\0${realm}`, 'hex').slice(0, 16)
}

/** The challenges of an offer, each with a nonce of its own; undefined where no key makes nonces now. */
export function formatChallenges(
  { algorithms, qop }: Offer,
  origin: NonceOrigin,
  nonces: Nonces,
  age: Challenge['age'],
): readonly string[] | undefined {
  const { realm } = origin
  const opaque = opaqueOf(realm)
  const values: string[] = []
  for (const algorithm of algorithms) {
    const nonce = nonces.make(algorithm, qop, origin)
    if (nonce === undefined) return undefined
    values.push(formatChallenge({ realm, nonce, algorithm, qop, opaque, age }))
  }
  return values
}
