/**
 * Claims in Redis, which several nodes share: `xkeys:{PREFIX}:claim:KEY`, each with its end. One script looks and claims, so
 * that two nodes get one `new` between them. The server must not evict: `maxmemory-policy noeviction`, the default.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { ConfigError } from '../errors.ts'
import type { ClaimResult, Claims } from '../pipeline/claim.ts'
import { createRedisScript, type RedisClient } from './redis-client.ts'
import { StoreError } from './store-error.ts'

/** What `createRedisClaims` takes. */
export interface RedisClaimsOptions {
  readonly client: RedisClient
  /** Keeps these claims apart from others in the same Redis. */
  readonly prefix: string
  /** Claims held at once; absent: as many as the server has memory for. */
  readonly capacity?: number | undefined
}

/** What a Redis answers. */
export interface RedisClaim {
  readonly result: ClaimResult
  /** What the key is claimed with now; absent where it is not. */
  readonly held?: string
  /** How long the key is held from now on, milliseconds; 0 where it is not. */
  readonly left: number
  /** Another one than before: the server has lost what it held. */
  readonly epoch: string
}

/** Claims in Redis. They reject with a `StoreError`, never later than a command's time. */
export interface RedisClaims extends Claims {
  claim(key: string, value: string, ttl: number): Promise<ClaimResult>
  /** As `claim`, with what else the server knows. */
  ask(key: string, value: string, ttl: number): Promise<RedisClaim>
  /**
   * Sees whether the server can take claims; rejects, too, where it would give some up for want of memory.
   * @returns its epoch
   */
  probe(): Promise<string>
}

/**
 * KEYS: claim, epoch, index of the claims; ARGV: value, ttl, an epoch for a server that has none, most claims or 0.
 * Without memory nothing is written, what is held can still be told.
 */
const CLAIM = createRedisScript(`
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[3]
  if redis.pcall('SET', KEYS[2], epoch).err then return {'full', '', 0, ''} end
end
local held = redis.call('GET', KEYS[1])
if held then return {held == ARGV[1] and 'same' or 'other', held, redis.call('PTTL', KEYS[1]), epoch} end
local most = tonumber(ARGV[4])
local now = 0
if most > 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  if redis.call('ZCARD', KEYS[3]) >= most then return {'full', '', 0, epoch} end
end
if redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]).err then return {'full', '', 0, epoch} end
if most > 0 then redis.call('ZADD', KEYS[3], now + tonumber(ARGV[2]), KEYS[1]) end
return {'new', ARGV[1], tonumber(ARGV[2]), epoch}
`)

/**
 * The epoch, and how the server evicts; empty where it does not, or does not tell.
 * KEYS: epoch; ARGV: an epoch for a server that has none
 */
const PROBE = createRedisScript(`
redis.call('SET', KEYS[1], ARGV[1], 'NX')
local memory = redis.pcall('INFO', 'memory')
local policy = ''
if type(memory) == 'string' and tonumber(string.match(memory, 'maxmemory:(%d+)') or '0') > 0 then
  policy = string.match(memory, 'maxmemory_policy:(%S+)') or ''
end
return {redis.call('GET', KEYS[1]), policy == 'noeviction' and '' or policy}
`)

const RESULTS: ReadonlySet<unknown> = new Set<ClaimResult>(['new', 'same', 'other', 'full'])

/**
 * Makes the claims; the client stays the caller's, who closes it.
 * @throws ConfigError `ERR_CONFIG_INVALID` on a capacity that is no whole number above 0
 */
export function createRedisClaims({ client, prefix, capacity }: RedisClaimsOptions): RedisClaims {
  if (capacity !== undefined && (!Number.isSafeInteger(capacity) || capacity < 1))
    throw new ConfigError('ERR_CONFIG_INVALID', [
      { path: 'capacity', message: 'must be a whole number, at least 1' },
    ])
  // The braces keep all of them on one node of a Cluster, where one script can see them.
  const base = `xkeys:{${encodeURIComponent(prefix)}}:`
  const [epoch, index] = [`${base}epoch`, `${base}claims`]

  async function ask(key: string, value: string, ttl: number): Promise<RedisClaim> {
    const keys = [`${base}claim:${key}`, epoch, index]
    const answer = await client.run(CLAIM, keys, [
      value,
      Math.max(1, Math.ceil(ttl)),
      newEpoch(),
      capacity ?? 0,
    ])
    const [result, held, left, found] = Array.isArray(answer) ? (answer as unknown[]) : []
    if (!RESULTS.has(result)) throw new StoreError('damaged', 'a claim in it is damaged')
    return {
      result: result as ClaimResult,
      ...(result !== 'full' && { held: String(held) }),
      left: Math.max(0, Number(left)),
      epoch: String(found),
    }
  }

  return {
    ask,
    claim: async (key, value, ttl) => (await ask(key, value, ttl)).result,
    async probe() {
      await client.ready()
      const answer = await client.run(PROBE, [epoch], [newEpoch()])
      const [found, policy] = Array.isArray(answer) ? (answer as unknown[]) : []
      if (policy === '') return String(found)
      const message = `it gives up claims where it lacks memory: its maxmemory-policy is ${String(policy)}, not noeviction`
      throw new StoreError('refused', message)
    },
  }
}

function newEpoch(): string {
  return randomBytes(8).toString('hex')
}
