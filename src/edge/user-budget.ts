/**
 * How many requests of phones are judged a second. Trunks share a thread with them: what costs a hash and a look-up each
 * must not be asked for without end by whoever likes to.
 * @module
 */
import { LRUCache } from 'lru-cache'
import { createLimiter } from '../transport/limiter.ts'

/** Decides which requests are looked at. */
export interface UserBudget {
  /** Whether one more from `address` is judged now. */
  take(address: string): boolean
  /** A user was accepted from there: it keeps its share, whatever comes from elsewhere. */
  note(address: string): void
}

/** Of a second's budget, the part that may come at once: what is judged together holds everything else up. */
const AT_ONCE = 0.05

/** Addresses of users that are remembered. */
const MAX_KNOWN = 100_000

/**
 * Creates the budget: all requests together, and half of it at most for addresses from which no user was accepted before.
 * So a flood from anywhere leaves the other half to the phones that are there.
 * @param perSecond on average; a twentieth of it at once
 * @param now milliseconds of a clock that does not step
 */
export function createUserBudget(perSecond: number, now: () => number): UserBudget {
  const all = createLimiter(perSecond, Math.max(2, perSecond * AT_ONCE))
  const strangers = createLimiter(perSecond / 2, Math.max(1, (perSecond / 2) * AT_ONCE))
  const known = new LRUCache<string, true>({ max: MAX_KNOWN })
  return {
    take(address) {
      const at = now()
      return (known.has(address) || strangers('', at)) && all('', at)
    },
    note: (address) => void known.set(address, true),
  }
}
