/**
 * `{param.…}`: a list `name=value;name="value";name` (Kamailio parser/parse_param.c).
 * @module
 */
import { withNumber, withText, bare, type Transform, type Transformation } from './transform.ts'

/** One parameter; `value` is empty where there is none, quotes removed. */
interface Param {
  readonly name: string
  readonly value: string
}

const isBlank = (char: string | undefined): boolean =>
  char === ' ' || char === '\t' || char === '\r' || char === '\n'

/** Reads the list up to its end, or a `,` or `>` behind a parameter; null on a syntax error. */
function parseParams(text: string): Param[] | null {
  const params: Param[] = []
  let i = 0
  const skip = (): void => {
    while (isBlank(text[i])) i++
  }
  const word = (stops: string): string => {
    const start = i
    while (i < text.length && !isBlank(text[i]) && !stops.includes(text[i]!)) i++
    return text.slice(start, i)
  }
  for (;;) {
    skip()
    // A `;` at the end is forgiven, an empty list is not.
    if (i >= text.length) return params.at(-1)?.name ? params : null
    const name = word('=;,')
    let value = ''
    skip()
    if (text[i] === '=') {
      i++
      skip()
      const quote = text[i]
      if (quote === '"' || quote === "'") {
        const close = text.indexOf(quote, i + 1)
        if (close < 0) return null
        value = text.slice(i + 1, close)
        i = close + 1
      } else if (i < text.length) {
        value = word(';,')
        if (value === '') return null
      }
      skip()
    }
    params.push({ name, value })
    if (i >= text.length || text[i] === ',' || text[i] === '>') return params
    if (text[i] !== ';') return null
    i++
  }
}

function ofParams(read: (params: readonly Param[]) => string | undefined): Transform {
  return (value) => {
    const params = parseParams(value)
    return params === null ? null : (read(params) ?? '')
  }
}

const named = (name: string): ((param: Param) => boolean) => {
  const lower = name.toLowerCase()
  return (param) => param.name.toLowerCase() === lower
}

/** The class `param`. */
export const paramTransformations: ReadonlyMap<string, Transformation> = new Map<string, Transformation>([
  // The list is built back to front in Kamailio: of duplicates the last one is found.
  ['param.value', withText((name) => ofParams((params) => params.findLast(named(name))?.value))],
  ['param.in', withText((name) => ofParams((params) => (params.some(named(name)) ? '1' : '0')))],
  ['param.valueat', withNumber((index) => ofParams((params) => params.at(index)?.value))],
  ['param.name', withNumber((index) => ofParams((params) => params.at(index)?.name))],
  ['param.count', bare(ofParams((params) => String(params.length)))],
])
