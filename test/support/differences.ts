import { readFileSync } from 'node:fs'

const DOCUMENT = new URL('../../docs/kamailio.md', import.meta.url)
const HEADING = '## Deliberate differences'

/** What the table of docs/kamailio.md says: per part of the vectors, how many each difference accounts for. */
export function documentedDifferences(): ReadonlyMap<string, Readonly<Record<string, number>>> {
  const [, section = ''] = readFileSync(DOCUMENT, 'utf8').split(`${HEADING}\n`)
  const parts = new Map<string, Record<string, number>>()
  for (const line of section.split('\n## ')[0]!.split('\n')) {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
    const difference = /^`([a-z-]+)`$/.exec(cells[1] ?? '')?.[1]
    if (difference === undefined) continue
    for (const [, part, count] of cells[5]!.matchAll(/(\w+) (\d+)/g)) {
      const counts = parts.get(part!) ?? {}
      counts[difference] = Number(count)
      parts.set(part!, counts)
    }
  }
  return parts
}
