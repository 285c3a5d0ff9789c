/**
 * The primitive behind everything that may happen once: nonce counts, replay, transactions.
 * @module
 */

/**
 * `new`: nobody had claimed the key, now it is claimed with this value. `same`: it was claimed with this value: a
 * retransmission. `other`: with another one. `full`: there is no room, and nothing was given up for it.
 */
export type ClaimResult = 'new' | 'same' | 'other' | 'full'

/**
 * Claimed keys, bounded. A claim holds for at least `ttl` and is never given up before, whatever else is claimed; asking
 * for it again does not prolong it. Two that claim one key at once get one `new` between them.
 */
export interface Claims {
  /**
   * At once where the memory is this process's own, which costs no promise; as a promise where it is shared. It throws or
   * rejects where it cannot tell.
   * @param key up to 200 characters of ASCII
   * @param value up to 200 characters of ASCII
   * @param ttl milliseconds of real time, above 0
   */
  claim(key: string, value: string, ttl: number): ClaimResult | Promise<ClaimResult>
  /**
   * What was claimed before this instant is not known here, as after a restart. Absent: all is known. Of shared claims it
   * moves on when the store was away: ask each time.
   */
  readonly since?: Date | undefined
}
