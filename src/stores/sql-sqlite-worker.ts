/**
 * The thread that a database of SQLite is used in, so that no answer of a disk holds up the others. It answers one statement
 * after the other.
 * @module
 */
import { closeSync, openSync, statSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

/** What the thread is started with. */
export interface SqliteOpen {
  readonly path: string
  /** `read` refuses to write; `create` makes a file that is not there. */
  readonly access: 'read' | 'write' | 'create'
  /** How long another one's lock is waited for, milliseconds. */
  readonly busyMs: number
}

/** What it is sent: a statement, or that it should end. */
export type SqliteAsk =
  | { readonly text: string; readonly values: readonly (string | null)[] }
  | { readonly end: true }

/** A cell. */
export type SqliteValue = string | number | bigint | Uint8Array | null

/** What it sends: that it is ready, the answer to a statement, or why there is none. */
export type SqliteTold =
  | { readonly columns: readonly string[]; readonly rows: readonly SqliteValue[][]; readonly changed: number }
  | { readonly code: string; readonly message: string }

/** What is used of the driver, whose own types say `any`. */
interface Database {
  prepare(text: string): Promise<Statement>
  interrupt(): void
  close(): void
}
interface Statement {
  readonly reader: boolean
  raw(): Statement
  safeIntegers(): Statement
  columns(): readonly { readonly name: string }[]
  all(...values: readonly unknown[]): Promise<SqliteValue[][]>
  run(...values: readonly unknown[]): Promise<{ readonly changes: number }>
}
interface Driver {
  readonly default: new (path: string, options: { readonly timeout: number }) => Database
}

async function open({ path, access, busyMs }: SqliteOpen): Promise<Database> {
  // Only its owner may read it: an account's hash is as good as its password.
  if (access === 'create') closeSync(openSync(path, 'a', 0o600))
  else statSync(path)
  const driver = (await import('libsql/promise')) as unknown as Driver
  const database = new driver.default(path, { timeout: busyMs })
  try {
    // Reads the file, so that one that is no database is found out now.
    await ask(database, 'SELECT count(*) FROM sqlite_master', [])
    if (access === 'read') await ask(database, 'PRAGMA query_only = 1', [])
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

async function ask(
  database: Database,
  text: string,
  values: readonly (string | null)[],
): Promise<SqliteTold> {
  const statement = await database.prepare(text)
  if (!statement.reader) return { columns: [], rows: [], changed: (await statement.run(...values)).changes }
  const rows = await statement
    .raw()
    .safeIntegers()
    .all(...values)
  return { columns: statement.columns().map(({ name }) => name), rows, changed: 0 }
}

/** Only what tells what happened: an error of the driver may hold more. */
function fault(error: unknown): SqliteTold {
  const { code, message } = error instanceof Error ? (error as NodeJS.ErrnoException) : {}
  return { code: code === undefined || code === '' ? 'SQLITE_CANTOPEN' : code, message: message ?? '' }
}

const port = parentPort!
const send = (told: SqliteTold): void => port.postMessage(told)
try {
  const options = workerData as SqliteOpen
  const database = await open(options)
  let last: Promise<void> = Promise.resolve()
  port.on('message', (message: SqliteAsk) => {
    if ('end' in message) {
      // The driver ends the whole process where it is used after, or while, it is closed.
      port.removeAllListeners('message')
      database.interrupt()
      // The driver does not do it when it closes, so that a copy of the file alone would lack what was written.
      const settle = async (): Promise<unknown> =>
        options.access === 'read' || ask(database, 'PRAGMA wal_checkpoint(PASSIVE)', [])
      void last
        .then(settle)
        .catch(() => {})
        .finally(() => {
          database.close()
          port.close()
        })
    } else last = ask(database, message.text, message.values).then(send, (error) => send(fault(error)))
  })
  send({ columns: [], rows: [], changed: 0 })
} catch (error) {
  send(fault(error))
  port.close()
}
