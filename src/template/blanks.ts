/**
 * White space in values: SP, HTAB, CR and LF, as Kamailio's `trim` has it. `String.prototype.trim` would also take 0xa0,
 * which is half of a UTF-8 letter such as à; and an expression such as /\s+$/ takes quadratic time on what peers send.
 * @module
 */

function isBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 13 || code === 10
}

/** The text without white space in front. */
export function trimLeft(text: string): string {
  let start = 0
  while (start < text.length && isBlank(text.charCodeAt(start))) start++
  return text.slice(start)
}

/** The text without white space behind. */
export function trimRight(text: string): string {
  let end = text.length
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(0, end)
}

/** The text without white space around. */
export function trimBoth(text: string): string {
  return trimRight(trimLeft(text))
}
