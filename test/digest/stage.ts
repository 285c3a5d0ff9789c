/**
 * The digest stage on clocks and stores of the test's own.
 */
import type { CredentialStore } from '../../src/digest/credential-store.ts'
import { createNonces, type NonceOptions } from '../../src/digest/nonce.ts'
import { createSteadyClock } from '../../src/digest/steady-clock.ts'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import type { UserEvent } from '../../src/digest/user-event.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import type { MessageContext } from '../../src/message/types.ts'
import type { Stage, Verdict } from '../../src/pipeline/stage.ts'
import { verifyUser, type VerifyUserOptions } from '../../src/pipeline/verify-user.ts'
import { createMemoryClaims } from '../../src/stores/claim-memory.ts'
import { bytesOf, contextOf, type Line } from '../support/messages.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { answerTo, PASSWORD, type AnswerInput } from './client.ts'

export const USERS = `
[[users]]
username = "alice"
realm = "example.org"
password = "${PASSWORD}"
identities = ["1001"]
attributes = { plan = "gold" }

[[users]]
username = "bob"
realm = "example.org"
password = "bob's"
registers_for = ["alice"]

[[users]]
username = "gone"
realm = "example.org"
password = "${PASSWORD}"
status = "inactive"

[[users]]
username = "Jäsøn Doe"
realm = "example.org"
password = "pässword"
identities = ["alice"]
`

export const nonceRing = (...secrets: readonly string[]): Keyring =>
  createKeyring([['nonces', secrets.map((secret) => createKey({ name: secret.slice(4, 9), secret }))]])

/** A stage, what it told, and its clocks. */
export interface Rig {
  readonly stage: Stage
  readonly events: readonly UserEvent[]
  /** Of the last event: `accepted`, `challenged: reason`, … */
  last(): string
  judge(bytes: Buffer, travel?: Partial<MessageContext>): Verdict
  /** Lets time go by. */
  pass(ms: number): void
  /** Moves the wall clock alone. */
  step(ms: number): void
}

/** What differs from the usual. */
export interface RigOptions extends Partial<Omit<VerifyUserOptions, 'nonces' | 'monotonic'>> {
  readonly nonces?: Partial<NonceOptions>
  readonly capacity?: number
  /** Where the clocks begin, epoch milliseconds. */
  readonly start?: number
}

export const START = Date.parse('2026-11-21T12:00:00Z')
export const store: CredentialStore = parseCredentials(USERS)

export function createRig(options: RigOptions = {}): Rig {
  const { nonces, capacity = 1000, start = START, ...rest } = options
  let wall = start
  let tick = 0
  const time = createSteadyClock(
    () => new Date(wall),
    () => tick,
  )
  const events: UserEvent[] = []
  const stage = verifyUser({
    credentials: store,
    domains: ['example.org', '*.example.net'],
    claims: createMemoryClaims({ capacity, since: new Date(time()), monotonic: () => tick }),
    nonces: createNonces({ keyring: nonceRing(SECRETS.old), group: 'nonces', time, ...nonces }),
    observe: (event) => events.push(event),
    monotonic: () => tick,
    ...rest,
  })
  return {
    stage,
    events,
    last() {
      const event = events.at(-1)
      if (event === undefined) return 'nothing'
      return event.event === 'accepted' ? 'accepted' : `${event.event}: ${event.reason}`
    },
    judge(bytes, travel) {
      const verdict = stage.judge(contextOf(bytes, travel))
      if (verdict instanceof Promise) throw new Error('the synchronous way pays for no promise')
      return verdict
    },
    pass(ms) {
      wall += ms
      tick += ms
    },
    step(ms) {
      wall += ms
    },
  }
}

/** What differs from the plain registration. */
export interface RequestParts {
  readonly method?: string
  readonly uri?: string
  readonly from?: string
  readonly to?: string
  readonly cseq?: number
  readonly branch?: string
  readonly callId?: string
  readonly add?: readonly Line[]
  readonly body?: string
}

let transactions = 0

/** A registration of alice, each in a transaction of its own. */
export function requestBytes(parts: RequestParts = {}): Buffer {
  const { method = 'REGISTER', cseq = ++transactions, branch = `z9hG4bK${transactions}` } = parts
  const { uri = method === 'REGISTER' ? 'sip:example.org' : 'sip:bob@example.com' } = parts
  return bytesOf({
    start: `${method} ${uri} SIP/2.0`,
    with: {
      Via: `SIP/2.0/UDP 192.0.2.1:5060;branch=${branch};rport`,
      From: `${parts.from ?? '<sip:alice@example.org>'};tag=f`,
      To: parts.to ?? (method === 'REGISTER' ? '<sip:alice@example.org>' : '<sip:bob@example.com>'),
      'Call-ID': parts.callId ?? 'call-1',
      CSeq: `${cseq} ${method}`,
    },
    add: parts.add ?? [],
    body: parts.body ?? '',
  })
}

/** The challenge of an algorithm in a verdict; of the first where none is named. */
export function challengeIn(verdict: Verdict, algorithm = ''): string {
  if (verdict.verdict !== 'challenge') throw new Error(`no challenge but ${JSON.stringify(verdict)}`)
  const found = verdict.headers.find(
    ([, value]) => algorithm === '' || value.includes(`algorithm=${algorithm},`),
  )
  if (found === undefined) throw new Error(`no challenge of ${algorithm}`)
  return found[1]
}

/** An acceptance; any other verdict is a failure. */
export function accepted(verdict: Verdict): Extract<Verdict, { verdict: 'accept' }> {
  if (verdict.verdict !== 'accept') throw new Error(`no acceptance but ${JSON.stringify(verdict)}`)
  return verdict
}

/** A line of credentials. */
export const www = (value: string): Line => ['Authorization', value]
export const proxy = (value: string): Line => ['Proxy-Authorization', value]

/** Asks, is challenged, answers. */
export function attempt(
  rig: Rig,
  answer: AnswerInput & { algorithm?: string } = {},
  parts: RequestParts = {},
): Verdict {
  const challenge = challengeIn(rig.judge(requestBytes(parts)), answer.algorithm ?? 'SHA-256')
  const method = parts.method ?? 'REGISTER'
  const uri = parts.uri ?? (method === 'REGISTER' ? 'sip:example.org' : 'sip:bob@example.com')
  const line = (method === 'REGISTER' ? www : proxy)(answerTo(challenge, { method, uri, ...answer }))
  return rig.judge(requestBytes({ ...parts, add: [...(parts.add ?? []), line] }))
}
