/**
 * Checks on the data that is hashed.
 * @module
 */
import { DATA_START, type WorkBuffer } from './algorithm.ts'

/**
 * Whether the data holds a NUL. A sha form refuses it: Kamailio's copy stops there while ours would not, and a length
 * extension of a prefix hash always brings one (the padding of the first hash).
 */
export function holdsNul(work: WorkBuffer, end: number): boolean {
  const { bytes } = work
  for (let i = DATA_START; i < end; i++) if (bytes[i] === 0) return true
  return false
}
