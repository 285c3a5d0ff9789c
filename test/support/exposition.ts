/** One sample of an exposition. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A family of an exposition. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: readonly Sample[]
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|(?=\}))/y
/** Prometheus reads `NaN` in any case (Go's ParseFloat), and prom-client writes `Nan`. */
const VALUE = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|nan|[+-]Inf)$/i

/**
 * Parses the Prometheus text format 0.0.4, more strictly than Prometheus does: HELP, then TYPE, then the samples of a
 * family in one piece, no timestamp, no series twice. Written from the format's description, apart from prom-client.
 */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line must end in a line feed')
  const families = new Map<string, Family & { readonly samples: Sample[] }>()
  const series = new Set<string>()
  let current: (Family & { readonly samples: Sample[] }) | undefined
  let help: { name: string; text: string } | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment
      if (kind === 'HELP') {
        help = { name, text: rest }
        continue
      }
      if (help?.name !== name) throw new Error(`TYPE without HELP: ${line}`)
      if (families.has(name)) throw new Error(`family twice: ${name}`)
      current = { name, help: help.text, type: rest, samples: [] }
      families.set(name, current)
      continue
    }
    const sample = parseSample(line)
    const { name, type } = current ?? { name: '', type: '' }
    const suffixes =
      type === 'histogram'
        ? ['_bucket', '_sum', '_count']
        : type === 'summary'
          ? ['', '_sum', '_count']
          : ['']
    if (!suffixes.some((suffix) => sample.name === name + suffix))
      throw new Error(`sample outside of its family: ${line}`)
    const key = `${sample.name}${Object.entries(sample.labels)
      .map(String)
      .toSorted((a, b) => (a < b ? -1 : 1))
      .join()}`
    if (series.has(key)) throw new Error(`series twice: ${line}`)
    series.add(key)
    current!.samples.push(sample)
  }
  return families
}

function parseSample(line: string): Sample {
  NAME.lastIndex = 0
  const name = NAME.exec(line)?.[0]
  if (name === undefined) throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  let at = name.length
  if (line[at] === '{') {
    at++
    while (line[at] !== '}') {
      LABEL.lastIndex = at
      const [whole, label, value] = LABEL.exec(line) ?? []
      if (whole === undefined) throw new Error(`labels cannot be read: ${line}`)
      labels[label!] = value!.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
      at += whole.length
    }
    at++
  }
  const rest = line.slice(at).trim()
  // One word only: a second one would be a timestamp.
  if (!VALUE.test(rest)) throw new Error(`no value, or a timestamp behind it: ${line}`)
  return { name, labels, value: Number(rest.replace('Inf', 'Infinity')) }
}
