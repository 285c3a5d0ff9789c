/**
 * What goes wrong with databases. No error here holds a value of a statement, an account or a password.
 * @module
 */
import { ConfigError } from '../errors.ts'

/**
 * What kind of failure it is. `lost`: no connection, or not any more. `denied`: the database refuses to be opened as it
 * was asked. `statement`: a table, a column, a right or the syntax is wrong. `value`: a bound value cannot be in that
 * column at all. `duplicate`: a row of that name is there. `slow`: not within its time. `full`: too many wait.
 */
export type SqlFault = 'lost' | 'denied' | 'statement' | 'value' | 'duplicate' | 'slow' | 'full' | 'failed'

/** A statement that was not answered. */
export class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly fault: SqlFault
  /** Of the driver, the server or the system: `ECONNREFUSED`, `42P01`, `ER_NO_SUCH_TABLE`; or `timeout`, `queue-full`. */
  readonly code: string

  constructor(fault: SqlFault, code: string, detail?: string) {
    super(detail ?? `${TEXTS[fault]} (${code})`)
    this.fault = fault
    this.code = code
  }
}

const TEXTS: Readonly<Record<SqlFault, string>> = {
  lost: 'the database cannot be reached',
  denied: 'the database refuses to be opened',
  statement: 'the database does not know what is asked of it',
  value: 'a value does not fit its column',
  duplicate: 'it is there already',
  slow: 'the database did not answer in time',
  full: 'too many wait for the database',
  failed: 'the database failed',
}

/** Longest text of a driver that is told. */
const MAX_DETAIL = 200

/**
 * An error of a statement in the words of the driver, which name tables and columns. Only for faults of kind `statement`:
 * others quote values.
 */
export function statementError(code: string, error: unknown): SqlError {
  const text = error instanceof Error ? error.message.replace(/\s+/g, ' ').slice(0, MAX_DETAIL) : ''
  return new SqlError('statement', code, text === '' ? undefined : text)
}

/** One configuration error of one issue. */
export function configIssue(path: string, message: string): ConfigError {
  return new ConfigError('ERR_CONFIG_INVALID', [{ path, message }])
}

/** The configuration error that a refusal at the start amounts to; undefined where the operator has nothing to mend. */
export function configFault(path: string, name: string, error: unknown): ConfigError | undefined {
  if (!(error instanceof SqlError)) return undefined
  if (error.fault !== 'denied' && error.fault !== 'statement') return undefined
  return configIssue(path, `${name}: ${error.message}`)
}
