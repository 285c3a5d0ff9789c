/**
 * `{re.subst,/expression/replacement/flags}` on a linear-time engine (re2js), so that no message can stall it.
 * @module
 */
import { RE2JS, RE2JSException } from 're2js'
import { rewritePosix } from './posix-regex.ts'
import type { Transform, Transformation } from './transform.ts'

/** Longest text that Kamailio substitutes in, and longest it makes, bytes (TR_TXT_BUF_SIZE). */
const MAX_TEXT = 8191

/** Longest replacement of one match, bytes (REPLACE_BUFFER_SIZE, re.c). */
const MAX_REPLACEMENT = 1022

/** `/a/b/g` apart; the first character is the delimiter, `\` before it keeps it. */
function splitSubst(text: string): readonly [expression: string, replacement: string, flags: string] | null {
  const delimiter = text[0]
  if (delimiter === undefined || /[\w\s\\]/.test(delimiter)) return null
  const pieces: string[] = []
  let piece = ''
  for (let i = 1; i < text.length; i++) {
    if (text[i] === '\\' && i + 1 < text.length) {
      // The delimiter keeps its backslash too: `|\||-|` looks for a bar.
      piece += `\\${text[++i]}`
    } else if (text[i] === delimiter) {
      pieces.push(piece)
      piece = ''
    } else piece += text[i]
  }
  const [expression, replacement] = pieces
  return pieces.length === 2 && expression ? [expression, replacement!, piece.trim()] : null
}

/** `\1`…`\9` to groups, `\n` `\r` `\t` to their characters; other escapes lose the backslash. */
function parseReplacement(text: string): readonly (string | number)[] {
  const parts: (string | number)[] = []
  for (let i = 0; i < text.length; i++) {
    const escaped = text[i] === '\\' ? text[++i] : undefined
    if (escaped === undefined) parts.push(text[i] ?? '\\')
    else if (/\d/.test(escaped)) parts.push(Number(escaped))
    else parts.push(({ n: '\n', r: '\r', t: '\t' } as Record<string, string>)[escaped] ?? escaped)
  }
  return parts
}

const subst: Transformation = (parameters) => {
  const pieces = splitSubst(parameters ?? '')
  if (pieces === null) return { fault: 'it needs /expression/replacement/flags' }
  const [expression, replacement, flags] = pieces
  if (/[^gis]/.test(flags))
    return { fault: `unknown flag in ${JSON.stringify(flags)}; the flags are g, i and s` }
  const rewritten = rewritePosix(expression, flags.includes('s') ? 'matches' : 'stops')
  if (!rewritten.ok) return { fault: rewritten.fault }
  let regex: RE2JS
  try {
    // Kamailio compiles POSIX extended with REG_NEWLINE unless `s` is given: ^ and $ match at lines, . stops at them.
    const multiline = flags.includes('s') ? RE2JS.DOTALL : RE2JS.MULTILINE
    regex = RE2JS.compile(
      rewritten.expression,
      multiline | (flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0) | RE2JS.LONGEST_MATCH,
    )
  } catch (error) {
    if (error instanceof RE2JSException) return { fault: `the expression does not compile: ${error.message}` }
    throw error
  }
  const parts = parseReplacement(replacement)
  const highest = Math.max(0, ...parts.filter((part) => typeof part === 'number'))
  if (highest > regex.groupCount())
    return { fault: `the replacement names group ${highest}, which is not there` }
  return substitute(regex, parts, flags.includes('g') ? 'all' : 'first')
}

function substitute(regex: RE2JS, parts: readonly (string | number)[], which: 'all' | 'first'): Transform {
  return (value) => {
    if (value === '' || value.length > MAX_TEXT) return null
    const matcher = regex.matcher(value)
    let result = ''
    let copied = 0
    while (matcher.find()) {
      result += value.slice(copied, matcher.start())
      // An empty match is an error there (subst_run, re.c).
      if (matcher.end() === matcher.start()) return null
      let replacement = ''
      for (const part of parts) replacement += typeof part === 'number' ? (matcher.group(part) ?? '') : part
      if (replacement.length > MAX_REPLACEMENT) return null
      result += replacement
      copied = matcher.end()
      if (which === 'first') break
    }
    result += value.slice(copied)
    return result.length > MAX_TEXT ? null : result
  }
}

/** The class `re`. */
export const regexTransformations: ReadonlyMap<string, Transformation> = new Map([['re.subst', subst]])
