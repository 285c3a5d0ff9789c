/**
 * Nonces that carry their own proof: time, 96 random bits and a MAC over both with realm, algorithm, qop and binding. So
 * they are valid on every node that has the keyring, and after a restart, and nothing is stored when one is made.
 *
 * 36 bytes in base64url, 48 characters: kind (algorithm, qop, binding), time (48 bits, milliseconds), random (96 bits), MAC
 * (HMAC-SHA256 cut to 136 bits).
 * @module
 */
import { randomFillSync, timingSafeEqual } from 'node:crypto'
import { ConfigError } from '../errors.ts'
import type { Keyring, KeyringSource } from '../keyring/keyring.ts'
import { DIGEST_SPECS, type DigestAlgorithm, type Qop } from './algorithm.ts'
import { bindKeys, createMac, type Mac } from './keyed-mac.ts'

/**
 * What a nonce may be bound to besides its realm. Some phones change Call-ID or From tag when they are challenged. (To the
 * Request-URI every answer is bound that a nonce can have: its digest-uri is compared.)
 */
export type NonceBinding = 'source' | 'call-id' | 'from-tag'

/** Requests whose nonces may be bound differently: registrations, others, those with a To tag. */
export type NonceScope = 'register' | 'initial' | 'dialog'

/** Where a request came from, as far as a nonce can be bound to it. */
export interface NonceOrigin {
  readonly realm: string
  /** The packet's source address. */
  readonly source: string
  readonly callId: string
  /** Empty where there is none. */
  readonly fromTag: string
  readonly scope: NonceScope
}

/** What a nonce was given out for. */
export interface NonceFacts {
  readonly algorithm: DigestAlgorithm
  /** Empty: none was offered, and the nonce serves one request. */
  readonly qop: readonly Qop[]
  /** When it was made, epoch milliseconds. */
  readonly made: number
}

/** `foreign`: not made under a key of ours for this realm and origin. `malformed`: not even of our form. */
export type NonceResult =
  | { readonly ok: true; readonly facts: NonceFacts; readonly age: 'fresh' | 'stale' }
  | { readonly ok: false; readonly reason: 'malformed' | 'foreign' }

/** Makes and checks nonces. */
export interface Nonces {
  /** A new nonce; undefined where no key signs now. */
  make(algorithm: DigestAlgorithm, qop: readonly Qop[], origin: NonceOrigin): string | undefined
  check(nonce: string, origin: NonceOrigin): NonceResult
  /** How long a nonce can be used, in milliseconds of real time, whatever the wall clock does. */
  readonly window: number
  /** Milliseconds for which a nonce is meant to be used. */
  readonly lifetime: number
  /** The time by which nonces are made and judged, epoch milliseconds. */
  readonly time: () => number
}

/** What `createNonces` takes. */
export interface NonceOptions {
  /** A function is called once per message, so that the keyring can be exchanged under load. */
  readonly keyring: Keyring | KeyringSource
  /** The group of it whose keys prove nonces: one of its own, shared by the nodes of a fleet. */
  readonly group: string
  /** Milliseconds, default 300 000. */
  readonly lifetime?: number | undefined
  /** How far another node's clock may be ahead, milliseconds, default 3000. */
  readonly maxDrift?: number | undefined
  /** One list for all, or one a scope; what is not named is bound to nothing. */
  readonly bind?:
    | readonly NonceBinding[]
    | Readonly<Partial<Record<NonceScope, readonly NonceBinding[]>>>
    | undefined
  /** Epoch milliseconds that never go back: see `createSteadyClock`. */
  readonly time: () => number
  /** Default: the system's source. */
  readonly random?: (size: number) => Uint8Array
}

const LENGTH = 48
const HEAD = 19
const MAC = 17
const RANDOM = 12
const LABEL = 'auth-xkeys digest nonce 1\0'

// Bits of the kind, above the three that number the algorithm.
const OFFERS_AUTH = 8
const OFFERS_AUTH_INT = 16
const BOUND_TO_SOURCE = 32
const BOUND_TO_CALL = 64
const BOUND_TO_TAG = 128

/**
 * Creates the maker and judge of nonces.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every issue: a group that is not there, a time that is none.
 */
export function createNonces(options: NonceOptions): Nonces {
  const { group, time } = options
  const { lifetime = 300_000, maxDrift = 3000, random = createRandomPool() } = options
  const bindings = bindingsOf(options.bind ?? [])
  const source = typeof options.keyring === 'function' ? options.keyring : constant(options.keyring)
  refuseBadOptions(source(), group, { lifetime, maxDrift })
  const keysNow = bindKeys(source, group, createMac)
  // Of the nonce that is made or checked at the moment, which never takes longer than a call.
  const bytes = Buffer.alloc(HEAD + MAC)
  const head = bytes.subarray(0, HEAD)
  const mac = bytes.subarray(HEAD)
  const wanted = Buffer.alloc(MAC)

  function make(algorithm: DigestAlgorithm, qop: readonly Qop[], origin: NonceOrigin): string | undefined {
    const now = time()
    const { active } = keysNow(now)
    if (active === undefined) return undefined
    bytes[0] = kindOf(algorithm, qop, bindings[origin.scope])
    bytes.writeUIntBE(Math.trunc(now), 1, 6)
    bytes.set(random(RANDOM), 7)
    writeMac(active, head, origin, mac)
    return bytes.toString('base64url')
  }

  function isMadeWith(key: Mac, origin: NonceOrigin): boolean {
    writeMac(key, head, origin, wanted)
    return timingSafeEqual(wanted, mac)
  }

  function check(nonce: string, origin: NonceOrigin): NonceResult {
    if (nonce.length !== LENGTH || !/^[A-Za-z0-9_-]*$/.test(nonce)) return { ok: false, reason: 'malformed' }
    bytes.write(nonce, 'base64url')
    const spec = DIGEST_SPECS[bytes[0]! & 7]
    if (spec === undefined) return { ok: false, reason: 'malformed' }
    const now = time()
    if (!keysNow(now).verifying.some((key) => isMadeWith(key, origin)))
      return { ok: false, reason: 'foreign' }
    const made = bytes.readUIntBE(1, 6)
    const facts: NonceFacts = { algorithm: spec.name, qop: qopOf(bytes[0]!), made }
    const isFresh = made <= now + maxDrift && now < made + lifetime
    return { ok: true, facts, age: isFresh ? 'fresh' : 'stale' }
  }

  // A clock may go at half speed, and another node's may be behind.
  return { make, check, lifetime, window: 2 * (lifetime + maxDrift), time }
}

const constant = (keyring: Keyring) => (): Keyring => keyring

function refuseBadOptions(keyring: Keyring, group: string, times: Readonly<Record<string, number>>): void {
  const issues = Object.entries(times)
    .filter(([, value]) => !Number.isFinite(value) || value < 0)
    .map(([path]) => ({ path, message: 'must be a number of milliseconds, at least 0' }))
  if (!keyring.hasGroup(group))
    issues.push({ path: 'group', message: `the keyring has no group ${JSON.stringify(group)}` })
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)
}

function bindingsOf(
  bind: NonNullable<NonceOptions['bind']>,
): Readonly<Record<NonceScope, readonly NonceBinding[]>> {
  const of = (scope: NonceScope): readonly NonceBinding[] => [
    ...('length' in bind ? bind : (bind[scope] ?? [])),
  ]
  return { register: of('register'), initial: of('initial'), dialog: of('dialog') }
}

function kindOf(algorithm: DigestAlgorithm, qop: readonly Qop[], bind: readonly NonceBinding[]): number {
  let kind = DIGEST_SPECS.findIndex(({ name }) => name === algorithm)
  if (qop.includes('auth')) kind |= OFFERS_AUTH
  if (qop.includes('auth-int')) kind |= OFFERS_AUTH_INT
  if (bind.includes('source')) kind |= BOUND_TO_SOURCE
  if (bind.includes('call-id')) kind |= BOUND_TO_CALL
  if (bind.includes('from-tag')) kind |= BOUND_TO_TAG
  return kind
}

function qopOf(kind: number): readonly Qop[] {
  const qop: Qop[] = []
  if ((kind & OFFERS_AUTH) !== 0) qop.push('auth')
  if ((kind & OFFERS_AUTH_INT) !== 0) qop.push('auth-int')
  return qop
}

/** What the nonce is bound to says its own kind, so that a change of the configuration spoils none that are out. */
function writeMac(key: Mac, head: Uint8Array, origin: NonceOrigin, out: Uint8Array): void {
  const kind = head[0]!
  const { realm } = origin
  const source = (kind & BOUND_TO_SOURCE) === 0 ? '' : origin.source
  const callId = (kind & BOUND_TO_CALL) === 0 ? '' : origin.callId
  const fromTag = (kind & BOUND_TO_TAG) === 0 ? '' : origin.fromTag
  // Each with its length, or the end of one part could be taken for the start of the next.
  const parts = `${realm.length}:${realm}${source.length}:${source}${callId.length}:${callId}${fromTag.length}:${fromTag}`
  const digest = key.digest(LABEL + parts, 'utf8', head)
  for (let i = 0; i < MAC; i++) out[i] = digest.charCodeAt(i)
}

/** Random bytes by the hundred nonces: asking for a dozen costs as much as for a thousand. */
function createRandomPool(): (size: number) => Uint8Array {
  const pool = Buffer.alloc(RANDOM * 100)
  let at = pool.length
  return (size) => {
    if (at + size > pool.length) {
      randomFillSync(pool)
      at = 0
    }
    at += size
    return pool.subarray(at - size, at)
  }
}
