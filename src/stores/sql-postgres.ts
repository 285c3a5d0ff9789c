/**
 * PostgreSQL, through `pg`.
 * @module
 */
import { readFileSync } from 'node:fs'
import type { Client, ClientConfig } from 'pg'
import { codeOf } from '../errors.ts'
import type { SqlConnection, SqlDriver, SqlResult, SqlStatement } from './sql-connection.ts'
import { SqlError, statementError } from './sql-error.ts'
import { SERVER_MAX_IDLE, type ServerDriverOptions } from './sql-mysql.ts'

/** The part of `pg` that is used. */
export interface PostgresModule {
  readonly Client: new (config: ClientConfig) => Client
}

const BOOLEAN = 16

/**
 * Makes the driver.
 * @param load imports `pg`
 */
export async function loadPostgres(
  { place, driver, timeoutMs }: ServerDriverOptions,
  load: () => Promise<PostgresModule>,
): Promise<SqlDriver> {
  const { Client } = await load()
  const { host, port, socket, tls, user, password, database } = place
  const config: ClientConfig = {
    host: socket ?? host,
    port,
    user,
    password,
    database,
    keepAlive: true,
    ...(tls !== undefined && { ssl: tls.ca === undefined ? {} : { ca: readFileSync(tls.ca, 'utf8') } }),
    // Where we have given up the server gives up as well, lest statements that wait for a lock pile up there.
    statement_timeout: timeoutMs,
    ...driver,
    types: { getTypeParser: (type: number) => (type === BOOLEAN ? booleanText : asText) },
  }
  return { poolSize: 10, maxIdleMs: SERVER_MAX_IDLE, connect: () => connect(new Client(config)) }
}

const asText = (text: string): string => text
const booleanText = (text: string): string => (text === 't' ? 'true' : 'false')

function connect(client: Client): SqlConnection {
  let isUsable = true
  const fail = (error: unknown): SqlError => {
    const told = toSqlError(error)
    if (told.fault === 'lost' || told.fault === 'denied') isUsable = false
    return told
  }
  client.on('error', () => (isUsable = false))
  client.on('end', () => (isUsable = false))
  const ready = client.connect().then(
    () => undefined,
    (error: unknown) => {
      throw fail(error)
    },
  )
  // Whoever gives up before it settles does not listen any more.
  ready.catch(() => {})
  return {
    ready,
    async run({ text, values }: SqlStatement): Promise<SqlResult> {
      try {
        const { fields, rows, rowCount } = await client.query<(string | null)[]>({
          text,
          values: [...values],
          rowMode: 'array',
        })
        return { columns: fields.map(({ name }) => name), rows, changed: rowCount ?? 0 }
      } catch (error) {
        throw fail(error)
      }
    },
    isUsable: () => isUsable,
    async destroy() {
      isUsable = false
      // `end` says good-bye and waits for the other end, which may not be there.
      const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
      connection.stream.destroy()
    },
  }
}

/** Characters that the database's encoding does not have, or a text that is too long or not of the column's type. */
const VALUE = new Set(['22021', '22P05', '22P02', '22003', '22001'])
/** Cancelled by the time limit that we have set, lock not got. */
const SLOW = new Set(['57014', '55P03', '40P01'])

/** By SQLSTATE, class by class (PostgreSQL, appendix A); what has none comes from the system or the driver. */
function toSqlError(error: unknown): SqlError {
  const code = codeOf(error, 'connection-lost')
  const state = /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]+$/.test(code) ? code : ''
  if (VALUE.has(state)) return new SqlError('value', code)
  if (SLOW.has(state)) return new SqlError('slow', code)
  if (state === '23505') return new SqlError('duplicate', code)
  switch (state.slice(0, 2)) {
    case '28':
    case '3D':
      return new SqlError('denied', code)
    case '42':
    case '3F':
    case '0A':
      return statementError(code, error)
    case '':
    case '08':
    case '53':
    case '57':
      return new SqlError('lost', code)
    default:
      return new SqlError('failed', code)
  }
}
