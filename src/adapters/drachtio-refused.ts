/**
 * Which requests were refused: their refusals are never signed.
 * @module
 */

const refused = new WeakSet<object>()

/** Remembers that a request was refused. */
export function markRefused(req: object): void {
  refused.add(req)
}

/**
 * Whether a request was refused. To sign its refusal would sign text that whoever sent it has chosen, and give him a
 * response with a token for a call that is not his.
 */
export function isRefused(req: object): boolean {
  return refused.has(req)
}
