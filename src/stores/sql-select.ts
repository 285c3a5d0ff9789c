/**
 * An operator's own SELECT: checked to be one, its names bound.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import type { RunSql, SqlEngine, SqlStatement } from './sql-connection.ts'
import { parameter } from './sql-dialect.ts'
import { configIssue, SqlError } from './sql-error.ts'
import { scanSql } from './sql-scan.ts'

/** What a SELECT is for. */
export interface SelectPurpose<Name extends string> {
  /** The setting that it stands in. */
  readonly path: string
  /** What can be bound. */
  readonly names: readonly Name[]
  /** One of these must be: else everybody would be given the same. */
  readonly asked: readonly Name[]
  /** Rows that an answer may have. */
  readonly maxRows: number
}

/** A SELECT that values can be bound to. */
export interface SqlSelect<Name extends string> {
  /**
   * The statement for some values. It gives one row more than there may be, where there are more.
   * @param exactly values that MySQL compares byte by byte, for which it has no index
   */
  bind(values: Readonly<Record<Name, string>>, exactly: readonly Name[]): SqlStatement
  /**
   * Asks the database for the names of the columns; of none where its columns hold no empty text.
   * @throws ConfigError where the database does not know what is asked; SqlError where it cannot be asked
   */
  columns(run: RunSql): Promise<readonly string[]>
}

/**
 * Checks a SELECT.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path and the line in the statement
 */
export function compileSelect<Name extends string>(
  sql: string,
  engine: SqlEngine,
  purpose: SelectPurpose<Name>,
): SqlSelect<Name> {
  const { path, names, maxRows } = purpose
  const { pieces, bound } = readSelect(sql, engine, purpose)

  function bind(values: Readonly<Record<Name, string>>, exactly: readonly Name[]): SqlStatement {
    const text = pieces
      .map(({ text: piece, name }) =>
        engine === 'mysql' && name !== undefined && exactly.includes(name)
          ? `CAST(${piece} AS BINARY)`
          : piece,
      )
      .join('')
    return {
      // As a table of its own it cannot be more than one SELECT, and its rows can be counted.
      text: `SELECT * FROM (${text}\n) AS found LIMIT ${maxRows + 1}`,
      values: bound.map((name) => values[name]),
    }
  }

  return {
    bind,
    async columns(run) {
      const empty = Object.fromEntries(names.map((name) => [name, ''])) as Record<Name, string>
      try {
        const { columns } = await run(bind(empty, []))
        return columns
      } catch (error) {
        const fault = error instanceof SqlError ? error.fault : undefined
        if (fault === 'statement') throw configIssue(path, (error as SqlError).message)
        // An empty text may not fit a column of numbers: then the statement is right.
        if (fault === 'value') return []
        throw error
      }
    },
  }
}

/** A piece of the statement; a parameter has the name of what is bound to it. */
interface Piece<Name> {
  readonly text: string
  readonly name?: Name
}

function readSelect<Name extends string>(
  sql: string,
  engine: SqlEngine,
  { path, names, asked }: SelectPurpose<Name>,
): { readonly pieces: readonly Piece<Name>[]; readonly bound: readonly Name[] } {
  const { parts, issues: found } = scanSql(sql, names)
  const issues: Issue[] = found.map((issue) => ({ path, ...issue }))
  const bound: Name[] = []
  const pieces = parts.map((part): Piece<Name> => {
    if (part.kind === 'text') return { text: part.text }
    const name = names.find((known) => known === part.name)
    if (name === undefined) {
      const near = nearest(part.name, names)
      const hint = near === undefined ? `it has ${listed(names)}` : `did you mean :${near}?`
      issues.push({ path, line: part.line, message: `:${part.name} is not known: ${hint}` })
      return { text: '' }
    }
    // PostgreSQL's parameters have numbers and may be repeated; the others' only have places.
    const known = engine === 'postgres' ? bound.indexOf(name) : -1
    if (known < 0) bound.push(name)
    return { text: parameter(engine, known < 0 ? bound.length : known + 1), name }
  })
  if (!/^\s*(?:select|with)\b/i.test(pieces.map(({ text }) => text).join('')))
    issues.push({ path, message: 'must be one SELECT' })
  if (!asked.some((name) => bound.includes(name)))
    issues.push({ path, message: `asks for nobody: bind ${listed(asked, ', or ')}` })
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return { pieces, bound }
}

const listed = (names: readonly string[], between = ', '): string =>
  names.map((name) => `:${name}`).join(between)
