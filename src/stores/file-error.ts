/**
 * What goes wrong with files that are written, told as configuration errors.
 * @module
 */
import { codeOf, ConfigError, type ErrorCode } from '../errors.ts'

/** Another writer holds the file. */
export const FILE_LOCKED = 'ERR_FILE_LOCKED' satisfies ErrorCode
/** It cannot be read, or is not UTF-8. */
export const FILE_UNREADABLE = 'ERR_FILE_UNREADABLE' satisfies ErrorCode
/** It cannot be written: no right, no space. */
export const FILE_UNWRITABLE = 'ERR_FILE_UNWRITABLE' satisfies ErrorCode
/** Somebody who takes no lock wrote it between reading and writing. */
export const FILE_CHANGED = 'ERR_FILE_CHANGED' satisfies ErrorCode

/** A file that cannot be written; of a system's error its code is told, a text is taken as it is. */
export function unwritable(path: string, reason: unknown, cause?: unknown): ConfigError {
  if (reason instanceof ConfigError) return reason
  const message = typeof reason === 'string' ? reason : `it cannot be written (${codeOf(reason)})`
  return new ConfigError(FILE_UNWRITABLE, [{ path, message }], { cause: cause ?? reason })
}
