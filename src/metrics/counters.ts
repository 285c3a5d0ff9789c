/**
 * Counters for the hot path: plain integers that reach prom-client only when someone scrapes.
 * A labelled `inc` of prom-client costs about as much as a hash; a cell costs one addition.
 * @module
 */
import { Counter, type Registry } from 'prom-client'

/** One series. The hot path holds it and adds to `value`. */
export interface Cell {
  value: number
}

/** A family of series. */
export interface CellFamily<Label extends string> {
  /** The series of these labels, created at 0 the first time: `increase()` does not see a series born at 1. */
  cell(labels: Readonly<Record<Label, string>>): Cell
  /** Removes the series for which `matches` holds, e.g. those of a pruned key. */
  remove(matches: (labels: Readonly<Record<Label, string>>) => boolean): void
  /** Every series as it stands. */
  entries(): Iterable<{ readonly labels: Readonly<Record<Label, string>>; readonly value: number }>
}

/** Registers a counter whose series are cells. Labels come from closed sets: the caller sees to that. */
export function createCells<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly Label[],
): CellFamily<Label> {
  const series = new Map<string, { readonly labels: Readonly<Record<Label, string>>; readonly cell: Cell }>()
  const counter = new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      counter.reset()
      for (const { labels, cell } of series.values()) counter.inc({ ...labels }, cell.value)
    },
  })
  return {
    cell(labels) {
      const key = JSON.stringify(labelNames.map((label) => labels[label]))
      let found = series.get(key)
      if (found === undefined) {
        found = { labels: { ...labels }, cell: { value: 0 } }
        series.set(key, found)
      }
      return found.cell
    },
    remove(matches) {
      for (const [key, { labels }] of series) if (matches(labels)) series.delete(key)
    },
    *entries() {
      for (const { labels, cell } of series.values()) yield { labels, value: cell.value }
    },
  }
}
