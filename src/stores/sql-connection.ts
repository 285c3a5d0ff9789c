/**
 * What the SQL stores ask of an engine: one small contract that SQLite, MariaDB/MySQL and PostgreSQL fill.
 * @module
 */

/** A statement and the values bound to it, in the order of its parameters. Values never become text of the statement. */
export interface SqlStatement {
  readonly text: string
  readonly values: readonly (string | null)[]
}

/** A cell as text: numbers in digits, booleans as `true` and `false`, bytes as UTF-8. */
export type SqlCell = string | null

/** What a statement gave. */
export interface SqlResult {
  /** Names of the columns, also where there is no row. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly SqlCell[])[]
  /** How many rows it changed. */
  readonly changed: number
}

/** Runs one statement. Rejects with `SqlError`. */
export type RunSql = (statement: SqlStatement) => Promise<SqlResult>

/** One connection. One statement at a time. */
export interface SqlConnection {
  /** Settles once it is connected, or rejects with `SqlError`. */
  readonly ready: Promise<void>
  readonly run: RunSql
  /** False once the other end or an error has ended it. */
  isUsable(): boolean
  /** Ends it at once, whatever it is doing. Resolves when nothing of it is left; never rejects. */
  destroy(): Promise<void>
}

/** The engines; `mysql` is MariaDB as well. */
export type SqlEngine = 'sqlite' | 'mysql' | 'postgres'

/** An engine with its driver loaded, and where its database is. */
export interface SqlDriver {
  /** Begins to connect; see `SqlConnection.ready`. */
  connect(): SqlConnection
  /** How many connections a pool has where nothing is said. */
  readonly poolSize: number
  /** How long a connection may be idle and still be trusted, milliseconds. */
  readonly maxIdleMs: number
}
