/**
 * Wrong passwords, counted by source and by user, and who is not listened to for a while because of them. Only answers
 * that were wrong count: neither challenges nor stale nonces do.
 * @module
 */
import { isIPv4, isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import { ConfigError } from '../errors.ts'

/** What `createFailures` takes. */
export interface FailureOptions {
  /** Failures of one source after which it is banned, default 20. */
  readonly perSource?: number | undefined
  /** Failures of one user after which sources that never authenticated as that user are not listened to, default 50. */
  readonly perUser?: number | undefined
  /** After this time a failure counts half, milliseconds, default 300 000. */
  readonly halfLife?: number | undefined
  /** How long a ban lasts, milliseconds, default 600 000. */
  readonly ban?: number | undefined
  /** Sources, users and bans remembered, each, default 50 000. */
  readonly capacity?: number | undefined
  /** Addresses that are never banned. */
  readonly isAllowed?: ((address: string) => boolean) | undefined
  /** Milliseconds of a clock that does not step back. */
  readonly now: () => number
}

/** Counts failures, and says who is banned. */
export interface Failures {
  /** Whether nothing from `address` is listened to. */
  isBanned(address: string): boolean
  /** Whether `address` is not listened to as this user. Never so where it authenticated as that user before. */
  isUserBanned(address: string, user: string): boolean
  /** Counts a wrong answer. @returns what is banned by it */
  fail(address: string, user: string): 'source' | 'user' | undefined
  /** Bans a source at once, as a hook asks for. @returns what is banned by it: nothing where it is allowed, or for want of room */
  ban(address: string): 'source' | undefined
  /** Notes a right answer: whoever has the password is no stranger to the user. */
  succeed(address: string, user: string): void
  /** Ends a ban by hand. @returns whether there was one */
  forgive(address: string): boolean
  /** Bans in force, sources and users; for metrics. */
  readonly banned: number
  /** Bans that were not made for want of room. */
  readonly overflows: number
}

/** A count that fades. */
interface Count {
  score: number
  at: number
}

/**
 * Creates the counts. Forgetting a count under pressure only makes it smaller; a ban is never given up for another.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every number that is not above 0.
 */
export function createFailures(options: FailureOptions): Failures {
  const { perSource = 20, perUser = 50, halfLife = 300_000, ban = 600_000, capacity = 50_000, now } = options
  const isAllowed = options.isAllowed ?? (() => false)
  const issues = Object.entries({ perSource, perUser, halfLife, ban, capacity })
    .filter(
      ([path, value]) => !(value > 0 && Number.isFinite(value) && (path !== 'capacity' || value % 1 === 0)),
    )
    .map(([path]) => ({
      path,
      message: path === 'capacity' ? 'must be a whole number above 0' : 'must be above 0',
    }))
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)

  const counts = new LRUCache<string, Count>({ max: 2 * capacity })
  const known = new LRUCache<string, true>({ max: capacity })
  // All bans last equally long, so the oldest is the first to end.
  const bans = new Map<string, number>()
  let overflows = 0

  function sweep(time: number): void {
    for (const [key, until] of bans) {
      if (until > time) break
      bans.delete(key)
    }
  }

  function isHeld(key: string): boolean {
    const until = bans.get(key)
    return until !== undefined && until > now()
  }

  /** Adds a failure. True where the key is banned by it. */
  function count(key: string, limit: number): boolean {
    const time = now()
    const { score, at } = counts.get(key) ?? { score: 0, at: time }
    const next = score * 2 ** (-Math.max(0, time - at) / halfLife) + 1
    counts.set(key, { score: next, at: time })
    return next >= limit && !isHeld(key) && hold(key, time)
  }

  /** Bans. False where there is no room. */
  function hold(key: string, time: number): boolean {
    sweep(time)
    counts.delete(key)
    if (bans.size >= capacity) {
      overflows++
      return false
    }
    bans.delete(key)
    bans.set(key, time + ban)
    return true
  }

  return {
    isBanned: (address) => bans.size > 0 && !isAllowed(address) && isHeld(sourceKey(address)),
    isUserBanned: (address, user) =>
      bans.size > 0 && isHeld(userKey(user)) && !isAllowed(address) && !known.has(pairKey(address, user)),
    fail(address, user) {
      const source = !isAllowed(address) && count(sourceKey(address), perSource)
      if (count(userKey(user), perUser)) return source ? 'source' : 'user'
      return source ? 'source' : undefined
    },
    ban: (address) => (!isAllowed(address) && hold(sourceKey(address), now()) ? 'source' : undefined),
    succeed: (address, user) => void known.set(pairKey(address, user), true),
    forgive(address) {
      counts.delete(sourceKey(address))
      return bans.delete(sourceKey(address))
    },
    get banned() {
      sweep(now())
      return bans.size
    },
    get overflows() {
      return overflows
    },
  }
}

const userKey = (user: string): string => `u:${user}`
const pairKey = (address: string, user: string): string => `${sourceKey(address)} ${user}`

/** One host has a whole /64 of IPv6 to itself, so that is what counts; a dual-stack socket shows IPv4 as ::ffff:a.b.c.d. */
function sourceKey(address: string): string {
  if (!address.includes(':')) return `s:${address}`
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : ''
  if (isIPv4(mapped)) return `s:${mapped}`
  return isIPv6(address) ? `s:${firstHalf(address)}` : `s:${address}`
}

/** The first four groups, written one way. */
function firstHalf(address: string): string {
  const [head = '', tail] = address.split('%', 1)[0]!.split('::', 2)
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? 0 : 8 - groups.length - rest.length - (address.includes('.') ? 1 : 0)
  const all = [...groups, ...Array.from({ length: Math.max(0, gap) }, () => '0'), ...rest]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
