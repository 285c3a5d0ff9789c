/**
 * Digest credentials as a client sent them: every parameter present and of the right form, nothing yet proved
 * (RFC 3261 §22.4, RFC 7616 §3.4).
 * @module
 */
import { digestSpec, type DigestSpec, type Qop } from './algorithm.ts'
import type { AuthItem, AuthParam } from './header.ts'
import { decodeExtended, decodeUtf8 } from './text.ts'

/** Credentials whose shape is right. */
export interface DigestCredentials {
  /** Characters, from UTF-8. */
  readonly username: string
  readonly realm: string
  readonly spec: DigestSpec
  /** Of these the bytes as they were sent, escapes kept, since they are hashed so. */
  readonly nonce: string
  readonly uri: string
  /** Hex of either case, as long as the algorithm's digest. */
  readonly response: string
  readonly opaque: string | undefined
  /** All three, or none of them: then the response is that of RFC 2069. */
  readonly counted: CountedPart | undefined
}

/** What `qop` brings along. */
export interface CountedPart {
  readonly qop: Qop
  /** Eight hex digits. */
  readonly nc: string
  readonly cnonce: string
}

/** Why credentials are not taken. */
export type CredentialsFault =
  | 'parameter-missing'
  | 'parameter-malformed'
  | 'qop-incomplete'
  | 'qop-unknown'
  | 'algorithm-unknown'
  | 'userhash-unsupported'

/** Credentials, or what is wrong with them. */
export type CredentialsResult =
  | { readonly ok: true; readonly credentials: DigestCredentials }
  | { readonly ok: false; readonly reason: CredentialsFault }

/** Longest user name and realm, bytes: columns of subscriber tables hold 64. */
const MAX_NAME = 255

/** Longest nonce and cnonce, bytes. */
const MAX_NONCE = 255

/** The realm of credentials or of a challenge, as characters; undefined where there is none. */
export function realmOf(item: AuthItem): string | undefined {
  const realm = item.params.find(({ name }) => name === 'realm')
  return realm === undefined ? undefined : decodeUtf8(realm.value)
}

const fault = (reason: CredentialsFault): CredentialsResult => ({ ok: false, reason })

/** Reads the credentials of an item with scheme Digest. */
export function readCredentials(item: AuthItem): CredentialsResult {
  const params = new Map<string, AuthParam>()
  for (const param of item.params) params.set(param.name, param)
  const raw = (name: string): string | undefined => params.get(name)?.raw

  const [nonce, uri, response] = [raw('nonce'), raw('uri'), raw('response')]
  const plain = params.get('username')?.value
  const extended = params.get('username*')?.value
  if (nonce === undefined || uri === undefined || response === undefined || !params.has('realm'))
    return fault('parameter-missing')
  if (plain === undefined && extended === undefined) return fault('parameter-missing')
  if (raw('userhash')?.toLowerCase() === 'true') return fault('userhash-unsupported')

  // No algorithm is MD5 (RFC 7616 §3.4).
  const spec = digestSpec(raw('algorithm') ?? 'MD5')
  if (spec === undefined) return fault('algorithm-unknown')
  const realm = realmOf(item)
  const username = extended === undefined ? decodeUtf8(plain!) : decodeExtended(extended)
  if (plain !== undefined && extended !== undefined) return fault('parameter-malformed')
  if (!isName(realm) || !isName(username) || uri === '' || !isNonce(nonce))
    return fault('parameter-malformed')
  if (response.length !== spec.size * 2 || !/^[0-9a-f]+$/i.test(response)) return fault('parameter-malformed')

  const counted = readCounted(raw('qop'), raw('nc'), raw('cnonce'))
  if (typeof counted === 'string') return fault(counted)
  // Without a cnonce a session key cannot be made.
  if (counted === undefined && spec.session === 'sess') return fault('qop-incomplete')
  const credentials = { username, realm, spec, nonce, uri, response, opaque: raw('opaque'), counted }
  return { ok: true, credentials }
}

/** A client that sends one of the three without the others would slip from counting into RFC 2069. */
function readCounted(
  qop: string | undefined,
  nc: string | undefined,
  cnonce: string | undefined,
): CountedPart | CredentialsFault | undefined {
  if (qop === undefined && nc === undefined && cnonce === undefined) return undefined
  if (qop === undefined || nc === undefined || cnonce === undefined) return 'qop-incomplete'
  const lower = qop.toLowerCase()
  if (lower !== 'auth' && lower !== 'auth-int') return 'qop-unknown'
  if (!/^[0-9a-f]{8}$/i.test(nc) || nc === '00000000' || !isNonce(cnonce)) return 'parameter-malformed'
  return { qop: lower, nc, cnonce }
}

function isName(text: string | undefined): text is string {
  return text !== undefined && text !== '' && Buffer.byteLength(text) <= MAX_NAME
}

function isNonce(text: string): boolean {
  return text !== '' && text.length <= MAX_NONCE
}
