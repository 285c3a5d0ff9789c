/**
 * What only the system knows: a clock that never steps, a beat, the name of the machine.
 * @module
 */
import { hostname } from 'node:os'

/** Milliseconds of a clock that never steps. */
export function now(): number {
  return performance.now()
}

/** Name of the machine. */
export function hostName(): string {
  return hostname()
}

/** Runs `beat` every so many milliseconds, without keeping the process alive. @returns what ends it */
export function every(milliseconds: number, beat: () => void): () => void {
  const timer = setInterval(beat, milliseconds).unref()
  return () => clearInterval(timer)
}
