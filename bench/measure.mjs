// @ts-check
/**
 * Measuring candidates in turn, in one process: block after block, so that a noisy machine troubles all alike.
 */

/**
 * @param {Record<string, (i: number) => unknown>} candidates the first is ours
 * @param {{ blocks?: number, blockTime?: number, warmUp?: number }} [options] milliseconds
 * @returns nanoseconds per operation, a list of blocks for each candidate
 */
export function measure(candidates, { blocks = 15, blockTime = 60, warmUp = 400 } = {}) {
  const entries = Object.entries(candidates)
  /** @type {Record<string, number[]>} */
  const result = Object.fromEntries(entries.map(([name]) => [name, []]))
  const counts = new Map(entries.map(([name, run]) => [name, iterations(run, warmUp, blockTime)]))
  for (let block = 0; block < blocks; block++) {
    for (const [name, run] of entries) {
      const count = counts.get(name) ?? 1
      const start = process.hrtime.bigint()
      for (let i = 0; i < count; i++) sink = run(i)
      result[name]?.push(Number(process.hrtime.bigint() - start) / count)
    }
  }
  return result
}

/** Keeps results alive, so that no work is optimised away. */
export let sink = /** @type {unknown} */ (undefined)

/** Warms up and finds how many operations fill a block. @param {(i: number) => unknown} run @param {number} warmUp @param {number} blockTime */
function iterations(run, warmUp, blockTime) {
  const end = performance.now() + warmUp
  let done = 0
  const start = performance.now()
  while (performance.now() < end) for (let i = 0; i < 64; i++) sink = run(done++)
  return Math.max(64, Math.round((done / (performance.now() - start)) * blockTime))
}

/** Prints what a question measured, for the runner. @param {Record<string, number[]>} result @param {object} [facts] */
export function report(result, facts = {}) {
  process.stdout.write(`${JSON.stringify({ ...facts, nanoseconds: result })}\n`)
}
