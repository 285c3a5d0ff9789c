/**
 * What commands read and print.
 * @module
 */
import { readFileSync } from 'node:fs'
import { codeOf } from '../errors.ts'
import { parseEndpoint } from '../edge/config.ts'
import type { Endpoint } from '../message/types.ts'
import { parseToml } from '../toml.ts'
import { UsageError } from './exit.ts'

/** One input: a file, or standard input as `-`. */
export interface Input {
  readonly name: string
  readonly bytes: Buffer
}

/** Reads the files named, or standard input where none is. */
export function readInputs(files: readonly string[]): Input[] {
  return (files.length === 0 ? ['-'] : files).map((name) => ({ name, bytes: readInput(name) }))
}

/** Reads one file, `-` being standard input. */
export function readInput(name: string): Buffer {
  try {
    return readFileSync(name === '-' ? 0 : name)
  } catch (error) {
    const code = codeOf(error, 'unreadable')
    throw new UsageError(`${name}: cannot be read (${code})`)
  }
}

/** Prints one line. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Prints one JSON value on one line. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value))
}

/** Text of a message, control bytes shown as escapes. */
export function visible(text: string): string {
  return Array.from(text, (char) => {
    const code = char.charCodeAt(0)
    if (char === '\\') return '\\\\'
    return code < 32 || code === 127 ? `\\x${code.toString(16).padStart(2, '0')}` : char
  }).join('')
}

/** `--source` and `--local`. */
export function endpointOption(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  if (typeof endpoint === 'string') throw new UsageError(endpoint)
  return endpoint
}

/** `--now`: an offset datetime. */
export function dateOption(text: string): Date {
  const date = new Date(text)
  // `Date` alone would make 2 March of 30 February.
  const isDate = /^\d{4}-\d\d-\d\dT.+(Z|[+-]\d\d:\d\d)$/.test(text) && parseToml(`date = ${text}`).ok
  if (!isDate || Number.isNaN(date.getTime())) {
    throw new UsageError(`${JSON.stringify(text)} is not a date with offset, as in 2026-10-01T00:00:00Z`)
  }
  return date
}
