/**
 * As much of PromQL as is needed to name the metrics and labels of an expression. `promtool` checks the grammar.
 */

/** `{label=~"a|b"}` */
export interface Matcher {
  readonly label: string
  /** The alternatives of a regular expression, or the one value. */
  readonly values: readonly string[]
}

/** A metric as an expression asks for it. */
export interface Selector {
  readonly metric: string
  readonly matchers: readonly Matcher[]
}

/** What an expression names. */
export interface Names {
  readonly selectors: readonly Selector[]
  /** Labels after `by`, `on` and the like. */
  readonly grouping: readonly string[]
}

const TOKEN =
  /\s*(?:(?<text>"(?:[^"\\]|\\.)*")|(?<duration>\d+(?:ms|[smhdwy]))|(?<number>\d+(?:\.\d+)?)|(?<word>[a-zA-Z_:][\w:]*)|(?<sign>=~|!~|==|!=|>=|<=|[-+*/%^(){}[\],=<>]))/y
const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'])
const OPERATORS = new Set(['and', 'or', 'unless', 'bool', 'offset'])

/** Reads an expression. @throws on what is no PromQL at all */
export function namesOf(expression: string): Names {
  const tokens: { kind: string; text: string }[] = []
  const source = expression.trim()
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < source.length;) {
    const at = TOKEN.lastIndex
    const groups = TOKEN.exec(source)?.groups
    const found = Object.entries(groups ?? {}).find(([, text]) => text !== undefined)
    if (found === undefined) throw new Error(`no PromQL: ${source.slice(at)}`)
    tokens.push({ kind: found[0], text: found[1] })
  }
  const selectors: Selector[] = []
  const grouping: string[] = []
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!
    if (kind !== 'word' || OPERATORS.has(text)) continue
    const next = tokens[i + 1]?.text
    if (GROUPING.has(text)) {
      if (next !== '(') continue
      for (i += 2; tokens[i]!.text !== ')'; i++)
        if (tokens[i]!.kind === 'word') grouping.push(tokens[i]!.text)
    } else if (next !== '(' && next !== 'by' && next !== 'without') {
      // Not a function, nor an aggregation: a metric.
      const matchers: Matcher[] = []
      if (next === '{') {
        for (i += 2; tokens[i]!.text !== '}'; i++) {
          if (tokens[i]!.kind !== 'word') continue
          const [label, operator, value] = [tokens[i]!.text, tokens[i + 1]!.text, tokens[i + 2]!.text]
          const plain = value.slice(1, -1)
          matchers.push({ label, values: operator.endsWith('~') ? plain.split('|') : [plain] })
          i += 2
        }
      }
      selectors.push({ metric: text, matchers })
    }
  }
  return { selectors, grouping }
}
