/**
 * Templates: compiled once, expanded into bytes.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import type { MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import { lexTemplate, type Expression } from './lex.ts'
import type { Transform } from './transform.ts'
import { TRANSFORMATIONS } from './transformations.ts'
import type { Reader, Span } from './variable.ts'
import { UNUSABLE, VARIABLES } from './variables.ts'

/** What a missing value becomes: the text `<null>` as in Kamailio (nothing where it is transformed), or a failure. */
export type WhenMissing = 'null-text' | 'fail'

/** The expanded template, latin1 bytes; or the expression that has no value. */
export type ExpandResult =
  | { readonly ok: true; readonly data: Buffer }
  | { readonly ok: false; readonly missing: string }

/** Which parts of a message a token covers. */
export interface Template {
  /** As written. */
  readonly source: string
  /** Every expression, as written, in order. */
  readonly variables: readonly string[]
  /** The template filled in for one message. */
  expand(context: MessageContext): ExpandResult
  /** Each expression with its value, for explaining a template; null where it has none. */
  explain(context: MessageContext): readonly { readonly expression: string; readonly value: string | null }[]
  /** For the hot path: writes the data into `target` from `at` on. Returns the end, or MISSING, or TOO_LONG. */
  write(view: MessageView, context: MessageContext, target: Uint8Array, at: number): number
}

/** `write` met an expression without a value, under `whenMissing: 'fail'`. */
export const MISSING = -1
/** `write` ran out of room. */
export const TOO_LONG = -2

const NULL_TEXT = '<null>'

/** One step of an expansion: a literal, bytes of the message, or text. */
interface Step {
  readonly source: string
  readonly literal: string | undefined
  readonly span: ((view: MessageView, span: Span) => boolean) | undefined
  readonly text: ((view: MessageView, context: MessageContext) => string | null) | undefined
  /** What null becomes. */
  readonly whenNull: string
}

/**
 * Compiles a template.
 * @param options `whenMissing`: `null-text` (the default) is Kamailio's behaviour, byte for byte.
 * @throws ConfigError `ERR_TEMPLATE_INVALID` with every issue and its column: unknown names (with the nearest known
 *   one), unbalanced brackets, clock variables, transformations that make no sense.
 * @example compileTemplate('$si:$fu:$ru:$hdr(CSeq)').expand(context)
 */
export function compileTemplate(source: string, options?: { readonly whenMissing?: WhenMissing }): Template {
  const lexed = lexTemplate(source)
  if (!lexed.ok) throw new ConfigError('ERR_TEMPLATE_INVALID', lexed.issues)
  const issues: Issue[] = []
  const steps = lexed.parts.map((part) => {
    if (part.kind === 'literal') return literalStep(part.text, issues)
    return expressionStep(part, issues)
  })
  if (issues.length > 0) throw new ConfigError('ERR_TEMPLATE_INVALID', issues)
  return createTemplate(source, steps, options?.whenMissing ?? 'null-text')
}

function literalStep(text: string, issues: Issue[]): Step {
  const literal = utf8Bytes(text)
  if (/[\r\n\0]/.test(text)) issues.push({ path: 'template', message: 'it holds a line break or NUL' })
  return { source: text, literal, span: undefined, text: undefined, whenNull: '' }
}

/** Text as the bytes of its UTF-8, which is what a Kamailio script file holds; one latin1 character a byte. */
function utf8Bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function expressionStep(expression: Expression, issues: Issue[]): Step {
  const { source, name, transformations, column } = expression
  const reader = resolveVariable(expression)
  if (typeof reader === 'string') issues.push({ path: `column ${column}`, message: reader })
  const transforms: Transform[] = []
  for (const call of transformations) {
    const transformation = TRANSFORMATIONS.get(call.name)
    if (transformation === undefined) {
      const hint = nearest(call.name, TRANSFORMATIONS.keys())
      const message = `unknown transformation {${call.name}}${hint === undefined ? '' : `; did you mean {${hint}}?`}`
      issues.push({ path: `column ${call.column}`, message })
      continue
    }
    const transform = transformation(call.parameters === undefined ? undefined : utf8Bytes(call.parameters))
    if (typeof transform === 'function') transforms.push(transform)
    else
      issues.push({
        path: `column ${call.column}`,
        message: `{${call.name}} of $${name}: ${transform.fault}`,
      })
  }
  if (typeof reader === 'string')
    return { source, literal: '', span: undefined, text: undefined, whenNull: '' }
  if (transformations.length === 0) {
    const [span, text] = 'span' in reader ? [reader.span, undefined] : [undefined, reader.text]
    return { source, literal: undefined, span, text, whenNull: NULL_TEXT }
  }
  const read = textOf(reader)
  const text: Step['text'] = (view, context) => {
    let value = read(view, context)
    for (const transform of transforms) {
      if (value === null) return null
      value = transform(value)
    }
    return value
  }
  return { source, literal: undefined, span: undefined, text, whenNull: '' }
}

function resolveVariable({ name, inner, index }: Expression): Reader | string {
  const variable = VARIABLES.get(name)
  if (variable !== undefined) {
    const reader = variable({ inner, index })
    return typeof reader === 'string' ? `$${name}: ${reader}` : reader
  }
  const reason = UNUSABLE.get(name)
  if (reason !== undefined) return `$${name} cannot be used in a template: ${reason}`
  const hint = nearest(name, VARIABLES.keys())
  return `unknown pseudo-variable $${name}${hint === undefined ? '' : `; did you mean $${hint}?`}`
}

function textOf(reader: Reader): NonNullable<Step['text']> {
  if ('text' in reader) return reader.text
  const span: Span = { start: 0, end: 0 }
  return (view) => (reader.span(view, span) ? view.text(span.start, span.end) : null)
}

function createTemplate(source: string, steps: readonly Step[], whenMissing: WhenMissing): Template {
  const span: Span = { start: 0, end: 0 }

  function write(view: MessageView, context: MessageContext, target: Uint8Array, at: number): number {
    let end = at
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i]!
      let text: string | null | undefined = step.literal
      if (step.span !== undefined) {
        if (step.span(view, span)) {
          end = copyBytes(view.bytes, span.start, span.end, target, end)
          if (end < 0) return TOO_LONG
          continue
        }
        text = null
      } else if (step.text !== undefined) {
        text = step.text(view, context)
      }
      if (text === null || text === undefined) {
        if (whenMissing === 'fail') return MISSING
        text = step.whenNull
      }
      end = copyText(text, target, end)
      if (end < 0) return TOO_LONG
    }
    return end
  }

  const valueOf = (step: Step, view: MessageView, context: MessageContext): string | null => {
    if (step.literal !== undefined) return step.literal
    if (step.span !== undefined) return step.span(view, span) ? view.text(span.start, span.end) : null
    return step.text!(view, context)
  }

  return {
    source,
    variables: steps.filter((step) => step.literal === undefined).map((step) => step.source),
    write,
    expand(context) {
      const view = viewOf(context.message)
      const pieces: string[] = []
      for (const step of steps) {
        const value = valueOf(step, view, context)
        if (value === null && whenMissing === 'fail') return { ok: false, missing: step.source }
        pieces.push(value ?? step.whenNull)
      }
      return { ok: true, data: Buffer.from(pieces.join(''), 'latin1') }
    },
    explain(context) {
      const view = viewOf(context.message)
      return steps
        .filter((step) => step.literal === undefined)
        .map((step) => ({ expression: step.source, value: valueOf(step, view, context) }))
    },
  }
}

/** Short pieces are copied faster by a loop than by a call out of JavaScript. */
const LOOP = 96

function copyBytes(from: Buffer, start: number, end: number, target: Uint8Array, at: number): number {
  const length = end - start
  if (at + length > target.length) return TOO_LONG
  if (length > LOOP) target.set(from.subarray(start, end), at)
  else for (let i = 0; i < length; i++) target[at + i] = from[start + i]!
  return at + length
}

function copyText(text: string, target: Uint8Array, at: number): number {
  if (at + text.length > target.length) return TOO_LONG
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i)
  return at + text.length
}
