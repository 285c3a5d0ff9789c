/**
 * A clock for what must not live twice. A wall clock that steps back would make an ended nonce young again, when the
 * memory of its use is gone.
 * @module
 */

/** How much slower than real time the clock may go while the wall clock catches up. */
export const SLOWEST = 0.5

/**
 * Makes a clock that follows the wall clock forward and never goes back: while the wall clock is behind, it goes on at
 * half the speed of real time until they meet. So what ends after a time by this clock ends within twice the time.
 * @param now the wall clock
 * @param monotonic milliseconds of a clock that never steps
 * @returns epoch milliseconds
 */
export function createSteadyClock(now: () => Date, monotonic: () => number): () => number {
  let last = now().getTime()
  let ticked = monotonic()
  return () => {
    const wall = now().getTime()
    const tick = Math.max(monotonic(), ticked)
    const slow = last + (tick - ticked) * SLOWEST
    ticked = tick
    // A wall clock that shows no time is one that is behind.
    last = wall > slow ? wall : slow
    return last
  }
}
