/**
 * User names of credentials that hold a domain, too: `alice@example.org`.
 * @module
 */

/** Taken apart at the last `@`; a name without one, or with nothing on either side, is no more than a user. */
export function accountNamed(name: string): {
  readonly username: string
  readonly domain: string | undefined
} {
  const at = name.lastIndexOf('@')
  return at <= 0 || at === name.length - 1
    ? { username: name, domain: undefined }
    : { username: name.slice(0, at), domain: name.slice(at + 1) }
}
