/**
 * Pseudo-variables that read headers: `$hdr`, `$hdrc`, `$hfl` and the short names (Kamailio pv_core.c).
 * @module
 */
import { headerSelector, isHeaderName, type HeaderSelector } from '../message/header-names.ts'
import type { MessageView } from '../message/view.ts'
import { trimBoth } from './blanks.ts'
import { set, span, type Variable } from './variable.ts'

/** A header whose body Kamailio keeps from its own parse, even where a later header is bad. */
export function firstHeader(name: string, empty: 'empty' | 'null'): Variable {
  const selector = headerSelector(name)
  return span((view, out) => {
    const row = view.find(selector, 0)
    if (row < 0 || (empty === 'null' && view.valueStart(row) === view.valueEnd(row))) return false
    return set(out, view.valueStart(row), view.valueEnd(row))
  })
}

/** Rows of every line of a header; none where Kamailio could not parse them all. */
export function rowsOf(view: MessageView, selector: HeaderSelector): number[] {
  const rows: number[] = []
  if (!view.layout.complete) return rows
  for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) rows.push(row)
  return rows
}

function valueText(view: MessageView, row: number): string {
  return view.text(view.valueStart(row), view.valueEnd(row))
}

function headerName(inner: string | undefined): HeaderSelector | string {
  if (inner === undefined || inner === '') return 'it needs a header name, as in $hdr(CSeq)'
  return isHeaderName(inner.trimEnd())
    ? headerSelector(inner)
    : `${JSON.stringify(inner)} is not a header name`
}

/** `$hdr(name)`, `$(hdr(name)[n])`: pv_get_hdr. */
export const hdr: Variable = ({ inner, index }) => {
  const selector = headerName(inner)
  if (typeof selector === 'string') return selector
  if (index === '*') {
    return {
      text: (view) => {
        const values = rowsOf(view, selector).map((row) => valueText(view, row))
        if (values.length === 0) return null
        // Kamailio writes the comma only where something stands before it.
        return values.reduce((all, value) => (all === '' ? value : `${all},${value}`))
      },
    }
  }
  if (index !== undefined && index !== 0) {
    return {
      span: (view, out) => {
        const row = rowsOf(view, selector).at(index)
        return row !== undefined && set(out, view.valueStart(row), view.valueEnd(row))
      },
    }
  }
  return {
    span: (view, out) => {
      const row = view.layout.complete ? view.find(selector, 0) : -1
      return row >= 0 && set(out, view.valueStart(row), view.valueEnd(row))
    },
  }
}

/** `$hdrc(name)`: how many lines. */
export const hdrc: Variable = ({ inner, index }) => {
  const selector = headerName(inner)
  if (typeof selector === 'string') return selector
  return index === undefined ? { text: (view) => String(rowsOf(view, selector).length) } : 'it takes no index'
}

/** Splits a value at commas outside quotes and `<>`, blanks around each entry cut. */
function splitList(value: string): string[] {
  const entries: string[] = []
  let start = 0
  let quoted = false
  let enclosed = false
  for (let i = 0; i <= value.length; i++) {
    const char = value[i]
    if (i === value.length || (char === ',' && !quoted && !enclosed)) {
      entries.push(trimBoth(value.slice(start, i)))
      start = i + 1
    } else if (char === '\\' && quoted) i++
    else if (char === '"') quoted = !quoted
    else if (char === '<' && !quoted) enclosed = true
    else if (char === '>' && !quoted) enclosed = false
  }
  return entries
}

/** `$hfl(name)`, `$(hfl(name)[n])`: the n-th entry over all lines and commas. */
export const hfl: Variable = ({ inner, index }) => {
  const selector = headerName(inner)
  if (typeof selector === 'string') return selector
  if (index === '*') return 'the index * is for $hdr'
  const at = index ?? 0
  return {
    text: (view) =>
      rowsOf(view, selector)
        .flatMap((row) => splitList(valueText(view, row)))
        .at(at) ?? null,
  }
}
