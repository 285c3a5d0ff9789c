/**
 * Regular expressions as Kamailio reads them (POSIX extended, glibc), for the engine that runs them here (RE2). What the
 * two would read differently is refused where it cannot be rewritten: a token would silently never match.
 * @module
 */

/** Letters that mean the same behind a backslash in glibc and RE2. */
const SAME_ESCAPES = 'wWsSbB'

/** The expression for RE2, or what stands in it that the two engines read differently. */
export type PosixResult =
  | { readonly ok: true; readonly expression: string }
  | { readonly ok: false; readonly fault: string }

/** @param newline `stops`: as with REG_NEWLINE, neither `.` nor `[^…]` matches a line feed. */
export function rewritePosix(source: string, newline: 'stops' | 'matches'): PosixResult {
  let expression = ''
  let repeated = false
  let i = 0
  while (i < source.length) {
    const char = source[i]!
    const next = source[i + 1]
    if (char === '\\') {
      if (next === undefined || (/[\w<>`']/.test(next) && !SAME_ESCAPES.includes(next))) {
        return refused(`\\${next ?? ''}`, 'POSIX knows no such escape')
      }
      expression += char + next
      i += 2
      repeated = false
    } else if (char === '[') {
      const end = bracketEnd(source, i)
      const inner = source.slice(i, end)
      if (end < 0) return refused('[', 'it is never closed')
      if (inner.includes('\\')) return refused(inner, 'in brackets POSIX takes a backslash for itself')
      const open = inner.startsWith('[^') ? '[^' : '['
      // The first character may be "]", or a "[" that opens no class: both need a backslash in RE2.
      const items = inner
        .slice(open.length, -1)
        .replace(/^\]/, '\\]')
        .replace(/\[(?!:)/g, '\\[')
      expression += `${open}${open === '[^' && newline === 'stops' ? '\\n' : ''}${items}]`
      i = end
      repeated = false
    } else if (char === '(' && next === '?') {
      return refused('(?', 'POSIX knows no such group')
    } else if ('*+?'.includes(char) || /^\{\d+(?:,\d*)?\}/.test(source.slice(i, i + 16))) {
      if (repeated) return refused(char, 'it repeats a repetition')
      const end = char === '{' ? source.indexOf('}', i) + 1 : i + 1
      expression += source.slice(i, end)
      i = end
      repeated = true
    } else if (char === '{') {
      return refused('{', 'it begins no repetition; write [{] for a brace')
    } else {
      expression += char
      i++
      repeated = false
    }
  }
  return { ok: true, expression }
}

function refused(text: string, why: string): PosixResult {
  return { ok: false, fault: `the expression holds ${text}, which Kamailio reads differently: ${why}` }
}

/** Behind the "]" that closes the bracket expression at `start`; -1 where there is none. */
function bracketEnd(source: string, start: number): number {
  let i = start + 1
  if (source[i] === '^') i++
  if (source[i] === ']') i++
  while (i < source.length && source[i] !== ']') {
    const close = /^\[([:.=])/.exec(source.slice(i, i + 2))?.[1]
    const end = close === undefined ? -1 : source.indexOf(`${close}]`, i + 2)
    i = end < 0 ? i + 1 : end + 2
  }
  return i < source.length ? i + 1 : -1
}
