/**
 * Reading the text files that operators name.
 * @module
 */
import { readFileSync } from 'node:fs'
import { codeOf, ConfigError, type ErrorCode } from '../errors.ts'

/**
 * Reads a file as UTF-8.
 * @param code of the error where it cannot be read
 * @throws ConfigError with the path and the system's code
 */
export function readTextFile(path: string, code: ErrorCode): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const message = `it cannot be read (${codeOf(error, 'unreadable')})`
    throw new ConfigError(code, [{ path, message }], { cause: error })
  }
}
