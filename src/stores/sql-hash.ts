/**
 * An HA1 as databases hold it.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { specOf, type HashAlgorithm } from '../digest/algorithm.ts'

/** A stored HA1, in hex of either case; undefined where it is no hash of that algorithm. */
export function hashKey(text: string, algorithm: HashAlgorithm): KeyObject | undefined {
  if (text.length !== specOf(algorithm).size * 2 || !/^[0-9a-f]+$/i.test(text)) return undefined
  return createSecretKey(Buffer.from(text, 'hex'))
}
