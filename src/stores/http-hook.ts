/**
 * A service that decides on digest answers over HTTP, as jambonz's registration hook does: it is shown the parameters of
 * the digest, and answers `{"status": "ok"}` or `{"status": "fail"}`.
 * @module
 */
import { createHmac, type KeyObject } from 'node:crypto'
import { ConfigError, type Issue } from '../errors.ts'
import type { CredentialHook, HookDecision, HookQuery } from '../digest/credential-hook.ts'
import {
  createHttpClient,
  type HttpAnswer,
  type HttpClientOptions,
  type HttpQuestion,
} from './http-client.ts'
import { HttpError } from './http-error.ts'
import { readHookAnswer } from './http-hook-answer.ts'
import { readFoundTarget, readHookTarget, type HookTarget, type ReadHookTarget } from './http-hook-target.ts'

/** A target as it is written, or one that was read before. */
type FoundTarget = HookTarget | ReadHookTarget | undefined

/** Finds the target of a realm; undefined where it has none, and nobody of it may pass. */
export type FindHookTarget = (realm: string) => FoundTarget | Promise<FoundTarget>

/** What `createHttpHook` takes. */
export interface HttpHookOptions extends HttpClientOptions {
  /** By realm; or a function, which may ask a database. */
  readonly targets: Readonly<Record<string, HookTarget>> | FindHookTarget
  /** `required`: who gets no `call_hook` may register and not call. Default `optional`. */
  readonly callHook?: 'required' | 'optional' | undefined
  /** For signatures; default the system's clock. */
  readonly now?: (() => Date) | undefined
}

/** A hook, and the end of it. */
export interface HttpHook extends CredentialHook {
  decide(query: HookQuery): Promise<HookDecision>
  /** Questions that wait for a connection. */
  readonly waiting: number
  close(): void
}

/**
 * Creates the hook.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue of the targets and numbers. No issue holds a secret.
 */
export function createHttpHook(options: HttpHookOptions): HttpHook {
  const { callHook = 'optional', now = () => new Date() } = options
  const find = targetFinder(options.targets)
  const client = createHttpClient(options)

  async function decide(query: HookQuery): Promise<HookDecision> {
    const target = await find(query.credentials.realm)
    if (target === undefined) return { decision: 'forbid', message: 'the realm has no hook' }
    return client.ask(questionOf(target, query, now()), (answer) =>
      readHookAnswer(jsonOf(answer), query, callHook),
    )
  }

  return {
    decide,
    get waiting() {
      return client.waiting
    },
    close: () => client.close(),
  }
}

function targetFinder(
  targets: HttpHookOptions['targets'],
): (realm: string) => Promise<ReadHookTarget | undefined> {
  if (typeof targets !== 'function') {
    const issues: Issue[] = []
    const read = new Map(
      Object.entries(targets).map(([realm, target]) => [
        realm,
        readHookTarget(target, `targets.${realm}`, issues),
      ]),
    )
    if (read.size === 0) issues.push({ path: 'targets', message: 'is empty: nobody could pass' })
    if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
    return (realm) => Promise.resolve(read.get(realm))
  }
  return async (realm) => {
    const target = await targets(realm)
    return target === undefined || typeof target.url !== 'string'
      ? (target as ReadHookTarget | undefined)
      : readFoundTarget(target as HookTarget)
  }
}

/** The parameters of the digest, under the names that jambonz gives them. */
function payloadOf({ credentials, method, expires, source }: HookQuery) {
  const { username, realm, nonce, uri, response, counted, spec } = credentials
  return {
    method,
    ...(expires !== undefined && { expires }),
    scheme: 'digest',
    username,
    realm,
    nonce,
    uri,
    response,
    ...(counted !== undefined && { qop: counted.qop, nc: counted.nc, cnonce: counted.cnonce }),
    algorithm: spec.name,
    source_address: source.address,
    source_port: source.port,
  }
}

function questionOf(target: ReadHookTarget, query: HookQuery, now: Date): HttpQuestion {
  const { method, secret, basic } = target
  const payload = payloadOf(query)
  const headers: Record<string, string> = { accept: 'application/json' }
  if (basic !== undefined) headers['authorization'] = basic.export().toString('latin1')
  if (method === 'GET') {
    const url = new URL(target.url)
    for (const [name, value] of Object.entries(payload)) url.searchParams.append(name, String(value))
    return { method, url, headers }
  }
  const body = JSON.stringify({ ...payload, headers: query.headers() })
  headers['content-type'] = 'application/json'
  if (secret !== undefined) headers['jambonz-signature'] = signatureOf(secret, body, now)
  return { method, url: target.url, headers, body }
}

function signatureOf(secret: KeyObject, body: string, now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000)
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}

function jsonOf({ status, body }: HttpAnswer): unknown {
  if (status !== 200) throw new HttpError('status', String(status))
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new HttpError('answer-malformed')
  }
}
