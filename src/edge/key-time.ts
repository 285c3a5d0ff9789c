/**
 * The time by which keys begin and end.
 * @module
 */

/**
 * Makes a clock that shows the wall clock's time, or the latest one that it showed before: a step backwards brings no key
 * back to life, on no trunk and over no reload. It gives one and the same Date each time, for the sake of the hot path:
 * whoever keeps it makes a copy.
 */
export function createKeyTime(wall: () => number = Date.now): () => Date {
  const shown = new Date(wall())
  let last = shown.getTime()
  return () => {
    const now = wall()
    if (now > last) {
      last = now
      shown.setTime(now)
    }
    return shown
  }
}
