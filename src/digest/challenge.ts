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

/** Realms whose texts are kept, and the longest of them: those of a wildcard domain have no end. */
const MAX_REALMS = 256
const MAX_KEPT = 255

const opaques = new Map<string, string>()

/** The value of `opaque` in a realm: the same on every node, so that it can be compared when it comes back. */
export function opaqueOf(realm: string): string {
  const known = opaques.get(realm)
  if (known !== undefined) return known
  const opaque = hash('sha256', `auth-xkeys opaque\0${realm}`, 'hex').slice(0, 16)
  keep(opaques, realm, realm, opaque)
  return opaque
}

/** Stands for a nonce. */
const MARK = '-'

/** The text of one challenge around its nonce. */
interface Frame {
  readonly algorithm: DigestAlgorithm
  readonly before: string
  readonly behind: string
}

/** By realm and age. They go with the offer that they belong to. */
const frames = new WeakMap<Offer, Map<string, readonly Frame[]>>()

/** Nothing but the nonce differs from one challenge of an offer to the next. */
function framesOf(offer: Offer, realm: string, age: Challenge['age']): readonly Frame[] {
  let ofOffer = frames.get(offer)
  if (ofOffer === undefined) frames.set(offer, (ofOffer = new Map()))
  const key = `${age} ${realm}`
  const known = ofOffer.get(key)
  if (known !== undefined) return known
  const opaque = opaqueOf(realm)
  const made = offer.algorithms.map((algorithm) => {
    const value = formatChallenge({ realm, nonce: MARK, algorithm, qop: offer.qop, opaque, age })
    // No realm can look like it: a quote in one has its backslash.
    const at = value.indexOf(`", nonce="${MARK}"`) + '", nonce="'.length
    return { algorithm, before: value.slice(0, at), behind: value.slice(at + MARK.length) }
  })
  keep(ofOffer, realm, key, made)
  return made
}

function keep<Value>(memory: Map<string, Value>, realm: string, key: string, value: Value): void {
  if (realm.length > MAX_KEPT) return
  if (memory.size >= MAX_REALMS) memory.clear()
  memory.set(key, value)
}

/** The challenges of an offer, each with a nonce of its own; undefined where no key makes nonces now. */
export function formatChallenges(
  offer: Offer,
  origin: NonceOrigin,
  nonces: Nonces,
  age: Challenge['age'],
): readonly string[] | undefined {
  const values: string[] = []
  for (const { algorithm, before, behind } of framesOf(offer, origin.realm, age)) {
    const nonce = nonces.make(algorithm, offer.qop, origin)
    if (nonce === undefined) return undefined
    values.push(before + nonce + behind)
  }
  return values
}
