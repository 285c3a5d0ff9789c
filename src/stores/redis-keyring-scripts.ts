/**
 * What a Redis does for a shared keyring in one step each: scripts, which nothing comes between.
 * @module
 */
import { createRedisScript } from './redis-client.ts'

/** How many nodes a fleet can have, those among them that are gone and not forgotten. */
export const MAX_NODES = 20_000

/** How many confirmations are kept. */
export const MAX_CONFIRMATIONS = 10_000

/** Heartbeats that are fetched at once. */
const PAGE = 50

const MILLISECONDS = `
local function milliseconds()
  local t = redis.call('TIME')
  return string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
`

/**
 * Revision and text, the text only where the asker does not have it already.
 * KEYS: keyring; ARGV: SHA-1 of the text that the asker has, longest text in bytes
 */
export const READ = createRedisScript(`
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then
  if redis.call('EXISTS', KEYS[1]) == 1 then return {'damaged'} end
  return {'empty'}
end
if redis.call('HSTRLEN', KEYS[1], 'text') > tonumber(ARGV[2]) then return {'damaged'} end
local text = redis.call('HGET', KEYS[1], 'text')
if not text then return {'damaged'} end
if redis.sha1hex(text) == ARGV[1] then return {'same', revision} end
return {'read', revision, text}
`)

/**
 * Compares, sets, notes and tells. Of the text before its SHA-1 is compared, too: it was looked at for revoked keys.
 * KEYS: keyring, audit; ARGV: revision before or empty, SHA-1 of the text before, revision, text, audit line, lines kept,
 * channel
 */
export const REPLACE = createRedisScript(`
local revision = redis.call('HGET', KEYS[1], 'revision')
if ARGV[1] == 'empty' then
  if redis.call('EXISTS', KEYS[1]) == 1 then return 'conflict' end
elseif revision ~= ARGV[1] then
  return 'conflict'
elseif redis.sha1hex(redis.call('HGET', KEYS[1], 'text') or '') ~= ARGV[2] then
  return 'conflict'
end
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'text', ARGV[4])
redis.call('RPUSH', KEYS[2], ARGV[5])
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[6]), -1)
redis.call('PUBLISH', ARGV[7], ARGV[3])
return 'done'
`)

/** KEYS: audit; ARGV: line, lines kept */
export const NOTE = createRedisScript(`
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[2]), -1)
return 'done'
`)

/** KEYS: audit; ARGV: count */
export const AUDIT = createRedisScript(`return redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)`)

/** Stamped with the server's clock. KEYS: nodes; ARGV: node, heartbeat, most nodes */
export const BEAT = createRedisScript(`${MILLISECONDS}
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[1], milliseconds() .. ' ' .. ARGV[2])
return 'done'
`)

/** One page of heartbeats, and the server's clock. KEYS: nodes; ARGV: cursor */
export const BEATS = createRedisScript(`${MILLISECONDS}
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ${PAGE})
return {milliseconds(), page[1], page[2]}
`)

/** KEYS: nodes; ARGV: node */
export const FORGET = createRedisScript(`return redis.call('HDEL', KEYS[1], ARGV[1])`)

/** KEYS: confirmations; ARGV: most of them */
export const CONFIRMATIONS = createRedisScript(`
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then return 'full' end
return redis.call('HGETALL', KEYS[1])
`)

/**
 * Adds one, and drops others where they still are what they were.
 * KEYS: confirmations; ARGV: field, confirmation, most of them, then field and value of each that is dropped
 */
export const CONFIRM = createRedisScript(`
for i = 4, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'done'
`)
