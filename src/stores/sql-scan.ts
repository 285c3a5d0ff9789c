/**
 * Reads a statement of SQL as far as it takes to know its named parameters, and that it is one statement: literals, names
 * in quotes and comments are told from what counts. What engines read in different ways is refused.
 * @module
 */

/** A piece of a statement: text that stays, or a named parameter. */
export type SqlPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'name'; readonly name: string; readonly line: number }

/** What is wrong, and on which line, from 1. */
export interface SqlScanIssue {
  readonly line: number
  readonly message: string
}

const TOKEN = new RegExp(
  [
    /(?<literal>'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$))/,
    /(?<comment>--[^\n]*|\/\*[^]*?(?:\*\/|$))/,
    // A cast of PostgreSQL and an assignment of MySQL are no parameters.
    /(?<plain>::|:=)/,
    /:(?<name>[A-Za-z_][A-Za-z0-9_]*)/,
    /(?<odd>[;?$#\\()])/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
)

/**
 * Takes a statement apart. A semicolon at its end is cut, as are comments.
 * @param names those that can be bound, for messages
 */
export function scanSql(
  sql: string,
  names: readonly string[],
): {
  readonly parts: readonly SqlPart[]
  readonly issues: readonly SqlScanIssue[]
} {
  const source = sql.replace(/[\s;]*$/, '')
  const parts: SqlPart[] = []
  const issues: SqlScanIssue[] = []
  let at = 0
  let depth = 0
  const text = (end: number): void => void parts.push({ kind: 'text', text: source.slice(at, end) })
  for (const match of source.matchAll(TOKEN)) {
    const [token] = match
    const { literal, comment, name, odd } = match.groups as Partial<Record<string, string>>
    const line = source.slice(0, match.index).split('\n').length
    const refuse = (message: string): void => void issues.push({ line, message })
    if (comment !== undefined) {
      text(match.index)
      parts.push({ kind: 'text', text: ' ' })
      at = match.index + token.length
      // MySQL runs some comments, PostgreSQL nests them, and two minus signs may be just that.
      if (!/^(?:--(?=\s|$)|\/\*(?![!+]|M!)(?:(?!\/\*)[^])*\*\/$)/.test(comment))
        refuse('has a comment that engines read in different ways')
    } else if (literal !== undefined) {
      if (literal.length < 2 || !literal.endsWith(literal[0]!)) refuse('has a quote that is not closed')
      else if (literal.includes('\\'))
        refuse('has a backslash in quotes, which engines read in different ways')
    } else if (name !== undefined) {
      text(match.index)
      parts.push({ kind: 'name', name, line })
      at = match.index + token.length
    } else if (odd === '(') depth++
    else if (odd === ')') {
      depth--
      if (depth === -1) refuse('closes a parenthesis that is not open')
    } else if (odd === ';') refuse('has more than one statement')
    else if (odd !== undefined)
      refuse(
        `has a ${odd} outside of quotes: values are bound as ${names.map((known) => `:${known}`).join(', ')}`,
      )
  }
  text(source.length)
  if (depth > 0) issues.push({ line: source.split('\n').length, message: 'leaves a parenthesis open' })
  return { parts, issues }
}
