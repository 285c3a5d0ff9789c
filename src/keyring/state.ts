/**
 * Which keys of one group may be used at an instant, and which of them signs. Pure functions of keys and time.
 *
 * - A key is *usable* until the earlier of `expires` and `revoked`. `activeFrom` never delays verifying.
 * - The usable key with the latest `activeFrom` that has come (absent: always) signs; ties go to the last listed.
 * - A signing key with a successor hands over `maxSkewMs` before its `expires`, so that a receiver whose clock is ahead
 *   by less still knows the key. A successor is a usable key whose `activeFrom` has come and which ends later.
 * @module
 */
import type { Key } from './key.ts'

/**
 * `pending` verifies, does not sign yet; `active` is the one that signs; `overlapping` verifies only; `expired` and
 * `revoked` do neither.
 */
export type KeyState = 'pending' | 'active' | 'overlapping' | 'expired' | 'revoked'

/** How long before its `expires` a signing key hands over to its successor, in milliseconds, unless set otherwise. */
export const MAX_SKEW_MS = 5_000

/** The part of a key that says when it ends. */
export interface Ends {
  readonly expires?: Date | undefined
  readonly revoked?: Date | undefined
}

/** The instant from which a key is not usable any more, in epoch milliseconds; `Infinity` if it has no end. */
export function endOf(key: Ends): number {
  return Math.min(key.expires?.getTime() ?? Infinity, key.revoked?.getTime() ?? Infinity)
}

/** The instant from which a key may sign, in epoch milliseconds; `-Infinity` if it always may. */
export function startOf(key: Pick<Key, 'activeFrom'>): number {
  return key.activeFrom?.getTime() ?? -Infinity
}

/** Whether a key verifies at `now`. */
export function isUsable(key: Ends, now: Date): boolean {
  return now.getTime() < endOf(key)
}

/** The key of a group that signs at `now`; `undefined` if none may. `keys` in listed order. */
export function signingKey(
  keys: readonly Key[],
  now: Date,
  maxSkewMs: number = MAX_SKEW_MS,
): Key | undefined {
  const candidates = keys.filter((key) => isUsable(key, now) && startOf(key) <= now.getTime())
  let signer = latest(candidates)
  for (;;) {
    const expires = signer?.expires?.getTime() ?? Infinity
    if (now.getTime() < expires - maxSkewMs) return signer
    const successor = latest(candidates.filter((key) => endOf(key) > expires))
    if (successor === undefined) return signer
    signer = successor
  }
}

/** The states at `now` of all keys of a group, in the order of `keys`. */
export function keyStates(
  keys: readonly Key[],
  now: Date,
  maxSkewMs: number = MAX_SKEW_MS,
): readonly KeyState[] {
  const signer = signingKey(keys, now, maxSkewMs)
  return keys.map((key) => {
    if (key === signer) return 'active'
    if (key.revoked && !(now < key.revoked)) return 'revoked'
    if (!isUsable(key, now)) return 'expired'
    return now.getTime() < startOf(key) ? 'pending' : 'overlapping'
  })
}

/**
 * The first instant after `now` at which the state of any key differs from its state at `now`; `undefined` if the states
 * stay for ever. Whatever was derived from the states can be kept until then.
 */
export function nextStateChange(
  keys: readonly Key[],
  now: Date,
  maxSkewMs: number = MAX_SKEW_MS,
): Date | undefined {
  const states = keyStates(keys, now, maxSkewMs).join()
  return keys
    .flatMap((key) => {
      const expires = key.expires?.getTime() ?? Infinity
      return [startOf(key), expires - maxSkewMs, expires, key.revoked?.getTime() ?? Infinity]
    })
    .filter((time) => time > now.getTime() && time < Infinity)
    .toSorted((a, b) => a - b)
    .map((time) => new Date(time))
    .find((time) => keyStates(keys, time, maxSkewMs).join() !== states)
}

function latest(keys: readonly Key[]): Key | undefined {
  return keys.reduce<Key | undefined>(
    (best, key) => (best === undefined || startOf(key) >= startOf(best) ? key : best),
    undefined,
  )
}
