/**
 * What was found, remembered for a while in front of a store that takes time: so much is asked at once, one question a
 * thing, and nobody waits longer than the time allowed. Failures are never remembered.
 * @module
 */
import { performance } from 'node:perf_hooks'
import { LRUCache } from 'lru-cache'
import { ConfigError } from '../errors.ts'
import { createGate } from './gate.ts'

/** What `createLookupCache` takes. */
export interface LookupCacheOptions {
  /** How long what was found is remembered, milliseconds, default 300 000. */
  readonly foundMs?: number | undefined
  /** How long it is remembered that there is none, milliseconds, default 10 000. */
  readonly missingMs?: number | undefined
  /** Things remembered, and as many that are not there, default 10 000. */
  readonly capacity?: number | undefined
  /** Questions to the store at once, default 32. */
  readonly maxConcurrent?: number | undefined
  /** Requests that wait for an answer, default 1000; one more is refused at once. */
  readonly maxQueue?: number | undefined
  /** How long a request waits for the store, milliseconds, default 2000. */
  readonly timeoutMs?: number | undefined
  /** Milliseconds of a clock that does not step; default the system's. */
  readonly monotonic?: (() => number) | undefined
}

/** Counts since the start, for metrics. */
export interface LookupCacheCounts {
  /** Answered from memory. */
  readonly hits: number
  /** Answered by the store, or not at all; those that shared a question count each. */
  readonly misses: number
  /** Of the misses, those that were not answered. */
  readonly failures: number
  /** Requests that wait now. */
  readonly waiting: number
  /** Things remembered now. */
  readonly size: number
}

/** A store with a memory. */
export interface LookupCache<Query, Found> {
  /** At once where it is remembered. */
  readonly find: (query: Query) => Found | undefined | Promise<Found | undefined>
  /** Forgets what stands under some keys, also what is on its way. */
  readonly forget: (keys: Iterable<string>) => void
  /** Forgets all. */
  readonly clear: () => void
  readonly counts: () => LookupCacheCounts
}

/** A request was not answered by the store in time, or not asked because too many wait. */
export class CacheError extends Error {
  override readonly name = 'CacheError'
  readonly code: 'timeout' | 'queue-full'

  constructor(code: 'timeout' | 'queue-full') {
    super(code === 'timeout' ? 'the store did not answer in time' : 'too many wait for the store')
    this.code = code
  }
}

interface Entry<Found> {
  readonly found: Found | undefined
  readonly until: number
}

/**
 * Puts a memory in front of a store. A store that never settles keeps its place among the questions asked at once: it must
 * end them itself, as those here do.
 * @param keyOf the key that an answer is remembered under
 * @throws ConfigError `ERR_CONFIG_INVALID` with every number that is not a whole one above 0
 */
export function createLookupCache<Query, Found extends object>(
  ask: (query: Query) => Found | undefined | Promise<Found | undefined>,
  keyOf: (query: Query) => string,
  options: LookupCacheOptions = {},
): LookupCache<Query, Found> {
  const { foundMs = 300_000, missingMs = 10_000, capacity = 10_000 } = options
  const { maxConcurrent = 32, maxQueue = 1000, timeoutMs = 2000 } = options
  const monotonic = options.monotonic ?? (() => performance.now())
  refuseBadNumbers({ foundMs, missingMs, capacity, maxConcurrent, maxQueue, timeoutMs })

  // Apart: names that nobody has, of which there is no end, push out none that somebody has.
  const found = new LRUCache<string, Entry<Found>>({ max: capacity })
  const missing = new LRUCache<string, Entry<Found>>({ max: capacity })
  const gate = createGate({ limit: maxConcurrent, queue: maxQueue, full: () => new CacheError('queue-full') })
  /** Questions on their way; one that is no longer in here is answered, and not remembered. */
  const asked = new Map<string, Promise<Found | undefined>>()
  let [hits, misses, failures, waiting] = [0, 0, 0, 0]

  function recall(key: string): Entry<Found> | undefined {
    const now = monotonic()
    const entry = found.get(key) ?? missing.get(key)
    return entry !== undefined && now < entry.until ? entry : undefined
  }

  function find(query: Query): Found | undefined | Promise<Found | undefined> {
    const key = keyOf(query)
    const entry = recall(key)
    if (entry === undefined) return wait(key, query)
    hits++
    return entry.found
  }

  async function wait(key: string, query: Query): Promise<Found | undefined> {
    misses++
    if (waiting >= maxQueue) {
      failures++
      throw new CacheError('queue-full')
    }
    waiting++
    try {
      return await (asked.get(key) ?? begin(key, query))
    } catch (error) {
      failures++
      throw error
    } finally {
      waiting--
    }
  }

  function begin(key: string, query: Query): Promise<Found | undefined> {
    const control = new AbortController()
    const late = new Promise<never>((_, reject) => {
      control.signal.addEventListener('abort', () => reject(control.signal.reason as Error), { once: true })
    })
    const timer = setTimeout(() => control.abort(new CacheError('timeout')), timeoutMs)
    const isCurrent = (): boolean => asked.get(key) === question
    const question = Promise.race([late, askOnce(key, query, control.signal, isCurrent)]).finally(() => {
      clearTimeout(timer)
      if (isCurrent()) asked.delete(key)
    })
    asked.set(key, question)
    return question
  }

  async function askOnce(
    key: string,
    query: Query,
    signal: AbortSignal,
    isCurrent: () => boolean,
  ): Promise<Found | undefined> {
    await gate.enter(signal)
    try {
      const answer = await ask(query)
      if (isCurrent()) remember(key, answer)
      return answer
    } finally {
      gate.leave()
    }
  }

  function remember(key: string, answer: Found | undefined): void {
    const [memory, other] = answer === undefined ? [missing, found] : [found, missing]
    other.delete(key)
    memory.set(key, { found: answer, until: monotonic() + (answer === undefined ? missingMs : foundMs) })
  }

  return {
    find,
    forget(keys) {
      for (const key of keys) for (const memory of [found, missing, asked]) memory.delete(key)
    },
    clear() {
      for (const memory of [found, missing, asked]) memory.clear()
    },
    counts: () => ({ hits, misses, failures, waiting, size: found.size }),
  }
}

function refuseBadNumbers(numbers: Readonly<Record<string, number>>): void {
  const issues = Object.entries(numbers)
    .filter(([, value]) => !Number.isSafeInteger(value) || value < 1)
    .map(([path]) => ({ path, message: 'must be a whole number above 0' }))
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
}
