/**
 * Comma-separated values (RFC 4180).
 * @module
 */

/** One record, and the line that it begins on, from 1. */
export interface CsvRecord {
  readonly line: number
  readonly fields: readonly string[]
}

const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y

/**
 * Reads records; empty lines are none.
 * @param report told of a line that is no record; what follows it is not read
 */
export function readCsv(text: string, report: (line: number, message: string) => void): readonly CsvRecord[] {
  const records: CsvRecord[] = []
  let fields: string[] = []
  let line = 1
  let start = 1
  FIELD.lastIndex = 0
  while (FIELD.lastIndex < text.length || fields.length > 0) {
    const match = FIELD.exec(text)
    if (match === null) {
      report(
        line,
        'is no line of comma-separated values: quotes stand around a whole field, and double within',
      )
      return records
    }
    const [whole, quoted, plain = '', end] = match
    fields.push(quoted?.replaceAll('""', '"') ?? plain)
    line += whole.split('\n').length - 1
    if (end === ',') continue
    if (fields.length > 1 || fields[0] !== '') records.push({ line: start, fields })
    fields = []
    start = line
  }
  return records
}
