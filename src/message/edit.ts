/**
 * Removing and adding header lines in a message's bytes, everything else untouched.
 * @module
 */
import { COLON, CR, LF, isBlank } from './chars.ts'
import { hashBytes, headerLine, headerSelector, names } from './header-names.ts'

const CRLF = Buffer.from('\r\n')

/** What to remove, what to add. */
export interface HeaderEdits {
  /** Names, long or compact, any case: every line of theirs goes, with its folds. */
  readonly remove?: readonly string[]
  /** Lines to add, in this order. */
  readonly add?: readonly (readonly [name: string, value: string])[]
  /** `end` (the default): directly before the empty line. `top`: directly behind the start line. */
  readonly at?: 'top' | 'end'
}

/**
 * Removes every line of the named headers, then adds lines; every other byte stays. Works on any bytes that look like
 * a message: lines that are no headers are kept as they are.
 * @throws RangeError on a name that is no token, or on CR, LF or NUL in a value: they never come from a message.
 */
export function editHeaders(bytes: Uint8Array, edits: HeaderEdits): Buffer {
  const source = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const added = Buffer.from(
    (edits.add ?? []).map(([name, value]) => `${headerLine(name, value)}\r\n`).join(''),
    'latin1',
  )
  const selectors = (edits.remove ?? []).map(headerSelector)

  let start = 0
  while (source[start] === CR || source[start] === LF) start++
  let line = nextLine(source, start)
  const parts: Uint8Array[] = [source.subarray(0, line)]
  let kept = line
  if (edits.at === 'top') parts.push(added)
  while (line < source.length && source[line] !== CR && source[line] !== LF) {
    let next = nextLine(source, line)
    while (isBlank(source[next])) next = nextLine(source, next)
    if (selectors.length > 0 && isNamed(source, line, selectors)) {
      parts.push(source.subarray(kept, line))
      kept = next
    }
    line = next
  }
  if (edits.at !== 'top' && added.length > 0) {
    parts.push(source.subarray(kept, line))
    // Bytes that stop in mid header lack that line's end.
    if (line === source.length && line > kept && source[line - 1] !== LF) parts.push(CRLF)
    parts.push(added)
    kept = line
  }
  parts.push(source.subarray(kept))
  return Buffer.concat(parts)
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
  let end = line
  while (end < bytes.length && bytes[end] !== COLON && bytes[end] !== LF) end++
  if (bytes[end] !== COLON) return false
  while (end > line && isBlank(bytes[end - 1])) end--
  const hash = hashBytes(bytes, line, end)
  return selectors.some((selector) => selector.hash === hash && names(bytes, line, end, selector))
}
