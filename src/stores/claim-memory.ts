/**
 * Claims in the memory of one process: gone with it, and not known to other nodes.
 * @module
 */
import { ConfigError } from '../errors.ts'
import type { ClaimResult, Claims } from '../pipeline/claim.ts'

/** What `createMemoryClaims` takes. */
export interface MemoryClaimsOptions {
  /** Claims held at once; one takes some 300 bytes. */
  readonly capacity: number
  /** The instant of creation, by the clock that what is claimed is dated by. */
  readonly since: Date
  /** Milliseconds of a clock that does not step. */
  readonly monotonic: () => number
}

/** Claims that can be counted. Answers at once. */
export interface MemoryClaims extends Claims {
  claim(key: string, value: string, ttl: number): ClaimResult
  /** What a key is claimed with now; `undefined`: it is not. */
  held(key: string): string | undefined
  readonly since: Date
  /** Claims held, ended ones that were not yet cleared away among them. */
  readonly size: number
}

interface Claim {
  readonly value: string
  readonly ends: number
}

/** Claims that end within one of these are cleared away together, milliseconds. */
const SLOT = 1000

/**
 * Creates an empty memory.
 * @throws ConfigError `ERR_CONFIG_INVALID` on a capacity that is no whole number above 0.
 */
export function createMemoryClaims({ capacity, since, monotonic }: MemoryClaimsOptions): MemoryClaims {
  if (!Number.isSafeInteger(capacity) || capacity < 1)
    throw new ConfigError('ERR_CONFIG_INVALID', [
      { path: 'capacity', message: 'must be a whole number, at least 1' },
    ])
  const claims = new Map<string, Claim>()
  // Keys by the slot behind whose end all of them have ended; few lifetimes are in use, so few slots are open.
  const slots = new Map<number, string[]>()
  let earliest = Infinity

  function sweep(now: number): void {
    if (now < earliest) return
    earliest = Infinity
    for (const [slot, keys] of slots) {
      const end = (slot + 1) * SLOT
      if (end > now) {
        if (end < earliest) earliest = end
        continue
      }
      slots.delete(slot)
      // A key that was claimed anew after its end stands in a later slot, too.
      for (const key of keys) if ((claims.get(key)?.ends ?? Infinity) <= now) claims.delete(key)
    }
  }

  return {
    since: new Date(since),
    get size() {
      return claims.size
    },
    held(key) {
      const held = claims.get(key)
      return held !== undefined && held.ends > monotonic() ? held.value : undefined
    },
    claim(key, value, ttl) {
      const now = monotonic()
      sweep(now)
      const held = claims.get(key)
      if (held !== undefined && held.ends > now) return held.value === value ? 'same' : 'other'
      if (held === undefined && claims.size >= capacity) return 'full'
      const ends = now + ttl
      claims.set(key, { value, ends })
      const slot = Math.floor(ends / SLOT)
      const keys = slots.get(slot)
      if (keys === undefined) slots.set(slot, [key])
      else keys.push(key)
      earliest = Math.min(earliest, (slot + 1) * SLOT)
      return 'new'
    },
  }
}
