/**
 * In what the engines differ as they write SQL: names in quotes, parameters.
 * @module
 */
import type { SqlEngine } from './sql-connection.ts'

/** A name of a table or column as it may be written in a configuration. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/

/** Whether a text is a name that needs no escapes in any engine: ASCII letters, digits and `_`, at most 63. */
export function isSqlName(text: string): boolean {
  return NAME.test(text)
}

/** Whether a text is a name of a table, with or without that of its schema: `kamailio.subscriber`. */
export function isTableName(text: string): boolean {
  const parts = text.split('.')
  return parts.length <= 2 && parts.every(isSqlName)
}

/** A name, or two with a point between them, in the engine's quotes. Only for names that were checked. */
export function quoteName(engine: SqlEngine, name: string): string {
  const mark = engine === 'mysql' ? '`' : '"'
  return name
    .split('.')
    .map((part) => `${mark}${part}${mark}`)
    .join('.')
}

/** The parameter at a place, from 1. */
export function parameter(engine: SqlEngine, place: number): string {
  return engine === 'postgres' ? `$${place}` : '?'
}

/** Whether the engine takes both for one name of a column. PostgreSQL knows names in quotes by every letter. */
export function isSameName(engine: SqlEngine, one: string, other: string): boolean {
  return engine === 'postgres' ? one === other : one.toLowerCase() === other.toLowerCase()
}
