/**
 * Which challenges a realm offers, and what is offered to devices that cannot cope with them.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import { byStrength, digestSpec, DIGEST_SPECS, type DigestAlgorithm, type Qop } from './algorithm.ts'

/** What is offered: one challenge an algorithm, in this order. */
export interface Offer {
  readonly algorithms: readonly DigestAlgorithm[]
  /** Empty: none, with one-time nonces. */
  readonly qop: readonly Qop[]
}

/** Devices that need another offer. */
export interface DeviceQuirk {
  /** Part of the User-Agent, in any case. Anybody can write one: a weaker offer to some is one to all who say they are. */
  readonly userAgent: string
  /** In the order in which they are offered, whatever their strength. */
  readonly algorithms?: readonly DigestAlgorithm[] | undefined
  readonly qop?: readonly Qop[] | undefined
}

/** What is offered to whom. */
export interface OfferOptions {
  /** Default SHA-512-256, SHA-256, MD5. Offered strongest first, whatever the order here. In `realms` the order counts. */
  readonly algorithms?: readonly DigestAlgorithm[] | undefined
  /** Default `auth`. */
  readonly qop?: readonly Qop[] | undefined
  /** What differs in some realms. */
  readonly realms?: Readonly<Record<string, Partial<Offer>>> | undefined
  /** The first that fits counts, in every realm. */
  readonly quirks?: readonly DeviceQuirk[] | undefined
}

/** The offer of a realm to a device. @param userAgent latin1 text; undefined where it says none */
export type OfferTable = (realm: string, userAgent: string | undefined) => Offer

const DEFAULT: Offer = { algorithms: ['SHA-512-256', 'SHA-256', 'MD5'], qop: ['auth'] }

/**
 * Compiles what is offered.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every issue: unknown or no algorithms, unknown qop, an empty User-Agent.
 */
export function compileOffers(options: OfferOptions): OfferTable {
  const issues: Issue[] = []
  const base = { ...DEFAULT, ...given(options) }
  const read = (offer: Offer, path: string): Offer => {
    issues.push(...offerIssues(offer, path))
    return { algorithms: [...new Set(offer.algorithms)], qop: [...new Set(offer.qop)] }
  }
  const standard = sorted(read(base, ''))
  const realms = new Map(
    Object.entries(options.realms ?? {}).map(([realm, offer]) => [
      realm,
      inOrder(read({ ...base, ...given(offer) }, `realms.${realm}.`), offer),
    ]),
  )
  const quirks = (options.quirks ?? []).map((quirk, i) => {
    if (quirk.userAgent === '')
      issues.push({ path: `quirks[${i}].userAgent`, message: 'is empty: it would fit every device' })
    const path = `quirks[${i}].`
    read({ ...base, ...given(quirk) }, path)
    // What is right alone may be wrong with what a realm adds to it.
    if (quirk.algorithms === undefined || quirk.qop === undefined)
      for (const own of realms.values()) issues.push(...sessionIssues(changed(own, quirk), path))
    // Made once: what is written of an offer is kept with it.
    const offers = new Map([standard, ...realms.values()].map((own) => [own, changed(own, quirk)]))
    return { part: quirk.userAgent.toLowerCase(), offers }
  })
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)

  return (realm, userAgent) => {
    const own = realms.get(realm) ?? standard
    const lower = userAgent?.toLowerCase()
    const found = lower === undefined ? undefined : quirks.find(({ part }) => lower.includes(part))
    return found?.offers.get(own) ?? own
  }
}

/** What a realm offers to a device: what its quirk does not name stays. */
function changed(own: Offer, quirk: DeviceQuirk): Offer {
  const algorithms = quirk.algorithms === undefined ? own.algorithms : [...new Set(quirk.algorithms)]
  return { algorithms, qop: quirk.qop === undefined ? own.qop : [...quirk.qop] }
}

/** As written where algorithms are, else strongest first. */
const inOrder = (offer: Offer, written: Partial<Offer>): Offer =>
  written.algorithms === undefined ? sorted(offer) : offer

const sorted = (offer: Offer): Offer => ({ ...offer, algorithms: byStrength(offer.algorithms) })

/** The settings that are there: a spread would lay `undefined` over a default. */
function given({
  algorithms,
  qop,
}: {
  algorithms?: Offer['algorithms'] | undefined
  qop?: Offer['qop'] | undefined
}) {
  return { ...(algorithms && { algorithms }), ...(qop && { qop }) }
}

function offerIssues({ algorithms, qop }: Offer, path: string): Issue[] {
  const issues: Issue[] = []
  if (algorithms.length === 0)
    issues.push({ path: `${path}algorithms`, message: 'is empty: nothing could be answered' })
  for (const name of algorithms) {
    if (digestSpec(name)?.name === name) continue
    const near = nearest(
      name,
      DIGEST_SPECS.map((spec) => spec.name),
    )
    const hint = near === undefined ? '' : `: did you mean ${near}?`
    issues.push({ path: `${path}algorithms`, message: `${JSON.stringify(name)} is not known${hint}` })
  }
  for (const name of qop) {
    if (name === 'auth' || name === 'auth-int') continue
    issues.push({ path: `${path}qop`, message: `${JSON.stringify(name)} is neither auth nor auth-int` })
  }
  return [...issues, ...sessionIssues({ algorithms, qop }, path)]
}

/** A session key is made of a cnonce, which comes with qop. */
function sessionIssues({ algorithms, qop }: Offer, path: string): Issue[] {
  const sessions = algorithms.filter((name) => digestSpec(name)?.session === 'sess')
  if (qop.length > 0 || sessions.length === 0) return []
  return [{ path: `${path}qop`, message: `must not be empty with ${sessions.join(', ')}` }]
}

/**
 * Refuses offers of `auth-int`, where whoever judges the answers is told no body.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every one
 */
export function refuseBodyHashes({ qop, realms = {}, quirks = [] }: OfferOptions): void {
  const written: readonly (readonly [path: string, qop: readonly Qop[] | undefined])[] = [
    ['qop', qop],
    ...Object.entries(realms).map(([realm, offer]) => [`realms.${realm}.qop`, offer.qop] as const),
    ...quirks.map((quirk, i) => [`quirks[${i}].qop`, quirk.qop] as const),
  ]
  const issues = written
    .filter(([, offered]) => offered?.includes('auth-int'))
    .map(([path]) => ({ path, message: 'must not hold auth-int: a hook is told no body to judge it by' }))
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)
}

/**
 * What an operator should know of an offer that is legal: MD5 beside a stronger algorithm, and a weaker algorithm before a
 * stronger one, which most clients then use (RFC 8760 §2.4, §3).
 */
export function lintOffers(options: OfferOptions): readonly Issue[] {
  const written: [path: string, algorithms: readonly DigestAlgorithm[]][] = [
    ['algorithms', byStrength(options.algorithms ?? DEFAULT.algorithms)],
  ]
  for (const [realm, offer] of Object.entries(options.realms ?? {}))
    written.push([`realms.${realm}.algorithms`, offer.algorithms ?? []])
  for (const [i, quirk] of (options.quirks ?? []).entries())
    written.push([`quirks[${i}].algorithms`, quirk.algorithms ?? []])
  return written.flatMap(([path, algorithms]) => {
    const best = byStrength(algorithms)[0]
    if (best === undefined || digestSpec(best)?.hash === 'MD5') return []
    if (best !== algorithms[0])
      return [{ path, message: `offers ${algorithms[0]} before ${best}: most clients take the first` }]
    const hasMd5 = algorithms.some((name) => digestSpec(name)?.hash === 'MD5')
    return hasMd5 ? [{ path, message: `offers MD5 beside ${best}: an attacker can take ${best} away` }] : []
  })
}
