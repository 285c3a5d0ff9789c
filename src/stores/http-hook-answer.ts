/**
 * What a hook answers, read. Nothing in it is trusted to be of the right kind; what is not is a failure of the hook.
 * @module
 */
import type { HookDecision, HookQuery } from '../digest/credential-hook.ts'
import { accountNamed } from '../digest/account-name.ts'
import { HttpError } from './http-error.ts'

/** Longest attribute that is taken, characters: a URL. */
const MAX_ATTRIBUTE = 2048

/** Longest reason that goes to the log, characters. */
const MAX_MESSAGE = 200

/**
 * Reads the answer to a query.
 * @param callHook whether a call needs a `call_hook`
 * @throws HttpError `answer-malformed`
 */
export function readHookAnswer(
  answer: unknown,
  query: HookQuery,
  callHook: 'required' | 'optional',
): HookDecision {
  if (typeof answer !== 'object' || answer === null) throw new HttpError('answer-malformed')
  const { status, msg, expires, blacklist, call_hook, call_status_hook } = answer as Readonly<
    Record<string, unknown>
  >
  const message = typeof msg === 'string' && msg !== '' ? printable(msg) : undefined
  const isListed = blacklist === true
  if (status === 'fail' || (status === 'ok' && isListed))
    return { decision: 'fail', message, source: isListed ? 'ban' : undefined }
  if (status !== 'ok') throw new HttpError('answer-malformed')
  const attributes: Record<string, string> = {}
  const granted = expiresOf(expires, query.expires)
  if (granted !== undefined) attributes['expires'] = String(granted)
  for (const [name, value] of Object.entries({ call_hook, call_status_hook })) {
    const text = attributeOf(value)
    if (text !== undefined) attributes[name] = text
  }
  if (callHook === 'required' && query.method === 'INVITE' && attributes['call_hook'] === undefined)
    return { decision: 'forbid', message: 'the hook gave no call_hook' }
  const { username, domain } = accountNamed(query.credentials.username)
  return { decision: 'ok', account: { username, domain, status: 'active', attributes } }
}

/** Never more than was asked for. */
function expiresOf(given: unknown, requested: number | undefined): number | undefined {
  if (given === undefined || given === null) return undefined
  if (typeof given !== 'number' || !Number.isSafeInteger(given) || given < 0)
    throw new HttpError('answer-malformed')
  return requested === undefined ? given : Math.min(given, requested)
}

/** A URL, or an object that holds one, as text. */
function attributeOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const text = typeof value === 'object' ? JSON.stringify(value) : value
  if (typeof text !== 'string' || text.length > MAX_ATTRIBUTE || /\p{Cc}/u.test(text))
    throw new HttpError('answer-malformed')
  return text
}

/** What may stand in a line of a log. */
function printable(text: string): string {
  return text.slice(0, MAX_MESSAGE).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ')
}
