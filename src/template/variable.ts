/**
 * What a pseudo-variable is: a maker of readers.
 * @module
 */
import type { MessageContext } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'

/** A piece of the message's bytes; reused from call to call, so that a hot path allocates nothing. */
export interface Span {
  start: number
  end: number
}

/** Sets `span` and returns true, or returns false for null. */
export type SpanReader = (view: MessageView, span: Span) => boolean
/** Latin1 text, or null. */
export type TextReader = (view: MessageView, context: MessageContext) => string | null

/** How a variable is read: as bytes of the message, or as text. */
export type Reader = { readonly span: SpanReader } | { readonly text: TextReader }

/** What an expression may add to a variable's name. */
export interface VariableUse {
  readonly inner: string | undefined
  readonly index: number | '*' | undefined
}

/** Makes the reader of one use. Returns a message where the use makes no sense. */
export type Variable = (use: VariableUse) => Reader | string

/** Sets a span. Always true, so that a reader can end with it. */
export function set(span: Span, start: number, end: number): true {
  span.start = start
  span.end = end
  return true
}

/** A variable that takes neither parameter nor index. */
export function plain(reader: Reader): Variable {
  return ({ inner, index }) => {
    if (inner !== undefined) return 'it takes no parameter'
    // Kamailio ignores an index here; a template that has one means something else.
    return index === undefined ? reader : 'it takes no index'
  }
}

/** A variable that is read as bytes. */
export const span = (read: SpanReader): Variable => plain({ span: read })
/** A variable that is read as text. */
export const text = (read: TextReader): Variable => plain({ text: read })
/** A variable that is the same for every message. */
export const constant = (value: string | null): Variable => plain({ text: () => value })
