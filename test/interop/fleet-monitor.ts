/**
 * Everything that a Redis is told and everything that it holds, for who looks for what must not be there.
 */
import { once } from 'node:events'
import { createConnection } from 'node:net'
import type { Redis } from 'ioredis'
import type { RedisServer } from '../support/redis.ts'
import { until } from './fleet-steps.ts'

/** Watches a Redis. */
export interface RedisMonitor {
  /** Every value that it holds now, in whatever type. */
  dump(): Promise<Buffer>
  /** @returns every command that it was given meanwhile, with its arguments */
  stop(): Promise<string>
}

/** Begins to watch. */
export async function monitorRedis(server: RedisServer): Promise<RedisMonitor> {
  const redis = server.client()
  // As bytes: a client that reads what it is told as replies trips over a server that is told much.
  const socket = createConnection(server.socket)
  let told = ''
  socket.on('data', (chunk) => (told += chunk.toString('latin1')))
  await once(socket, 'connect')
  socket.write('MONITOR\r\n')
  await until('Redis tells', () => told.startsWith('+OK'))
  return {
    async dump() {
      const values: unknown[] = []
      for (const key of await redis.keys('*')) values.push(key, await valueOf(redis, key))
      redis.disconnect()
      return Buffer.from(JSON.stringify(values))
    },
    async stop() {
      await redis.echo('the last one')
      await until('all is told', () => told.includes('the last one'))
      socket.destroy()
      return told
    },
  }
}

async function valueOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key)
  switch (type) {
    case 'string':
      return redis.get(key)
    case 'hash':
      return redis.hgetall(key)
    case 'list':
      return redis.lrange(key, 0, -1)
    case 'set':
      return redis.smembers(key)
    case 'zset':
      return redis.zrange(key, '0', '-1')
    case 'stream':
      return redis.xrange(key, '-', '+')
    default:
      throw new Error(`${key} is a ${type}`)
  }
}
