/**
 * A bounded pool of connections: so many at once, so many waiting, nothing longer than its time. It connects by itself when
 * it is asked, so a database that was away is found again by the next question.
 * @module
 */
import { performance } from 'node:perf_hooks'
import type { RunSql, SqlConnection, SqlDriver, SqlResult, SqlStatement } from './sql-connection.ts'
import { SqlError } from './sql-error.ts'

/** What a database is at the moment. */
export type SqlState = 'up' | 'down'

/** How a pool behaves. */
export interface SqlPoolOptions {
  /** Connections at once; default 10, of SQLite 2. */
  readonly poolSize?: number | undefined
  /** Questions that wait for a connection, default 1000; one more is refused at once. */
  readonly maxQueue?: number | undefined
  /** How long a question may take, milliseconds, with waiting and connecting; default 2000. */
  readonly timeoutMs?: number | undefined
  /** Told once when questions begin to fail, with the code of the first failure, and once when one is answered again. */
  readonly onState?: ((state: SqlState, code: string) => void) | undefined
}

/** Connections to one database. */
export interface SqlPool {
  /** One question of its own. Rejects with `SqlError`; then its connection is gone unless the database answered. */
  readonly run: RunSql
  /** Several statements on one connection, each with the time of a question. */
  session<T>(work: (run: RunSql) => Promise<T>): Promise<T>
  /** Questions that wait for a connection. */
  readonly waiting: number
  /** Ends every connection; what waits is refused, and so is what comes later. */
  readonly close: () => Promise<void>
}

/** The defaults. */
export const SQL_DEFAULTS = { maxQueue: 1000, timeoutMs: 2000 } as const

interface Waiter {
  readonly grant: () => void
  readonly refuse: (error: SqlError) => void
}
interface Idle {
  readonly connection: SqlConnection
  readonly since: number
}
interface Held {
  readonly connection: SqlConnection
  readonly isFresh: boolean
}

/** Makes a pool. Connects when it is asked. */
export function createSqlPool(driver: SqlDriver, options: SqlPoolOptions = {}): SqlPool {
  const { poolSize = driver.poolSize, maxQueue = SQL_DEFAULTS.maxQueue } = options
  const { timeoutMs = SQL_DEFAULTS.timeoutMs, onState = () => {} } = options
  const idle: Idle[] = []
  const open = new Set<SqlConnection>()
  const waiting = new Set<Waiter>()
  let free = poolSize
  let isClosed = false
  let state: SqlState = 'up'
  /** Counts outages: an answer to a question from before one does not end it. */
  let outages = 0

  /** The right to hold a connection. */
  function take(until: number): Promise<void> | undefined {
    if (isClosed) throw new SqlError('lost', 'closed')
    if (free > 0) {
      free--
      return undefined
    }
    if (waiting.size >= maxQueue) throw new SqlError('full', 'queue-full')
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        waiting.delete(waiter)
      }
      const waiter: Waiter = {
        grant: () => {
          leave()
          resolve()
        },
        refuse: (error) => {
          leave()
          reject(error)
        },
      }
      const timer = setTimeout(() => waiter.refuse(timeout()), until - performance.now())
      waiting.add(waiter)
    })
  }

  function giveBack(): void {
    const [next] = waiting
    if (next === undefined) free++
    else next.grant()
  }

  function hold(): Held {
    const youngest = performance.now() - driver.maxIdleMs
    for (let last = idle.pop(); last !== undefined; last = idle.pop()) {
      if (last.connection.isUsable() && last.since > youngest)
        return { connection: last.connection, isFresh: false }
      void end(last.connection)
    }
    const connection = driver.connect()
    open.add(connection)
    return { connection, isFresh: true }
  }

  async function end(connection: SqlConnection): Promise<void> {
    await connection.destroy()
    open.delete(connection)
  }

  /** Puts a connection back. One that is ended keeps its place until nothing of it is left. */
  function release(connection: SqlConnection, is: 'sound' | 'spoiled'): void {
    if (is === 'sound' && connection.isUsable() && !isClosed) {
      idle.push({ connection, since: performance.now() })
      giveBack()
    } else void end(connection).then(giveBack)
  }

  function note(outcome: 'answered' | SqlError, begun: number): void {
    if (isClosed) return
    if (outcome === 'answered' || outcome.fault === 'value' || outcome.fault === 'duplicate') {
      if (state === 'down' && begun === outages) onState((state = 'up'), 'answered')
    } else if (state === 'up' && outcome.fault !== 'full') {
      outages++
      onState((state = 'down'), outcome.code)
    }
  }

  async function run(statement: SqlStatement): Promise<SqlResult> {
    const until = performance.now() + timeoutMs
    await take(until)
    const begun = outages
    for (;;) {
      const { connection, isFresh } = hold()
      try {
        const result = await ask(connection, statement, until)
        note('answered', begun)
        release(connection, 'sound')
        return result
      } catch (error) {
        const told = error as SqlError
        if (told.fault !== 'lost' || isFresh) {
          note(told, begun)
          release(connection, isAnswer(told) ? 'sound' : 'spoiled')
          throw told
        }
        // The server had ended an idle connection without our knowing: the next one is asked, at last a new one.
        await end(connection)
      }
    }
  }

  async function session<T>(work: (run: RunSql) => Promise<T>): Promise<T> {
    await take(performance.now() + timeoutMs)
    const { connection } = hold()
    let is: 'sound' | 'spoiled' = 'sound'
    try {
      return await work(async (statement) => {
        const begun = outages
        try {
          const result = await ask(connection, statement, performance.now() + timeoutMs)
          note('answered', begun)
          return result
        } catch (error) {
          note(error as SqlError, begun)
          if (!isAnswer(error as SqlError)) is = 'spoiled'
          throw error
        }
      })
    } finally {
      release(connection, is)
    }
  }

  return {
    get waiting() {
      return waiting.size
    },
    run,
    session,
    async close() {
      isClosed = true
      for (const waiter of waiting) waiter.refuse(new SqlError('lost', 'closed'))
      await Promise.all(Array.from(open, end))
    },
  }
}

/** Asks on a connection, once it is ready. Rejects with nothing but `SqlError`. */
async function ask(connection: SqlConnection, statement: SqlStatement, until: number): Promise<SqlResult> {
  try {
    await within(connection.ready, until)
    return await within(connection.run(statement), until)
  } catch (error) {
    throw error instanceof SqlError ? error : new SqlError('failed', 'unknown')
  }
}

/** Whether the database itself said so, on a connection that can go on. */
function isAnswer({ fault }: SqlError): boolean {
  return fault === 'value' || fault === 'duplicate' || fault === 'statement'
}

const timeout = (): SqlError => new SqlError('slow', 'timeout')

/** What a promise gives, or a timeout. */
async function within<T>(promise: Promise<T>, until: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timeout()), Math.max(0, until - performance.now()))
  })
  try {
    // The one that loses is handled as well: `race` listens to both.
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
