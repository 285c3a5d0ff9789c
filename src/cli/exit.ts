/**
 * How the command ends.
 * @module
 */

/** Exit codes: done or accepted; refused, mismatch, not safe; wrong usage; a bug; configuration (sysexits.h). */
export const EXIT = { ok: 0, refused: 1, usage: 2, bug: 70, config: 78 } as const

/** Thrown by a command that does not do what it was asked to: one line on standard error, exit 1. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

/** Thrown by a command whose words are off: one line on standard error, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
