/**
 * Header lines of which a part goes, told apart from others of their name by their value.
 * @module
 */
import { headerSelector } from './header-names.ts'
import type { Cut } from './splice.ts'
import type { MessageView } from './view.ts'

/** One line, changed. */
export interface LineEdit {
  /** Long or compact, any case. */
  readonly name: string
  /** The whole value of the line, byte for byte as `headers()` gives it. */
  readonly value: string
  /** What stands there instead; empty: the line goes. */
  readonly left: string
}

/** Adds the cuts that make the edits in a message's bytes. Lines that are not there are left alone. */
export function cutLines(view: MessageView, edits: readonly LineEdit[], cuts: Cut[]): void {
  for (const name of new Set(edits.map((edit) => headerSelector(edit.name).name))) {
    const selector = headerSelector(name)
    for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) {
      const [start, end] = [view.valueStart(row), view.valueEnd(row)]
      const left = leftOf(edits, name, view.text(start, end))
      if (left === '') cuts.push({ start: view.nameStart(row), end: end + 2, text: '' })
      else if (left !== undefined) cuts.push({ start, end, text: left })
    }
  }
}

/**
 * What the edits leave of a line; undefined where none is for it.
 * @param name long, in lower case
 * @throws RangeError on NUL or a line break that is no fold in what is left: they never come from a message
 */
export function leftOf(edits: readonly LineEdit[], name: string, value: string): string | undefined {
  const edit = edits.find((one) => one.value === value && headerSelector(one.name).name === name)
  if (edit !== undefined && /\0|\r(?!\n)|\r\n(?![ \t])|(?<!\r)\n|[^\0-\xff]/.test(edit.left))
    throw new RangeError(`what is left of header ${name} would not be one line`)
  return edit?.left
}
