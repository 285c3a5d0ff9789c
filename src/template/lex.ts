/**
 * Template text to parts: literals and expressions (Kamailio pv_parse_format, pvapi.c).
 * @module
 */
import type { Issue } from '../errors.ts'

/** `{class.name,parameters}` of an expression. */
export interface TransformationCall {
  readonly name: string
  /** Text behind the first comma, as written; undefined where there is none. */
  readonly parameters: string | undefined
  /** Column in the template, from 1. */
  readonly column: number
}

/** `$name`, `$name(inner)` or `$(name(inner)[index]{…}{…})`. */
export interface Expression {
  readonly kind: 'expression'
  readonly source: string
  readonly name: string
  readonly inner: string | undefined
  readonly index: number | '*' | undefined
  readonly transformations: readonly TransformationCall[]
  readonly column: number
}

/** Text that is copied. */
export interface Literal {
  readonly kind: 'literal'
  readonly text: string
}

/** What a template is made of, or what is wrong with it. */
export type LexResult =
  | { readonly ok: true; readonly parts: readonly (Literal | Expression)[] }
  | { readonly ok: false; readonly issues: readonly Issue[] }

const NAME = /^[A-Za-z0-9_]$/

class Fault extends Error {
  readonly column: number
  constructor(at: number, message: string) {
    super(message)
    this.column = at + 1
  }
}

/** Cuts a template into parts. Every fault is an issue with its column; reading goes on behind it. */
export function lexTemplate(source: string): LexResult {
  const parts: (Literal | Expression)[] = []
  const issues: Issue[] = []
  let text = ''
  let i = 0
  const flush = (): void => {
    if (text !== '') parts.push({ kind: 'literal', text })
    text = ''
  }
  while (i < source.length) {
    if (source[i] !== '$') {
      text += source[i++]
      continue
    }
    if (source[i + 1] === '$') {
      text += '$'
      i += 2
      continue
    }
    flush()
    try {
      const [expression, next] = source[i + 1] === '(' ? lexEnclosed(source, i) : lexPlain(source, i)
      parts.push(expression)
      i = next
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault
      issues.push({ path: `column ${fault.column}`, message: fault.message })
      i++
    }
  }
  flush()
  return issues.length > 0 ? { ok: false, issues } : { ok: true, parts }
}

function lexName(source: string, at: number): string {
  let end = at
  while (end < source.length && NAME.test(source[end]!)) end++
  if (end === at) throw new Fault(at, 'a pseudo-variable name is missing; write $$ for a dollar sign')
  return source.slice(at, end)
}

/** `(inner)` at `at`, parentheses balanced. */
function lexInner(source: string, at: number): readonly [inner: string, next: number] {
  let depth = 0
  for (let i = at; i < source.length; i++) {
    if (source[i] === '(') depth++
    else if (source[i] === ')' && --depth === 0) {
      const inner = source.slice(at + 1, i)
      if (inner.includes('$'))
        throw new Fault(at, 'a pseudo-variable inside a pseudo-variable is not supported')
      return [inner, i + 1]
    }
  }
  throw new Fault(at, 'this parenthesis is never closed')
}

function lexPlain(source: string, at: number): readonly [Expression, next: number] {
  const name = lexName(source, at + 1)
  let next = at + 1 + name.length
  let inner: string | undefined
  if (source[next] === '(') [inner, next] = lexInner(source, next)
  const text = source.slice(at, next)
  return [
    { kind: 'expression', source: text, name, inner, index: undefined, transformations: [], column: at + 1 },
    next,
  ]
}

function lexEnclosed(source: string, at: number): readonly [Expression, next: number] {
  const name = lexName(source, at + 2)
  let i = at + 2 + name.length
  let inner: string | undefined
  let index: number | '*' | undefined
  if (source[i] === '(') [inner, i] = lexInner(source, i)
  if (source[i] === '[') {
    const close = source.indexOf(']', i)
    if (close < 0) throw new Fault(i, 'this bracket is never closed')
    const text = source.slice(i + 1, close).trim()
    if (text !== '*' && !/^-?\d{1,9}$/.test(text))
      throw new Fault(i, `an index is a number or *, not [${text}]`)
    index = text === '*' ? '*' : Number(text)
    i = close + 1
  }
  const transformations: TransformationCall[] = []
  while (source[i] === '{') {
    const close = closingBrace(source, i)
    const body = source.slice(i + 1, close)
    const comma = body.indexOf(',')
    transformations.push({
      name: (comma < 0 ? body : body.slice(0, comma)).trim(),
      parameters: comma < 0 ? undefined : body.slice(comma + 1),
      column: i + 1,
    })
    i = close + 1
  }
  if (source[i] !== ')') {
    const expected = i < source.length ? `unexpected ${JSON.stringify(source[i])}` : 'the end of the template'
    throw new Fault(i, `${expected} where ")" should close ${source.slice(at, at + 2)}${name}…`)
  }
  i++
  return [
    { kind: 'expression', source: source.slice(at, i), name, inner, index, transformations, column: at + 1 },
    i,
  ]
}

function closingBrace(source: string, at: number): number {
  let depth = 0
  for (let i = at; i < source.length; i++) {
    if (source[i] === '{') depth++
    else if (source[i] === '}' && --depth === 0) return i
  }
  throw new Fault(at, 'this brace is never closed')
}
