/**
 * Which keys count now: computed once per change of a group's state, not per message.
 * @module
 */
import type { Key } from '../keyring/key.ts'
import type { Keyring, KeyringSource, KeyRef } from '../keyring/keyring.ts'
import type { Agreement } from './agreement.ts'
import { keyedHash, wipe, type KeyedHash, type WorkBuffer } from './algorithm.ts'

/** A key bound to the agreement's algorithm. */
export interface BoundKey {
  readonly ref: KeyRef
  readonly state: 'pending' | 'active' | 'overlapping'
  readonly hash: KeyedHash
  /** Longest data that this key may hash, bytes. */
  readonly maxData: number
}

/** The keys of one group at one time. */
export interface Selection {
  readonly known: boolean
  readonly signing: BoundKey | undefined
  readonly verifying: readonly BoundKey[]
}

const NOTHING: Selection = { known: false, signing: undefined, verifying: [] }

/** Reads the keyring once and says which keys count now. */
export type KeySelector = () => Selection

/** Where a signer or verifier takes its keys and its time from. */
export interface KeyOptions {
  readonly agreement: Agreement
  readonly keyring: Keyring | KeyringSource
  /** Default: the system clock. */
  readonly now?: () => Date
}

/**
 * Makes the selector of a signer or verifier.
 * @param work wiped whenever the keys change, so that a pruned secret leaves no trace in it.
 * @param use which keys to bind; binding the others would only copy secrets.
 */
export function selectKeys(options: KeyOptions, work: WorkBuffer, use: 'sign' | 'verify'): KeySelector {
  const { agreement, keyring } = options
  const source = typeof keyring === 'function' ? keyring : () => keyring
  const clock =
    options.now === undefined
      ? Date.now
      : (
          (now) => () =>
            now().getTime()
        )(options.now)
  let last = -Infinity
  let current: Keyring | undefined
  let validUntil = -Infinity
  let selection = NOTHING

  return () => {
    const ring = source()
    const wall = clock()
    // A clock that steps back must not revive a key.
    if (wall > last) last = wall
    // Without a time nothing can be said to have ended or begun: nothing is usable, and nothing is kept.
    if (!Number.isFinite(last)) return NOTHING
    if (ring === current && last < validUntil) return selection
    wipe(work)
    // Nobody holds them beyond one message.
    for (const key of [selection.signing, ...selection.verifying]) key?.hash.forget()
    const now = new Date(last)
    selection = bindKeys(ring, agreement, now, use)
    validUntil = ring.nextChange(agreement.group, now)?.getTime() ?? Infinity
    current = ring
    return selection
  }
}

function bindKeys(ring: Keyring, agreement: Agreement, now: Date, use: 'sign' | 'verify'): Selection {
  const { group, spec, maxData } = agreement
  // Not `keyState` key by key, nor `list`: a group of a thousand keys, or a keyring of thousands, would stall the process.
  const signer = ring.activeKey(group, now)
  const bind = (key: Key): BoundKey => {
    const isPending = key.activeFrom !== undefined && key.activeFrom.getTime() > now.getTime()
    const state = key === signer ? 'active' : isPending ? 'pending' : 'overlapping'
    const secret = key.secret.export()
    const hash = keyedHash(spec, secret)
    // auth_xkeys.c: secret, ":", data and a NUL must fit in pv_buffer_size with a byte to spare.
    const room = spec.family === 'sha' ? maxData - secret.length - 3 : maxData
    secret.fill(0)
    return { ref: { group, name: key.name }, state, hash, maxData: room }
  }
  const active = use === 'sign' ? signer : undefined
  return {
    known: ring.hasGroup(group),
    signing: active === undefined ? undefined : bind(active),
    verifying: use === 'verify' ? ring.verificationKeys(group, now).map(bind) : [],
  }
}
