/**
 * `{line.…}`: lines of a text.
 * @module
 */
import { bare, withNumber, withText, type Transform, type Transformation } from './transform.ts'

function ofLines(read: (lines: readonly string[]) => string | undefined): Transform {
  return (value) =>
    value === '' ? null : (read(value.split('\n').map((line) => line.replace(/\r$/, ''))) ?? '')
}

/** The class `line`. */
export const lineTransformations: ReadonlyMap<string, Transformation> = new Map<string, Transformation>([
  ['line.count', bare(ofLines((lines) => String(lines.length)))],
  ['line.at', withNumber((index) => ofLines((lines) => lines.at(index)))],
  ['line.sw', withText((prefix) => ofLines((lines) => lines.find((line) => line.startsWith(prefix))))],
])
