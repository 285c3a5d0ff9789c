/**
 * SQLite, through `libsql`, each connection in a thread of its own.
 * @module
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { SqlCell, SqlConnection, SqlDriver, SqlResult, SqlStatement } from './sql-connection.ts'
import { SqlError, statementError } from './sql-error.ts'
import type { SqliteAsk, SqliteOpen, SqliteTold, SqliteValue } from './sql-sqlite-worker.ts'
import type { SqlitePlace } from './sql-url.ts'

/** What `loadSqlite` takes. */
export interface SqliteOptions {
  readonly place: SqlitePlace
  readonly access: SqliteOpen['access']
  readonly timeoutMs: number
}

/** Node 20 runs no TypeScript: from the sources, the built thread is used. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/stores/sql-sqlite-worker.js' : './sql-sqlite-worker.js',
  import.meta.url,
)
/** How long a thread has to end by itself, milliseconds. */
const FAREWELL = 1000

/**
 * Makes the driver.
 * @param load finds `libsql`, which the thread imports
 */
export async function loadSqlite(options: SqliteOptions, load: () => Promise<unknown>): Promise<SqlDriver> {
  await load()
  const { place, access, timeoutMs } = options
  return {
    poolSize: 2,
    maxIdleMs: Infinity,
    connect: () => connect({ path: place.path, access, busyMs: timeoutMs }),
  }
}

function connect(workerData: SqliteOpen): SqlConnection {
  const worker = new Worker(WORKER, { workerData })
  const exited = once(worker, 'exit').catch(() => {})
  let isUsable = true
  let isEnding = false
  /** The one that waits for an answer; at first, for the thread to be ready. */
  let waiting: ((told: SqliteTold | SqlError) => void) | undefined
  const settle = (told: SqliteTold | SqlError): void => {
    const settleOne = waiting
    waiting = undefined
    settleOne?.(told)
  }
  worker.on('message', settle)
  worker.on('error', () => (isUsable = false))
  worker.on('exit', () => {
    isUsable = false
    settle(new SqlError('lost', 'thread-ended'))
  })
  const answer = (): Promise<SqlResult> =>
    new Promise((resolve, reject) => {
      waiting = (told) => {
        if (told instanceof SqlError) reject(told)
        else if ('code' in told) reject(toSqlError(told))
        else resolve({ ...told, rows: told.rows.map((row) => row.map(toCell)) })
      }
    })
  const ready = answer().then(
    () => undefined,
    (error: unknown) => {
      isUsable = false
      throw error
    },
  )
  // Whoever gives up before it settles does not listen any more.
  ready.catch(() => {})
  return {
    ready,
    run({ text, values }: SqlStatement) {
      if (!isUsable) return Promise.reject(new SqlError('lost', 'thread-ended'))
      // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage({ text, values } satisfies SqliteAsk)
      return answer()
    },
    isUsable: () => isUsable,
    async destroy() {
      if (isEnding) return void (await exited)
      isEnding = true
      isUsable = false
      // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage({ end: true } satisfies SqliteAsk)
      const timer = setTimeout(() => void worker.terminate(), FAREWELL)
      await exited
      clearTimeout(timer)
    },
  }
}

function toCell(value: SqliteValue): SqlCell {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  return typeof value === 'string' ? value : String(value)
}

const DENIED = /^(?:SQLITE_(?:NOTADB|CANTOPEN|CORRUPT|AUTH|PERM)|E[A-Z]+$)/
const SLOW = /^SQLITE_(?:BUSY|LOCKED|INTERRUPT)/

/** `SQLITE_READONLY_DIRECTORY`, for which the driver has no name. */
const FOLDER = 'UNKNOWN_SQLITE_ERROR_1544'

/** The error that an answer of the thread amounts to. */
export function toSqlError({ code, message }: { readonly code: string; readonly message: string }): SqlError {
  if (code === 'SQLITE_ERROR') return statementError(code, new Error(message))
  if (/^SQLITE_CONSTRAINT_(?:UNIQUE|PRIMARYKEY)/.test(code)) return new SqlError('duplicate', code)
  if (code === 'ENOENT') return new SqlError('denied', code, 'there is no such file')
  if (code === FOLDER)
    return new SqlError('denied', code, 'SQLite must be able to write beside the file, even to read it')
  if (SLOW.test(code)) return new SqlError('slow', code)
  return new SqlError(DENIED.test(code) ? 'denied' : 'failed', code)
}
