/**
 * Where a deciding service is, and what opens it: as it is written, and as it is kept.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Issue } from '../errors.ts'
import { HttpError } from './http-error.ts'
import { basicText, readHttpUrl } from './http-url.ts'

/** Where the decisions on a realm are made. */
export interface HookTarget {
  /** `https://…`, or `http://…` where the network is one's own. */
  readonly url: string
  /** `POST`, the default: JSON. `GET`: a query, without headers. */
  readonly method?: 'POST' | 'GET' | undefined
  /** Basic authentication. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Signs the body of a POST: `Jambonz-Signature: t=<seconds>,v1=<HMAC-SHA256 of "t.body", hex>`. */
  readonly secret?: string | undefined
}

/** A target that was read: its secrets are no text. */
export interface ReadHookTarget {
  readonly url: URL
  readonly method: 'POST' | 'GET'
  readonly basic: KeyObject | undefined
  readonly secret: KeyObject | undefined
}

/**
 * Reads a target that comes when it is needed.
 * @throws HttpError `url-malformed`, without saying what it is
 */
export function readFoundTarget(target: HookTarget): ReadHookTarget {
  const issues: Issue[] = []
  const read = readHookTarget(target, '', issues)
  if (read === undefined || issues.length > 0) throw new HttpError('url-malformed')
  return read
}

/** Reads a target; what is wrong with it is put to the issues, without its secrets. */
export function readHookTarget(
  target: HookTarget,
  path: string,
  issues: Issue[],
): ReadHookTarget | undefined {
  const { method = 'POST', username, password, secret } = target
  const url = readHttpUrl(target.url)
  if (typeof url === 'string') issues.push({ path: `${path}.url`, message: url })
  if ((username === undefined) !== (password === undefined))
    issues.push({ path: `${path}.username`, message: 'and password stand together' })
  if (username?.includes(':')) issues.push({ path: `${path}.username`, message: 'must not hold a colon' })
  if (secret === '') issues.push({ path: `${path}.secret`, message: 'is empty' })
  if (secret !== undefined && method === 'GET')
    issues.push({ path: `${path}.secret`, message: 'signs a body: a GET has none' })
  if (typeof url === 'string') return undefined
  const isBasic = username !== undefined && password !== undefined
  return {
    url,
    method,
    basic: isBasic ? createSecretKey(basicText(username, password)) : undefined,
    secret: secret === undefined ? undefined : createSecretKey(Buffer.from(secret, 'utf8')),
  }
}
