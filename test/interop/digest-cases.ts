/**
 * Generated accounts, and requests of right and wrong clients for them: what Kamailio's auth_db and we must judge alike.
 */
import type { HashAlgorithm } from '../../src/digest/algorithm.ts'
import { answerTo, hashOf, type AnswerInput } from '../digest/client.ts'
import { bytesOf } from '../support/messages.ts'
import { generator, LETTERS, SPECIAL, type Generator } from './generated.ts'

/** An account of the table `subscriber`. */
export interface Subscriber {
  readonly username: string
  readonly domain: string
  readonly password: string
}

/** What a client does, beside the ordinary. */
export interface AuthCase {
  /** What is special in it. */
  readonly kind: string
  readonly method: string
  /** Whether that is all of the request, or it comes twice: the second in a transaction of its own. */
  readonly times: 1 | 2
  readonly fromUser: string
  readonly toUser: string
  /** Of From, To and the realm that is asked for. */
  readonly domain: string
  readonly requestUri: string
  readonly answer: AnswerInput
  /** What becomes of the credentials on their way; null: there are none. */
  readonly change: ((credentials: string) => string | null) | undefined
  /** Credentials of another realm in front. */
  readonly before: string | undefined
  /** The header they are in; by default the one for the method. */
  readonly header: string | undefined
}

export const DOMAINS = ['example.org', 'example.net'] as const
/** Nobody looks at From here, so that a user name need not be one of a URI. */
export const UNCHECKED_METHOD = 'MESSAGE'

const ODD = `${LETTERS}äñ漢.-_~!*'()&=+$,;/?#%^[]{}|<>\` `
const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

/** Accounts: names for URIs first, then odd ones. Names that both domains have come last: `twins`. */
export function makeSubscribers(): {
  readonly plain: readonly Subscriber[]
  readonly odd: readonly Subscriber[]
  readonly twins: readonly Subscriber[]
} {
  const { word, pick } = generator(20_261_122)
  const password = (): string => `${word(LETTERS, 3)}${word(LETTERS + SPECIAL, 18)}`.trim()
  const plain = Array.from({ length: 24 }, (_, i) => ({
    // Lower case, and a number, so that no two are the same to a database that does not tell case apart.
    username: `${word('abcdefghijklmnopqrstuvwxyz', 8)}${i}`,
    domain: DOMAINS[i % 2]!,
    password: password(),
  }))
  const odd = Array.from({ length: 24 }, (_, i) => ({
    username: `${pick([...'xyz'])}${i % 8 === 7 ? ':' : ''}${word(ODD, 14)}${i}`,
    domain: DOMAINS[i % 2]!,
    password: password(),
  }))
  const twins = Array.from({ length: 4 }, (_, i) => `twin${i}`).flatMap((username) =>
    DOMAINS.map((domain) => ({ username, domain, password: password() })),
  )
  return { plain, odd, twins }
}

/** The hashes of an account: `ha1`, and `ha1b` for names with a domain. */
export function hashesOf({ username, domain, password }: Subscriber, algorithm: HashAlgorithm) {
  const h = (name: string): string => hashOf(algorithm, latin1(`${name}:${domain}:${password}`))
  return { ha1: h(username), ha1b: h(`${username}@${domain}`) }
}

/** How a kind differs from a right answer. */
type Kind = (right: AuthCase, of: Subscriber, g: Generator) => Partial<AuthCase>

const answering =
  (input: (of: Subscriber, g: Generator) => AnswerInput): Kind =>
  ({ answer }, of, g) => ({ answer: { ...answer, ...input(of, g) } })
const writing =
  (change: (credentials: string, g: Generator) => string | null): Kind =>
  (_, __, g) => ({ change: (credentials) => change(credentials, g) })
const withParams = (params: Readonly<Record<string, string | null>>): Kind =>
  answering(() => ({ with: params }))

/** How often each is, of a hundred, and what it is. */
const KINDS: Readonly<Record<string, readonly [number, Kind]>> = {
  right: [24, () => ({})],
  'right, without qop': [4, answering(() => ({ qop: 'none' }))],
  'right, name with domain': [8, answering((of) => ({ username: `${of.username}@${of.domain}` }))],
  'right, spaces and case': [
    4,
    writing((text) =>
      text.replace('Digest ', 'digest \t').replaceAll(', ', ' ,\t').replace('realm=', 'Realm='),
    ),
  ],
  'right, other order, unknown parameter': [
    4,
    writing((text) => `Digest ${text.slice(7).split(', ').toReversed().join(', ')}, color="blue, red"`),
  ],
  'right, escaped name': [2, writing((text) => text.replace('username="', 'username="\\'))],
  'right, behind another realm': [
    3,
    () => ({ before: 'Digest username="x", realm="elsewhere", nonce="n", uri="sip:x", response="0"' }),
  ],
  'wrong password': [7, answering((of, g) => ({ password: of.password + g.word(LETTERS, 3) }))],
  'no such user': [6, answering((of) => ({ username: `${of.username}0` }))],
  'no credentials': [2, writing(() => null)],
  'name with another domain': [3, answering((of) => ({ username: `${of.username}@elsewhere.example` }))],
  'realm of elsewhere': [3, writing((text) => text.replace(/realm="[^"]*"/, 'realm="elsewhere"'))],
  'asks in the other domain': [3, ({ domain }) => ({ domain: DOMAINS.find((other) => other !== domain)! })],
  'response of another method': [3, answering(() => ({ method: 'BYE' }))],
  'another digest-uri': [3, answering(() => ({ uri: 'sip:other@elsewhere.example' }))],
  'nonce changed': [
    2,
    writing((text) => text.replace(/nonce="(.)/, (_, first) => `nonce="${first === 'A' ? 'B' : 'A'}`)),
  ],
  'nonce count changed': [2, withParams({ nc: '000000ff' })],
  'nonce count is no number': [2, answering(() => ({ nc: 'zzzzzzzz' }))],
  'nonce count of two digits': [2, answering(() => ({ nc: '01' }))],
  'the same count again': [3, () => ({ times: 2 })],
  'cnonce changed': [2, withParams({ cnonce: '"another"' })],
  'qop that was not offered': [2, answering(() => ({ qop: 'auth-int' }))],
  'qop without its nonce count': [2, withParams({ nc: null })],
  'response in capitals': [
    2,
    writing((text) =>
      text.replace(/response="[^"]*"/, (it) => it.toUpperCase().replace('RESPONSE', 'response')),
    ),
  ],
  'response cut short': [2, writing((text) => text.replace(/(response="[0-9a-f]{20})[^"]*/, '$1'))],
  'no response': [1, writing((text) => text.replace(/response="[^"]*", /, ''))],
  'no algorithm': [2, withParams({ algorithm: null })],
  'another algorithm': [
    2,
    writing((text) =>
      text.replace(/algorithm=[\w-]+/, (it) => `algorithm=${it.includes('MD5') ? 'SHA-256' : 'MD5'}`),
    ),
  ],
  'session algorithm': [2, writing((text) => text.replace(/algorithm=[\w-]+/, '$&-sess'))],
  'From of somebody else': [3, () => ({ fromUser: 'somebody' })],
  'To of somebody else': [3, () => ({ toUser: 'somebody' })],
  'PUBLISH for somebody else': [
    2,
    ({ method, requestUri, domain }) => ({
      requestUri: method === 'PUBLISH' ? `sip:somebody@${domain}` : requestUri,
    }),
  ],
  'name in capitals': [3, answering((of) => ({ username: of.username.toUpperCase() }))],
  'name and From in capitals': [
    2,
    (right, of) => ({
      fromUser: right.fromUser.toUpperCase(),
      toUser: right.toUser.toUpperCase(),
      answer: { ...right.answer, username: of.username.toUpperCase() },
    }),
  ],
  'name with a blank behind': [2, answering((of) => ({ username: `${of.username} ` }))],
  'empty name': [1, answering(() => ({ username: '' }))],
  'other header': [2, ({ method }) => ({ header: headerFor(method === 'REGISTER' ? 'INVITE' : 'REGISTER') })],
  'no scheme of ours': [1, writing((text) => text.replace('Digest', 'Basic'))],
}

/** Names that `KINDS` has. */
export const KIND_NAMES: readonly string[] = Object.keys(KINDS)
const LOTS: readonly string[] = KIND_NAMES.flatMap((name) =>
  Array.from({ length: KINDS[name]![0] }, () => name),
)

/** What `makeCases` takes. */
export interface CaseOptions {
  readonly count: number
  readonly seed: number
  readonly plain: readonly Subscriber[]
  readonly odd: readonly Subscriber[]
  /** How a right client answers. */
  readonly qop: 'auth' | 'none'
}

/** Requests for these accounts; the n-th is the same in every run. */
export function makeCases({ count, seed, plain, odd, qop }: CaseOptions): readonly AuthCase[] {
  const g = generator(seed)
  return Array.from({ length: count }, (_, i) => {
    const isOdd = i % 4 === 3
    const of = g.pick(isOdd ? odd : plain)
    const method = isOdd ? UNCHECKED_METHOD : g.pick(['REGISTER', 'INVITE', 'SUBSCRIBE', 'PUBLISH'])
    const aor = `sip:${isOdd ? 'anybody' : of.username}@${of.domain}`
    const requestUri = method === 'PUBLISH' ? aor : `sip:${g.word(LETTERS, 6)}@${g.pick(['a', 'b'])}.example`
    const right: AuthCase = {
      kind: '',
      method,
      times: 1,
      fromUser: isOdd ? 'anybody' : of.username,
      toUser: isOdd ? 'anybody' : of.username,
      domain: of.domain,
      requestUri: method === 'REGISTER' ? `sip:${of.domain}` : requestUri,
      answer: {
        username: of.username,
        password: of.password,
        method,
        qop,
        nc: (1 + g.below(2 ** 31)).toString(16).padStart(8, '0'),
        cnonce: g.word(`${LETTERS}+/=`, 30),
      },
      change: undefined,
      before: undefined,
      header: undefined,
    }
    // Every kind comes once, then by lot.
    const kind = KIND_NAMES[i] ?? g.pick(LOTS)
    const made = {
      ...right,
      ...KINDS[kind]![1](right, of, g),
      kind: of.username.includes(':') ? `${kind}, name with a colon` : kind,
    }
    return { ...made, answer: { uri: made.requestUri, ...made.answer } }
  })
}

const headerFor = (method: string): string =>
  method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization'

/** The request of a case. @param challenge what it answers; undefined: it does not */
export function requestOf(given: AuthCase, challenge: string | undefined, id: string, via: string): Buffer {
  const { method, domain, header = headerFor(method), before, change } = given
  const answered = challenge === undefined ? null : answerTo(challenge, given.answer)
  const credentials = answered === null || change === undefined ? answered : change(answered)
  const lines = [before, credentials].flatMap((value): [string, string][] =>
    value == null ? [] : [[header, value]],
  )
  return bytesOf({
    start: `${method} ${given.requestUri} SIP/2.0`,
    with: {
      Via: `SIP/2.0/UDP ${via};branch=z9hG4bK${id};rport`,
      From: `<sip:${given.fromUser}@${domain}>;tag=f`,
      To: `<sip:${given.toUser}@${domain}>`,
      'Call-ID': id,
      CSeq: `1 ${method}`,
    },
    add: [...(challenge === undefined ? [] : lines), ['Content-Length', '0']],
  })
}
