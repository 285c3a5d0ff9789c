/**
 * MariaDB and MySQL, through `mysql2`.
 * @module
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Connection, ConnectionOptions, FieldPacket, QueryError } from 'mysql2'
import { codeOf } from '../errors.ts'
import type { SqlCell, SqlConnection, SqlDriver, SqlResult, SqlStatement } from './sql-connection.ts'
import { configIssue, SqlError, statementError } from './sql-error.ts'
import type { ServerPlace } from './sql-url.ts'

/** What `loadMysql` takes beside the place. */
export interface ServerDriverOptions {
  readonly place: ServerPlace
  /** Options of the driver; they take precedence over what the URL says. */
  readonly driver: Readonly<Record<string, unknown>>
  readonly timeoutMs: number
}

/** Firewalls forget connections that are idle. Milliseconds. */
export const SERVER_MAX_IDLE = 60_000

/**
 * Makes the driver.
 * @param load imports `mysql2`
 * @throws ConfigError where TLS is asked for to an address
 */
export async function loadMysql(
  { place, driver, timeoutMs }: ServerDriverOptions,
  load: () => Promise<Pick<typeof import('mysql2'), 'createConnection'>>,
): Promise<SqlDriver> {
  const { createConnection } = await load()
  const { host, port, socket, tls, user, password, database } = place
  // Of an address it would compare the certificate with "localhost".
  if (tls !== undefined && isIP(host) !== 0)
    throw configIssue('url', 'the driver verifies names, and no addresses: with TLS, name the host')
  const config: ConnectionOptions = {
    ...(socket === undefined ? { host, port } : { socketPath: socket }),
    ...(tls !== undefined && {
      ssl: { verifyIdentity: true, ...(tls.ca !== undefined && { ca: readFileSync(tls.ca) }) },
    }),
    user,
    password,
    database,
    charset: 'utf8mb4',
    connectTimeout: timeoutMs,
    enableKeepAlive: true,
    ...driver,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
    multipleStatements: false,
  }
  // Where we have given up the server gives up as well, lest statements that wait for a lock pile up there. MariaDB and
  // MySQL have names of their own for it, and comments that only one of them reads. And no name is cut to fit its column.
  const seconds = Math.max(1, Math.ceil(timeoutMs / 1000))
  const limits =
    `SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), lock_wait_timeout = ${seconds} /*M!100101 , max_statement_time = ${seconds} */ ` +
    `/*!50708 , max_execution_time = ${seconds * 1000} */`
  return {
    poolSize: 10,
    maxIdleMs: SERVER_MAX_IDLE,
    connect: () => connect(createConnection(config), limits),
  }
}

function connect(connection: Connection, limits: string): SqlConnection {
  let isUsable = true
  connection.on('error', () => (isUsable = false))
  connection.on('end', () => (isUsable = false))
  const fail = (error: QueryError): SqlError => {
    const told = toSqlError(error)
    if (told.fault === 'lost' || told.fault === 'denied') isUsable = false
    return told
  }
  const run = ({ text, values }: SqlStatement): Promise<SqlResult> =>
    new Promise((resolve, reject) => {
      const done = (error: QueryError | null, result: unknown, fields?: readonly FieldPacket[]): void => {
        if (error === null) resolve(toResult(result, fields ?? []))
        else reject(fail(error))
      }
      // The protocol of prepared statements knows no BEGIN.
      if (values.length === 0) connection.query({ sql: text, rowsAsArray: true }, done)
      else connection.execute({ sql: text, rowsAsArray: true }, [...values], done)
    })
  const ready = new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error === null ? resolve() : reject(fail(error))))
  }).then(async () => void (await run({ text: limits, values: [] })))
  // Whoever gives up before it settles does not listen any more.
  ready.catch(() => {})
  return {
    ready,
    run,
    isUsable: () => isUsable,
    async destroy() {
      isUsable = false
      connection.destroy()
    },
  }
}

function toResult(result: unknown, fields: readonly FieldPacket[]): SqlResult {
  if (!Array.isArray(result)) {
    return { columns: [], rows: [], changed: (result as { affectedRows?: number }).affectedRows ?? 0 }
  }
  const rows = (result as (string | number | Buffer | null)[][]).map((row) => row.map(toCell))
  return { columns: fields.map(({ name }) => name), rows, changed: 0 }
}

/** With the options above there are no dates, and no numbers that have lost digits. */
function toCell(value: string | number | Buffer | null): SqlCell {
  if (value === null || typeof value === 'string') return value
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value)
}

/** Wrong user or password, no right to or no such database, a host that may not connect, TLS that is demanded. */
const DENIED = new Set([1044, 1045, 1049, 1130, 1251, 1698, 3159, 3118])
/** Characters that the column's character set does not have, or a text that is too long for it. */
const VALUE = new Set([1267, 1270, 1271, 1300, 1366, 1406, 3854, 3988])
/** Interrupted, lock not got, the time limits that we have set. */
const SLOW = new Set([1205, 1317, 1969, 3024])
/** The server is at its end, or is full. */
const LOST = new Set([1040, 1053, 1077, 1078, 1079, 1080, 1152, 1184, 1203, 1226, 1927, 3169])

function toSqlError(error: QueryError): SqlError {
  const code = codeOf(error)
  const { errno = 0, sqlState = '' } = error
  if (DENIED.has(errno)) return new SqlError('denied', code)
  if (VALUE.has(errno)) return new SqlError('value', code)
  if (SLOW.has(errno)) return new SqlError('slow', code)
  if (errno === 1062) return new SqlError('duplicate', code)
  if (LOST.has(errno) || error.fatal || sqlState === '') return new SqlError('lost', code)
  return sqlState.startsWith('42') ? statementError(code, error) : new SqlError('failed', code)
}
