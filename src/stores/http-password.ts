/**
 * Passwords fetched over HTTP, one GET each: the first line of the answer is the password, or the HA1.
 * @module
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { accountNamed } from '../digest/account-name.ts'
import { specOf, type HashAlgorithm } from '../digest/algorithm.ts'
import type { Account, CredentialQuery, CredentialStore } from '../digest/credential-store.ts'
import { computeHa1 } from '../digest/response.ts'
import { ConfigError, type Issue } from '../errors.ts'
import { createHttpClient, type HttpAnswer, type HttpClientOptions } from './http-client.ts'
import { HttpError } from './http-error.ts'
import { basicText, readHttpUrl } from './http-url.ts'

/** What `createHttpPasswords` takes. */
export interface HttpPasswordOptions extends HttpClientOptions {
  /** `https://host/password?user={username}&realm={realm}`: both names are escaped, and `{algorithm}` is the hash. */
  readonly url: string
  /** What the service gives; default `password`. An `ha1` must be in the hash that is asked for. */
  readonly gives?: 'password' | 'ha1' | undefined
  /** Basic authentication. */
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** The store, and the end of it. */
export interface HttpPasswords extends CredentialStore {
  find(query: CredentialQuery): Promise<Account | undefined>
  /** Questions that wait for a connection. */
  readonly waiting: number
  close(): void
}

const PLACES = ['username', 'realm', 'algorithm'] as const
const PLACE = /\{([^{}]*)\}/g

/**
 * Creates the store. A 404 or 403 is an unknown user; every other status but 200 a failure.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue of the URL and the numbers
 */
export function createHttpPasswords(options: HttpPasswordOptions): HttpPasswords {
  const { url, gives = 'password', username, password } = options
  const issues = issuesOf(options)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  const client = createHttpClient(options)
  const basic =
    username !== undefined && password !== undefined
      ? createSecretKey(basicText(username, password))
      : undefined

  async function find(query: CredentialQuery): Promise<Account | undefined> {
    // A path would be cut short by these, escaped or not.
    if ([query.username, query.realm].some((name) => name === '.' || name === '..')) return undefined
    const filled = url.replace(PLACE, (_, place: (typeof PLACES)[number]) => encodeURIComponent(query[place]))
    const read = readHttpUrl(filled)
    if (typeof read === 'string') throw new HttpError('url-malformed')
    const headers: Record<string, string> = { accept: 'text/plain' }
    if (basic !== undefined) headers['authorization'] = basic.export().toString('latin1')
    const ha1 = await client.ask({ method: 'GET', url: read, headers }, (answer) =>
      ha1Of(answer, query, gives),
    )
    return ha1 === 'unknown'
      ? undefined
      : { ...accountNamed(query.username), ha1, status: 'active', attributes: {} }
  }

  return {
    find,
    get waiting() {
      return client.waiting
    },
    close: () => client.close(),
  }
}

function issuesOf({ url, username, password }: HttpPasswordOptions): readonly Issue[] {
  const issues: Issue[] = []
  const sample = readHttpUrl(url.replace(PLACE, 'x'))
  if (typeof sample === 'string') issues.push({ path: 'url', message: sample })
  const places = Array.from(url.matchAll(PLACE), ([, place]) => place!)
  for (const place of places)
    if (!PLACES.some((known) => known === place))
      issues.push({
        path: 'url',
        message: `${JSON.stringify(`{${place}}`)} is not known: there are {${PLACES.join('}, {')}}`,
      })
  if (!places.includes('username'))
    issues.push({ path: 'url', message: 'has no {username}: everybody would have one password' })
  if (/^[^/]*\/\/[^/?#]*[{}]/.test(url))
    issues.push({
      path: 'url',
      message: 'must not have a place in the host: a user would choose whom to ask',
    })
  if ((username === undefined) !== (password === undefined))
    issues.push({ path: 'username', message: 'and password stand together' })
  if (username?.includes(':')) issues.push({ path: 'username', message: 'must not hold a colon' })
  return issues
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function ha1Of(
  { status, body }: HttpAnswer,
  { username, realm, algorithm }: CredentialQuery,
  gives: 'password' | 'ha1',
): KeyObject | undefined | 'unknown' {
  if (status === 404 || status === 403) return 'unknown'
  if (status !== 200) throw new HttpError('status', String(status))
  const secret = firstLine(body)
  return gives === 'ha1'
    ? keyOf(secret, algorithm)
    : createSecretKey(computeHa1(algorithm, username, realm, secret))
}

/** An empty line is nobody's password. */
function firstLine(body: Buffer): string {
  const end = body.findIndex((byte) => byte === 10 || byte === 13)
  let line: string
  try {
    line = UTF8.decode(end < 0 ? body : body.subarray(0, end))
  } catch {
    throw new HttpError('answer-malformed')
  }
  if (line === '') throw new HttpError('answer-malformed')
  return line
}

/** Undefined for the HA1 of another hash: the account has none that fits. */
function keyOf(text: string, algorithm: HashAlgorithm): KeyObject | undefined {
  const hex = text.trim()
  if (!/^[0-9a-f]+$/i.test(hex)) throw new HttpError('answer-malformed')
  if (hex.length !== specOf(algorithm).size * 2) return undefined
  return createSecretKey(Buffer.from(hex, 'hex'))
}
