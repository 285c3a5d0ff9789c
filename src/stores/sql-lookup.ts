/**
 * How accounts are looked up in a database: what a table and an operator's own SELECT have in common.
 * @module
 */
import type { Account, CredentialQuery } from '../digest/credential-store.ts'
import type { RunSql, SqlResult, SqlStatement } from './sql-connection.ts'

/** How accounts are looked up in a database of one kind. */
export interface SqlLookup {
  /** Looks at the database once. @throws ConfigError where it is not as configured; SqlError where it cannot be asked */
  prepare(run: RunSql): Promise<PreparedLookup>
}

/** What is asked for an account, and what an answer means. */
export interface PreparedLookup {
  statement(query: CredentialQuery): SqlStatement
  /** @throws SqlError where the rows are no one account's */
  read(rows: SqlResult['rows'], query: CredentialQuery): Account | undefined
}
