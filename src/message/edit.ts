/**
 * Removing and adding header lines in a message's bytes, everything else untouched.
 * @module
 */
import { COLON, CR, LF, isBlank } from './chars.ts'
import { hashBytes, headerLine, headerSelector, names } from './header-names.ts'
import { leftOf, type LineEdit } from './line-edit.ts'
import { splice, type Cut } from './splice.ts'

/** What to remove, what to add. */
export interface HeaderEdits {
  /** Names, long or compact, any case: every line of theirs goes, with its folds. */
  readonly remove?: readonly string[] | undefined
  /** Lines to change, where `remove` does not take them anyway. */
  readonly edit?: readonly LineEdit[] | undefined
  /** Lines to add, in this order. */
  readonly add?: readonly (readonly [name: string, value: string])[]
  /** `end` (the default): directly before the empty line. `top`: directly behind the start line. */
  readonly at?: 'top' | 'end'
}

/**
 * Removes every line of the named headers, changes single lines, then adds lines; every other byte stays. Works on any
 * bytes that look like a message: lines that are no headers are kept as they are.
 * @throws RangeError on a name that is no token, or on CR, LF or NUL in a value: they never come from a message.
 */
export function editHeaders(bytes: Uint8Array, edits: HeaderEdits): Buffer {
  const source = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const added = (edits.add ?? []).map(([name, value]) => `${headerLine(name, value)}\r\n`).join('')
  const selectors = (edits.remove ?? []).map(headerSelector)
  const changes = edits.edit ?? []

  let start = 0
  while (source[start] === CR || source[start] === LF) start++
  const top = nextLine(source, start)
  // Bytes that stop in mid line lack that line's end.
  const opened = (at: number): string =>
    at > 0 && at === source.length && source[at - 1] !== LF ? '\r\n' : ''
  const cuts: Cut[] =
    edits.at === 'top' && added !== '' ? [{ start: top, end: top, text: opened(top) + added }] : []
  let line = top
  while (line < source.length && source[line] !== CR && source[line] !== LF) {
    let next = nextLine(source, line)
    while (isBlank(source[next])) next = nextLine(source, next)
    if (selectors.length > 0 && isNamed(source, line, selectors))
      cuts.push({ start: line, end: next, text: '' })
    else if (changes.length > 0) change(source, line, next, changes, cuts)
    line = next
  }
  if (edits.at !== 'top' && added !== '') {
    const open = cuts.at(-1)?.end === line ? '' : opened(line)
    cuts.push({ start: line, end: line, text: open + added })
  }
  return splice(source, 0, source.length, cuts)
}

function nextLine(bytes: Uint8Array, at: number): number {
  const match = bytes.indexOf(LF, at)
  return match < 0 ? bytes.length : match + 1
}

function isNamed(
  bytes: Uint8Array,
  line: number,
  selectors: readonly ReturnType<typeof headerSelector>[],
): boolean {
  const colon = colonIn(bytes, line)
  if (colon < 0) return false
  let end = colon
  while (end > line && isBlank(bytes[end - 1])) end--
  const hash = hashBytes(bytes, line, end)
  return selectors.some((selector) => selector.hash === hash && names(bytes, line, end, selector))
}

/** The colon behind a header's name; -1 where the line is no header. */
function colonIn(bytes: Uint8Array, line: number): number {
  let colon = line
  while (colon < bytes.length && bytes[colon] !== COLON && bytes[colon] !== LF) colon++
  return bytes[colon] === COLON ? colon : -1
}

/** Changes one line, where an edit is for it. */
function change(bytes: Buffer, line: number, next: number, edits: readonly LineEdit[], cuts: Cut[]): void {
  const edit = edits.find(({ name }) => isNamed(bytes, line, [headerSelector(name)]))
  if (edit === undefined) return
  let end = next
  if (end > line && bytes[end - 1] === LF) end--
  if (end > line && bytes[end - 1] === CR) end--
  let start = colonIn(bytes, line) + 1
  while (start < end && (isBlank(bytes[start]) || bytes[start] === CR || bytes[start] === LF)) start++
  const left = leftOf(edits, headerSelector(edit.name).name, bytes.toString('latin1', start, end))
  if (left === '') cuts.push({ start: line, end: next, text: '' })
  else if (left !== undefined) cuts.push({ start, end, text: left })
}
