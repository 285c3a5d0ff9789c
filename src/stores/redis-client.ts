/**
 * A connection to Redis that is bounded in everything: no command waits longer than its time, no more of them are under
 * way than a fixed number, none is kept for later. It connects again for ever.
 * @module
 */
import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { codeOf, ConfigError } from '../errors.ts'
import { isUnknownScript, redisFault } from './redis-error.ts'
import { readRedisSettings, type RedisPlace, type RedisSettings } from './redis-settings.ts'
import { StoreError } from './store-error.ts'

/** What a server runs as one step. */
export interface RedisScript {
  readonly lua: string
  readonly sha: string
}

/** An open connection, or one that is being opened. What it rejects with is a `StoreError`. */
export interface RedisClient {
  /** For messages: no user, no password. */
  readonly place: string
  /** Waits until the server can be asked; rejects when a try to connect fails, or a command's time has passed. */
  ready(): Promise<void>
  /** Runs a script. Rejects at once where there is no connection, or too much is under way. */
  run(script: RedisScript, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown>
  /**
   * Listens on a connection of its own. `onListening`: from now on nothing is missed; told after every interruption.
   */
  listen(channel: string, onMessage: () => void, onListening: () => void): { close(): void }
  /** Ends it: what is under way rejects. */
  close(): Promise<void>
}

/** Commands that may be under way at once. */
const MAX_UNDER_WAY = 2048

/** How often a connection that only listens is tried, milliseconds: a dead one tells nothing. */
const TRY_EVERY = 10_000

/** Makes a script. */
export function createRedisScript(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/**
 * Opens a client; whether the server can be reached shows in what it is asked.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue of the settings, or where ioredis is not installed
 */
export async function openRedis(settings: RedisSettings): Promise<RedisClient> {
  const read = readRedisSettings(settings)
  if (!('place' in read)) throw new ConfigError('ERR_CONFIG_INVALID', read)
  const library = await loadLibrary()
  const connect = (): Redis | Cluster => connectTo(library, read)
  const { timeout } = read
  const client = connect()
  const inTime = limitTime(client, timeout)
  const listeners = new Set<{ close(): void }>()
  const waiting = new Set<(fault: StoreError | undefined) => void>()
  let lastFault: StoreError | undefined
  let underWay = 0
  let closed = false

  const tell = (fault: StoreError | undefined): void => {
    lastFault = fault
    for (const wake of waiting) wake(fault)
  }
  client.on('ready', () => tell(undefined))
  client.on('error', (error: unknown) => tell(redisFault(error)))
  // Of a cluster: one node may fail while the others serve.
  client.on('node error', (error: unknown) => {
    lastFault = redisFault(error)
  })

  function ready(): Promise<void> {
    if (client.status === 'ready') return Promise.resolve()
    if (closed) return Promise.reject(wasClosed())
    if (waiting.size >= MAX_UNDER_WAY) return Promise.reject(tooMuch())
    return new Promise((done, refuse) => {
      const wake = (fault: StoreError | undefined): void => {
        clearTimeout(timer)
        waiting.delete(wake)
        if (fault === undefined) done()
        else refuse(fault)
      }
      const timer = setTimeout(() => wake(lastFault ?? tooSlow(timeout)), timeout)
      waiting.add(wake)
    })
  }

  async function run(
    { lua, sha }: RedisScript,
    keys: readonly string[],
    values: readonly (string | number)[],
  ): Promise<unknown> {
    if (client.status !== 'ready') throw lastFault ?? new StoreError('away', 'there is no connection to it')
    if (underWay >= MAX_UNDER_WAY) throw tooMuch()
    underWay++
    try {
      const answer = client.evalsha(sha, keys.length, ...keys, ...values).catch((error: unknown) => {
        if (isUnknownScript(error)) return client.call('eval', lua, keys.length, ...keys, ...values)
        throw error
      })
      return await inTime(answer)
    } catch (error) {
      throw redisFault(error)
    } finally {
      underWay--
    }
  }

  return {
    place: read.place,
    ready,
    run,
    listen(channel, onMessage, onListening) {
      const listener = listenOn(connect(), timeout, { channel, onMessage, onListening })
      listeners.add(listener)
      return {
        close() {
          listeners.delete(listener)
          listener.close()
        },
      }
    },
    async close() {
      closed = true
      for (const listener of listeners) listener.close()
      listeners.clear()
      await end(client)
      tell(wasClosed())
    },
  }
}

interface Listening {
  readonly channel: string
  readonly onMessage: () => void
  readonly onListening: () => void
}

function listenOn(
  client: Redis | Cluster,
  timeout: number,
  { channel, onMessage, onListening }: Listening,
): { close(): void } {
  const inTime = limitTime(client, timeout)
  let closed = false
  // Whoever opened it hears of errors from what it asks.
  client.on('error', () => {})
  client.on('message', () => {
    if (!closed) onMessage()
  })
  client.on('ready', () => {
    void subscribe()
  })
  async function subscribe(): Promise<void> {
    try {
      await inTime(client.subscribe(channel))
      if (!closed) onListening()
    } catch {
      if (!closed) client.disconnect(true)
    }
  }
  const timer = setInterval(() => {
    if (client.status === 'ready') inTime(client.ping()).catch(() => {})
  }, TRY_EVERY)
  timer.unref()
  return {
    close() {
      closed = true
      clearInterval(timer)
      void end(client)
    },
  }
}

/**
 * Waits for what a command answers, for a time. One that is not answered takes the connection with it: it may be dead, and
 * what is sent after it would queue up behind it.
 */
function limitTime(client: Redis | Cluster, timeout: number): <T>(answer: Promise<T>) => Promise<T> {
  let dropping = false
  client.on('close', () => {
    dropping = false
  })
  function drop(): void {
    if (dropping || client.status !== 'ready') return
    dropping = true
    client.disconnect(true)
  }
  return async (answer) => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, refuse) => {
      timer = setTimeout(() => {
        refuse(tooSlow(timeout))
        drop()
      }, timeout)
    })
    try {
      return await Promise.race([answer, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Ends a connection; never waits longer than it takes to give one up that does not answer. */
async function end(client: Redis | Cluster): Promise<void> {
  // Between two tries there is nothing to wait for.
  if (client.status === 'end' || client.status === 'reconnecting') return client.disconnect()
  await new Promise<void>((done) => {
    const timer = setTimeout(done, 1000)
    client.once('end', () => {
      clearTimeout(timer)
      done()
    })
    client.disconnect()
  })
}

const tooSlow = (timeout: number): StoreError =>
  new StoreError('away', `it does not answer within ${timeout / 1000} s`)
const wasClosed = (): StoreError => new StoreError('away', 'the connection was closed')
const tooMuch = (): StoreError =>
  new StoreError('busy', `more than ${MAX_UNDER_WAY} commands are under way from here`)

type Library = Pick<typeof import('ioredis'), 'Redis' | 'Cluster'>

async function loadLibrary(): Promise<Library> {
  try {
    return await import('ioredis')
  } catch (error) {
    const message = `needs the package ioredis, which cannot be loaded (${codeOf(error)}): npm install ioredis`
    throw new ConfigError('ERR_CONFIG_INVALID', [{ path: 'url', message }])
  }
}

function connectTo({ Redis, Cluster }: Library, { options, cluster }: RedisPlace): Redis | Cluster {
  if (cluster === undefined) return new Redis(options)
  return new Cluster([...cluster.nodes], cluster.options)
}
