/**
 * Remembers accepted tokens, so that one that comes again is no evidence of a key's use. Two generations of a Bloom
 * filter: the bits are taken from the token itself, which is a keyed hash and so looks random to whoever has no key.
 *
 * A token is remembered from the first time it came, for 10 to 20 minutes, or for as long as 524 288 to 1 048 576 others
 * take to come where that is shorter (40 seconds at 25 000 messages a second). A token that is replayed later, or after
 * a restart, counts as a use: only replay protection can tell it. About 1 new token in 200 of a full filter is taken
 * for a known one, which delays evidence by a message.
 * @module
 */

/** Accepted tokens of a while. */
export interface SeenTokens {
  /** True where the token is not known; it is from now on. `token`: at least 16 bytes of it, decoded. */
  readonly isNew: (token: Uint8Array) => boolean
  /** Forgets what is old enough at `now`, milliseconds. */
  age(now: number): void
}

/** A generation holds tokens for this long, milliseconds: they are known for one generation to two. */
export const GENERATION_MS = 600_000

// Constants of its own: the hot path is here, and V8 folds what a module itself defines.
const MAX_TOKENS = 1 << 19
/** 512 bits: one line of the processor's cache, so a look costs one access to memory. */
const BLOCK_WORDS = 16
const BLOCKS = 1 << 14

/** Creates an empty filter; it takes 2 MiB. */
export function createSeenTokens(): SeenTokens {
  let current = new Uint32Array(BLOCKS * BLOCK_WORDS)
  let previous = new Uint32Array(BLOCKS * BLOCK_WORDS)
  let count = 0
  let began = -Infinity

  function turn(): void {
    const oldest = previous
    previous = current
    current = oldest.fill(0)
    count = 0
  }

  return {
    isNew(token) {
      const block = (((token[0]! << 8) | token[1]!) & (BLOCKS - 1)) * BLOCK_WORDS
      const first = token[2]!
      const second = token[3]!
      const third = token[4]!
      const fourth = token[5]!
      // Four of the 512 bits, 9 bits of the token each: a word of 16, and a bit of 32 in it.
      const high = token[6]!
      const a = block + ((high & 1) << 3) + (first >> 5)
      const b = block + ((high & 2) << 2) + (second >> 5)
      const c = block + ((high & 4) << 1) + (third >> 5)
      const d = block + (high & 8) + (fourth >> 5)
      const aBit = 1 << (first & 31)
      const bBit = 1 << (second & 31)
      const cBit = 1 << (third & 31)
      const dBit = 1 << (fourth & 31)
      if ((current[a]! & aBit) !== 0 && (current[b]! & bBit) !== 0) {
        if ((current[c]! & cBit) !== 0 && (current[d]! & dBit) !== 0) return false
      }
      // Not laid down again: a peer whose tokens repeat by themselves is seen once a generation or two.
      if ((previous[a]! & aBit) !== 0 && (previous[b]! & bBit) !== 0) {
        if ((previous[c]! & cBit) !== 0 && (previous[d]! & dBit) !== 0) return false
      }
      current[a]! |= aBit
      current[b]! |= bBit
      current[c]! |= cBit
      current[d]! |= dBit
      if (++count >= MAX_TOKENS) turn()
      return true
    },
    age(now) {
      // A clock that steps backwards begins the generation anew.
      if (began === -Infinity || now < began) began = now
      if (now - began < GENERATION_MS) return
      began = now
      turn()
    },
  }
}
