/**
 * A limit on what one source makes us send: whoever puts somebody else's address on packets must not reach that
 * address through our refusals.
 * @module
 */
import { LRUCache } from 'lru-cache'

interface Bucket {
  tokens: number
  at: number
}

/** Says whether one more is allowed for `source` now. */
export type Limiter = (source: string, now: number) => boolean

/** Sources watched at once; of more, the one that was quiet longest starts anew. */
const MAX_SOURCES = 10_000

/**
 * Creates a token bucket per source.
 * @param perSecond allowed on average
 * @param atOnce allowed at once
 */
export function createLimiter(perSecond: number, atOnce: number = perSecond): Limiter {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_SOURCES })
  return (source, now) => {
    let bucket = buckets.get(source)
    if (bucket === undefined) buckets.set(source, (bucket = { tokens: atOnce, at: now }))
    const elapsed = Math.max(0, now - bucket.at)
    bucket.tokens = Math.min(atOnce, bucket.tokens + (elapsed * perSecond) / 1000)
    bucket.at = now
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }
}
