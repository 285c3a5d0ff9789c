/**
 * Going on with what a store gives, at once or later.
 * @module
 */

/**
 * Asks, and goes on with `next`; with `failed` where asking throws or rejects. What comes at once costs no promise, and
 * what `next` throws is not taken for a failure of the store.
 */
export function settle<Given, Result>(
  ask: () => Given | Promise<Given>,
  next: (given: Given) => Result | Promise<Result>,
  failed: () => Result,
): Result | Promise<Result> {
  let given: Given | Promise<Given>
  try {
    given = ask()
  } catch {
    return failed()
  }
  return given instanceof Promise ? settleLater(given, next, failed) : next(given)
}

async function settleLater<Given, Result>(
  given: Promise<Given>,
  next: (given: Given) => Result | Promise<Result>,
  failed: () => Result,
): Promise<Result> {
  let value: Given
  try {
    value = await given
  } catch {
    return failed()
  }
  return next(value)
}
