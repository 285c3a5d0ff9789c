// @ts-check
/** Medians and spread. */

/** The value below which a share of the numbers lies. @param {readonly number[]} numbers @param {number} share */
export function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

/** @param {readonly number[]} numbers */
export const median = (numbers) => quantile(numbers, 0.5)

/** Ratios block by block: what the noise of the machine does to both sides falls out. @param {readonly number[]} a @param {readonly number[]} b */
export const ratios = (a, b) => a.map((value, i) => value / (b[i] ?? NaN))
