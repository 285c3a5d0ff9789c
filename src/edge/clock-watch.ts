/**
 * Noticing when the wall clock steps: keys begin and end by it.
 * @module
 */

/** What the watch reads; injected in tests. */
export interface Clocks {
  /** Milliseconds since 1970, as an operator or NTP sets them. */
  readonly wall: () => number
  /** Milliseconds of a clock that never steps. */
  readonly steady: () => number
}

/** How often the clocks are compared, milliseconds. */
export const CLOCK_WATCH_EVERY = 1000

/** What counts as a step, milliseconds in one interval: NTP slews by less than 1 in 1000. */
const STEP = 500

/**
 * Compares the clocks every second until the returned function is called.
 * @param onStep is told how far the wall clock stepped, milliseconds; negative: backwards
 */
export function watchClock(
  onStep: (milliseconds: number) => void,
  { wall, steady }: Clocks = { wall: Date.now, steady: () => performance.now() },
): () => void {
  let offset = wall() - steady()
  const timer = setInterval(() => {
    const now = wall() - steady()
    if (Math.abs(now - offset) >= STEP) onStep(Math.round(now - offset))
    // Slewing adds up; only what happens between two looks is a step.
    offset = now
  }, CLOCK_WATCH_EVERY)
  timer.unref()
  return () => clearInterval(timer)
}
