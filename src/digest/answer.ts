/**
 * The answer to a challenge, judged step by step: what needs no look-up first, then the proof.
 * @module
 */
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { DIGEST_SPECS } from './algorithm.ts'
import { opaqueOf } from './challenge.ts'
import type { Account } from './credential-store.ts'
import { readCredentials, type CredentialsFault, type DigestCredentials } from './credentials.ts'
import { isSameUri } from './digest-uri.ts'
import type { AuthItem } from './header.ts'
import type { NonceFacts, NonceOrigin, Nonces } from './nonce.ts'
import { computeResponse, equalResponse } from './response.ts'

/** Why an answer is refused before anybody is asked for the password. */
export type AnswerFault =
  | CredentialsFault
  | 'credentials-repeated'
  | 'opaque-mismatch'
  | 'nonce-malformed'
  | 'nonce-foreign'
  | 'algorithm-mismatch'
  | 'qop-missing'
  | 'qop-mismatch'
  | 'uri-mismatch'

/** One answer out of those given, or what is wrong with them. */
export type AnswerChoice =
  | { readonly ok: true; readonly credentials: DigestCredentials }
  | { readonly ok: false; readonly reason: AnswerFault }

/** Takes the strongest of several answers in one realm; two in one algorithm contradict each other. */
export function chooseAnswer(items: readonly AuthItem[]): AnswerChoice {
  // Nearly always there is one.
  if (items.length === 1) return readCredentials(items[0]!)
  const read = items.map(readCredentials)
  const answers = read.flatMap((result) => (result.ok ? [result.credentials] : []))
  const first = read[0]
  if (answers.length === 0) return first?.ok === false ? first : { ok: false, reason: 'parameter-missing' }
  for (const spec of DIGEST_SPECS) {
    const found = answers.filter((answer) => answer.spec === spec)
    if (found.length > 1) return { ok: false, reason: 'credentials-repeated' }
    if (found.length === 1) return { ok: true, credentials: found[0]! }
  }
  return { ok: false, reason: 'algorithm-unknown' }
}

/** What an answer belongs to. */
export interface AnswerTo {
  readonly origin: NonceOrigin
  /** Latin1, as sent; undefined where the URI of another request was hashed (an ACK repeats its INVITE's credentials). */
  readonly requestUri: string | undefined
}

/** Whether the answer fits the challenge that its nonce tells of. */
export type AnswerCheck =
  | { readonly ok: true; readonly facts: NonceFacts; readonly age: 'fresh' | 'stale' }
  | { readonly ok: false; readonly reason: AnswerFault }

const fault = (reason: AnswerFault): AnswerCheck => ({ ok: false, reason })

/** Checks everything but the password. Costs one HMAC a key. */
export function checkAnswer(credentials: DigestCredentials, to: AnswerTo, nonces: Nonces): AnswerCheck {
  const nonce = nonces.check(credentials.nonce, to.origin)
  if (!nonce.ok) return fault(nonce.reason === 'foreign' ? 'nonce-foreign' : 'nonce-malformed')
  const { facts } = nonce
  if (facts.algorithm !== credentials.spec.name) return fault('algorithm-mismatch')
  const { counted } = credentials
  if (counted === undefined && facts.qop.length > 0) return fault('qop-missing')
  if (counted !== undefined && !facts.qop.includes(counted.qop)) return fault('qop-mismatch')
  // Some telephones send none back; another one is not ours.
  if (credentials.opaque !== undefined && credentials.opaque !== opaqueOf(to.origin.realm))
    return fault('opaque-mismatch')
  if (to.requestUri !== undefined && !isSameUri(credentials.uri, to.requestUri)) return fault('uri-mismatch')
  return { ok: true, facts, age: nonce.age }
}

/** Why an answer proves nothing. */
export type ProofFault = 'user-unknown' | 'ha1-missing' | 'password-wrong'

/** Whether the answer proves that its sender has the password. */
export type Proof =
  | { readonly ok: true; readonly ha1: KeyObject }
  | { readonly ok: false; readonly reason: ProofFault }

/** Stands for the HA1 of accounts that are not there, so that they cost the same work. */
const NOBODY: ReadonlyMap<number, KeyObject> = new Map(
  [16, 32].map((size) => [size, createSecretKey(randomBytes(size))]),
)

/** Computes the response and compares it, in the same way whether the account is there or not. */
export function proveAnswer(
  credentials: DigestCredentials,
  account: Account | undefined,
  request: { readonly method: string; readonly body: Uint8Array },
): Proof {
  const { spec, response } = credentials
  const own = account?.ha1?.symmetricKeySize === spec.size ? account.ha1 : undefined
  const expected = responseOf(credentials, own ?? NOBODY.get(spec.size)!, request)
  const isRight = equalResponse(expected, response)
  if (own !== undefined && isRight) return { ok: true, ha1: own }
  if (account === undefined) return { ok: false, reason: 'user-unknown' }
  return { ok: false, reason: own === undefined ? 'ha1-missing' : 'password-wrong' }
}

function responseOf(
  { spec, uri, nonce, counted }: DigestCredentials,
  key: KeyObject,
  { method, body }: { readonly method: string; readonly body: Uint8Array },
): string {
  const ha1 = key.export()
  const response = computeResponse({
    algorithm: spec.name,
    ha1,
    method,
    uri,
    nonce,
    qop: counted?.qop,
    nc: counted?.nc,
    cnonce: counted?.cnonce,
    body,
  })
  ha1.fill(0)
  return response
}
