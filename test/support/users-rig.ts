import { onTestFinished } from 'vitest'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { answerTo as credentialsFor, PASSWORD, type AnswerInput } from '../digest/client.ts'
import { answerTo, startRig, type Rig, type RigOptions } from './edge-rig.ts'
import { bytesOf, parsed, type Line } from './messages.ts'
import { SECRETS } from './signed-messages.ts'
import { openPeer, type Received, type UdpPeer } from './udp-peer.ts'

export const USERS = `
[[users]]
username = "alice"
realm = "example.org"
password = "${PASSWORD}"
[[users]]
username = "bob"
realm = "example.org"
password = "bob's"
[[users]]
username = "gone"
realm = "example.org"
password = "${PASSWORD}"
status = "inactive"
`

/** The keys of the trunk, and those of nonces and flow tokens. */
export function usersKeyring(nonces: readonly string[] = [SECRETS.other]): Keyring {
  return createKeyring([
    [
      'trunk-a',
      [createKey({ name: 'old', secret: SECRETS.old }), createKey({ name: 'new', secret: SECRETS.new })],
    ],
    ['nonces', nonces.map((secret, i) => createKey({ name: `n${i}`, secret }))],
  ])
}

/** What differs from the usual edge with users. */
export interface UsersOptions extends RigOptions {
  /** Lines of `[users]` behind domains and nonce group. */
  readonly users?: string
  /** Tables behind them. */
  readonly tables?: string
}

/** An edge with users, and a phone. */
export interface UsersRig extends Rig {
  readonly phone: UdpPeer
}

/** Starts an edge that knows alice, bob and gone; everything closes with the test. */
export async function startUsers(options: UsersOptions = {}): Promise<UsersRig> {
  const { users = '', tables = '', more = '', ...rest } = options
  const rig = await startRig({
    keyring: usersKeyring(),
    credentials: parseCredentials(USERS),
    ...rest,
    more: [
      more,
      '[users]\ndomains = ["example.org", "*.example.net"]\nnonce_group = "nonces"',
      users,
      tables,
      '[users.credentials]\nsource = "users.toml"',
    ].join('\n'),
  })
  return { ...rig, phone: await openPhone() }
}

/** A socket of a phone, closed with the test. */
export async function openPhone(): Promise<UdpPeer> {
  const phone = await openPeer()
  onTestFinished(() => phone.close())
  return phone
}

/** What differs from the plain request of a phone. */
export interface PhoneParts {
  readonly uri?: string
  readonly from?: string
  readonly to?: string
  readonly callId?: string
  readonly cseq?: number
  readonly branch?: string
  /** The Via's sent-by: what a phone behind NAT believes to be. */
  readonly sentBy?: string
  readonly add?: readonly Line[]
  readonly body?: string
}

let transactions = 0

/** A request of alice, each in a transaction and call of its own. */
export function phoneRequest(method: string, parts: PhoneParts = {}): Buffer {
  const number = ++transactions
  const isRegister = method === 'REGISTER'
  const { uri = isRegister ? 'sip:example.org' : 'sip:bob@example.org', cseq = number } = parts
  return bytesOf({
    start: `${method} ${uri} SIP/2.0`,
    with: {
      Via: `SIP/2.0/UDP ${parts.sentBy ?? '10.0.0.5:5060'};branch=${parts.branch ?? `z9hG4bKphone${number}`};rport`,
      From: `${parts.from ?? '<sip:alice@example.org>'};tag=phone`,
      To: parts.to ?? (isRegister ? '<sip:alice@example.org>' : '<sip:bob@example.org>'),
      'Call-ID': parts.callId ?? `call-${number}`,
      CSeq: `${cseq} ${method}`,
    },
    add: parts.add ?? [],
    body: parts.body ?? '',
  })
}

/** The challenge in a response, of SHA-256 unless another is named. */
export function challengeOf({ message }: Received, algorithm = 'SHA-256'): string {
  const values = [...message.headers('WWW-Authenticate'), ...message.headers('Proxy-Authenticate')]
  const found = values.find((value) => value.includes(`algorithm=${algorithm},`))
  if (found === undefined) throw new Error(`no challenge of ${algorithm} but ${String(message.status)}`)
  return found
}

/** A line with credentials for a challenge. */
export function credentialsLine(
  challenge: string,
  method: string,
  uri: string,
  answer: AnswerInput = {},
): Line {
  const name = method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization'
  return [name, credentialsFor(challenge, { method, uri, ...answer })]
}

/** Sends a request, is challenged, and sends it with an answer; the bytes of the second one. */
export async function authenticated(
  rig: Pick<UsersRig, 'trunkAt'>,
  phone: UdpPeer,
  method: string,
  parts: PhoneParts = {},
  answer: AnswerInput = {},
): Promise<Buffer> {
  const uri = parts.uri ?? (method === 'REGISTER' ? 'sip:example.org' : 'sip:bob@example.org')
  const callId = parts.callId ?? `auth-${++transactions}`
  await phone.send(
    phoneRequest(method, { ...parts, callId, branch: `z9hG4bKfirst${transactions}` }),
    rig.trunkAt,
  )
  const line = credentialsLine(challengeOf(await phone.receive()), method, uri, answer)
  const bytes = phoneRequest(method, { ...parts, callId, add: [...(parts.add ?? []), line] })
  await phone.send(bytes, rig.trunkAt)
  return bytes
}

/** Answers a request that arrived at the upstream. */
export async function answerFrom(
  rig: Rig,
  request: Received,
  status: string,
  add: readonly Line[] = [],
): Promise<void> {
  await rig.upstream.send(answerTo(request.bytes, status, add), rig.upstreamAt)
}

/** The URIs in the entries of a header, in order. */
export function urisOf(bytes: Buffer, header: string): readonly string[] {
  return parsed(bytes)
    .headers(header)
    .map((value) => /<([^>]+)>/.exec(value)?.[1] ?? value)
}
