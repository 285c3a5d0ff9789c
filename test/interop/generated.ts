/**
 * Generated text, the same in every run.
 */

/** Makes texts out of numbers. */
export interface Generator {
  /** A number from 0 to below `limit`. */
  readonly below: (limit: number) => number
  readonly pick: <T>(from: readonly T[]) => T
  /** 1 to `most` characters of an alphabet. */
  readonly word: (alphabet: string, most: number) => string
}

/** A generator; the same seed makes the same texts. */
export function generator(seed: number): Generator {
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!
  return {
    below,
    pick,
    word: (alphabet, most) => Array.from({ length: 1 + below(most) }, () => pick([...alphabet])).join(''),
  }
}

export const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
/** What a password may hold. */
export const SPECIAL = "äß€ñ漢.-_~!*'()&=+$,;/?:@#%^[]{}|<>`"
