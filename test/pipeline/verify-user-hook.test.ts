import type { ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CredentialHook, HookDecision, HookQuery } from '../../src/digest/credential-hook.ts'
import { createFailures } from '../../src/digest/failures.ts'
import { computeHa1, computeResponse } from '../../src/digest/response.ts'
import { createHttpHook } from '../../src/stores/http-hook.ts'
import { createInviteTable } from '../../src/pipeline/invite-table.ts'
import type { Verdict } from '../../src/pipeline/stage.ts'
import { contextOf, type Line } from '../support/messages.ts'
import { answerTo, paramsOf, PASSWORD, type AnswerInput } from '../digest/client.ts'
import {
  accepted,
  attempt,
  challengeIn,
  createRig,
  proxy,
  requestBytes,
  www,
  type RequestParts,
  type Rig,
} from '../digest/stage.ts'
import { errorOf } from '../keyring/error-of.ts'
import { serve, type Asked } from '../stores/http-server.ts'

/** A hook that judges as its owner would: by the parameters that it is shown. */
function judgeOf(query: HookQuery): HookDecision {
  const { username, realm, uri, nonce, response, counted, spec } = query.credentials
  const ha1 = computeHa1(spec.hash, username, realm, PASSWORD)
  const right = computeResponse({ algorithm: spec.name, ha1, method: query.method, uri, nonce, ...counted })
  if (username !== 'alice' || right !== response)
    return { decision: 'fail', message: 'invalid username or password' }
  const attributes = { expires: '300', call_hook: 'https://x.example/call' }
  return { decision: 'ok', account: { username, status: 'active', attributes } }
}

function rigOf(options: Parameters<typeof createRig>[0] & { decide?: CredentialHook['decide'] } = {}) {
  const asked: HookQuery[] = []
  const credentials: CredentialHook = {
    decide(query) {
      asked.push(query)
      return (options.decide ?? judgeOf)(query)
    },
  }
  return { asked, ...createRig({ ...options, credentials }) }
}

const yes = (): HookDecision => ({ decision: 'ok', account: { username: 'alice', status: 'active' } })

/** What becomes of a request of alice whom the hook takes for this account. */
function as(account: object): string {
  const rig = rigOf({
    decide: () => ({ decision: 'ok', account: { username: 'alice', status: 'active', ...account } }),
  })
  attempt(rig)
  return rig.last()
}

describe('a hook', () => {
  it('decides on an answer to our challenge, and what it gives goes into the identity', () => {
    const rig = rigOf()
    const { identity, remove } = accepted(attempt(rig))
    expect(identity).toEqual({
      kind: 'user',
      username: 'alice',
      realm: 'example.org',
      attributes: { expires: '300', call_hook: 'https://x.example/call' },
    })
    expect(remove).toEqual(['Authorization'])
    expect(rig.asked).toHaveLength(1)
    expect(rig.asked[0]).toMatchObject({ method: 'REGISTER', source: { address: '192.0.2.1', port: 5060 } })
  })

  it.each(['MD5', 'MD5-sess', 'SHA-256', 'SHA-256-sess', 'SHA-512-256', 'SHA-512-256-sess'] as const)(
    'decides on %s',
    (algorithm) => {
      const rig = rigOf({ algorithms: [algorithm] })
      expect(attempt(rig, { algorithm }).verdict).toBe('accept')
      expect(attempt(rig, { algorithm, password: 'wrong' })).toMatchObject({ reason: 'hook-refused' })
    },
  )

  it('says no: 403, a failure that counts, its words in the log and nowhere else', () => {
    const failures = createFailures({ perSource: 2, now: () => 0 })
    const rig = rigOf({ failures })
    expect(attempt(rig, { password: 'wrong' })).toEqual({
      verdict: 'reject',
      status: 403,
      reason: 'hook-refused',
    })
    expect(rig.events.at(-1)).toMatchObject({ message: 'invalid username or password', username: 'alice' })
    attempt(rig, { username: 'nobody' })
    expect(rig.events.at(-1)).toMatchObject({ ban: 'source' })
    expect(rig.judge(requestBytes())).toEqual({ verdict: 'drop', reason: 'banned' })
    const again = rigOf({ onFailure: 'challenge' })
    expect(attempt(again, { password: 'wrong' }).verdict).toBe('challenge')
  })

  it('tells of a spammer: banned at once', () => {
    const failures = createFailures({ now: () => 0 })
    const rig = rigOf({ failures, decide: () => ({ decision: 'fail', source: 'ban' }) })
    attempt(rig)
    expect(rig.events.at(-1)).toMatchObject({ reason: 'hook-refused', ban: 'source' })
    expect(rig.judge(requestBytes())).toEqual({ verdict: 'drop', reason: 'banned' })
  })

  it('forbids: 403, and no failure', () => {
    const failures = createFailures({ perSource: 1, now: () => 0 })
    const rig = rigOf({ failures, decide: () => ({ decision: 'forbid', message: 'no call_hook' }) })
    expect(attempt(rig, {}, { method: 'INVITE' })).toMatchObject({ status: 403, reason: 'hook-forbidden' })
    expect(rig.events.at(-1)).toMatchObject({ message: 'no call_hook' })
    expect(failures.banned).toBe(0)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('away')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('away'))],
  ])('that %s: 503, never an accept', async (_, decide) => {
    const failures = createFailures({ perSource: 1, now: () => 0 })
    const rig = rigOf({ failures, decide })
    const bytes = requestBytes({ add: [www(answerTo(challengeIn(rig.judge(requestBytes()))))] })
    expect(await rig.stage.judge(contextOf(bytes))).toEqual({
      verdict: 'reject',
      status: 503,
      reason: 'store-unavailable',
      headers: [['Retry-After', '5']],
    })
    expect(failures.banned).toBe(0)
  })

  it('may not speak for another: identity and status are ours to check', () => {
    expect(as({})).toBe('accepted')
    expect(as({ username: 'bob' })).toBe('refused: identity-mismatch')
    expect(as({ domain: 'a.example.net' })).toBe('refused: identity-mismatch')
    expect(as({ status: 'inactive' })).toBe('refused: account-inactive')
  })

  it('is told no body, so auth-int is not offered', () => {
    const bad = {
      qop: ['auth', 'auth-int'],
      realms: { 'example.org': { qop: ['auth-int'] } },
      quirks: [{ userAgent: 'x', qop: ['auth-int'] }],
    } as const
    const { issues } = errorOf(() => rigOf(bad))
    expect(issues.map(({ path }) => path)).toEqual(['qop', 'realms.example.org.qop', 'quirks[0].qop'])
  })
})

describe('what is checked before a hook is asked', () => {
  const table: readonly (readonly [string, AnswerInput & { algorithm?: string }, string])[] = [
    [
      'a foreign nonce',
      { with: { nonce: `"${Buffer.alloc(36, 8).toString('base64url')}"` } },
      'nonce-foreign',
    ],
    ['no nonce of our form', { with: { nonce: '"157590482938000"' } }, 'nonce-malformed'],
    ['another realm', { with: { realm: '"evil.example"' } }, 'credentials-missing'],
    ['another URI', { uri: 'sip:evil.example' }, 'uri-mismatch'],
    [
      'another algorithm',
      { algorithm: 'SHA-256', with: { algorithm: 'SHA-256-sess' } },
      'algorithm-mismatch',
    ],
    ['another qop', { with: { qop: 'auth-int' } }, 'qop-mismatch'],
    ['another opaque', { with: { opaque: '"x"' } }, 'opaque-mismatch'],
    ['no username', { with: { username: null } }, 'parameter-missing'],
    ['no response', { with: { response: null } }, 'parameter-missing'],
  ]
  it.each(table)('%s', (_, answer, reason) => {
    const rig = rigOf()
    attempt(rig, answer)
    expect(rig.events.at(-1)).toMatchObject({ reason })
    expect(rig.asked).toEqual([])
  })

  const PARTS = ['qop', 'nc', 'cnonce'] as const
  it.each(Array.from({ length: 8 }, (_, bits) => [bits] as const))(
    'T27: combination %i of qop, nc, cnonce',
    (bits) => {
      const missing = Object.fromEntries(
        PARTS.filter((_, i) => (bits & (1 << i)) === 0).map((name) => [name, null]),
      )
      const rig = rigOf()
      attempt(rig, bits === 0 ? { qop: 'none' } : { with: missing })
      expect(rig.last()).toBe(
        bits === 7 ? 'accepted' : bits === 0 ? 'refused: qop-missing' : 'refused: qop-incomplete',
      )
      expect(rig.asked).toHaveLength(bits === 7 ? 1 : 0)
    },
  )
})

describe('what is checked when a hook has said yes', () => {
  it('whether the nonce is fresh', () => {
    const rig = rigOf({ decide: yes })
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.pass(300_000)
    const verdict = rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(paramsOf(challengeIn(verdict))['stale']).toBe('true')
  })

  it('whether its count is new: a copy is challenged, a retransmission is not', () => {
    const rig = rigOf({ decide: yes })
    const challenge = challengeIn(rig.judge(requestBytes()))
    const bytes = requestBytes({ add: [www(answerTo(challenge))] })
    expect(rig.judge(bytes).verdict).toBe('accept')
    expect(rig.judge(bytes).verdict).toBe('accept')
    rig.judge(bytes, { source: { address: '203.0.113.1', port: 5060 } })
    expect(rig.last()).toBe('challenged: nonce-replayed')
  })

  it('no count is spent where it says no', () => {
    const rig = rigOf()
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.judge(requestBytes({ add: [www(answerTo(challenge, { password: 'wrong' }))] }))
    expect(rig.judge(requestBytes({ add: [www(answerTo(challenge))] })).verdict).toBe('accept')
  })
})

describe('after a yes', () => {
  it('Authentication-Info has no rspauth, and the next nonce when this one is past half its life', () => {
    const rig = rigOf()
    const challenge = challengeIn(rig.judge(requestBytes()))
    const register = (nc: string): Verdict =>
      rig.judge(requestBytes({ add: [www(answerTo(challenge, { nc }))] }))
    expect(accepted(register('00000001')).answer!()).toEqual([])
    rig.pass(200_000)
    const [[name, value]] = accepted(register('00000002')).answer!() as readonly [readonly [string, string]]
    expect(name).toBe('Authentication-Info')
    expect(Object.keys(paramsOf(value))).toEqual(['nextnonce'])
    const renewed = challenge.replace(/nonce="[^"]*"/, `nonce="${paramsOf(value)['nextnonce']}"`)
    expect(rig.judge(requestBytes({ add: [www(answerTo(renewed))] })).verdict).toBe('accept')
  })

  it('its CANCEL and ACK pass, the ACK of a call asked as its INVITE', () => {
    const rig = rigOf({ invites: createInviteTable(10) })
    const challenge = challengeIn(rig.judge(requestBytes({ method: 'INVITE' })))
    const line = proxy(answerTo(challenge, { method: 'INVITE', uri: 'sip:bob@example.com' }))
    const same: RequestParts = { cseq: 9, branch: 'z9hG4bKhook' }
    expect(rig.judge(requestBytes({ method: 'INVITE', ...same, add: [line] })).verdict).toBe('accept')
    expect(rig.judge(requestBytes({ method: 'CANCEL', ...same })).verdict).toBe('accept')
    const ack = { method: 'ACK', uri: 'sip:bob@203.0.113.1', to: '<sip:bob@example.com>;tag=t', cseq: 9 }
    expect(rig.judge(requestBytes({ ...ack, add: [line] })).verdict).toBe('accept')
    expect(rig.asked.map(({ method }) => method)).toEqual(['INVITE', 'INVITE'])
  })
})

/** The owner's side: it has the password, and judges the JSON that it gets. */
function judgeOverHttp({ body }: Asked, response: ServerResponse): void {
  const told = JSON.parse(body) as Record<string, string>
  const { username, realm, uri, nonce, nc, cnonce } = told
  const ha1 = computeHa1('SHA-256', username!, realm!, PASSWORD)
  const input = { algorithm: 'SHA-256', method: told['method']!, uri: uri!, nonce: nonce! } as const
  const right = computeResponse({ ...input, ha1, qop: 'auth', nc, cnonce })
  const isRight = username === 'alice' && told['response'] === right
  const answer = isRight ? { status: 'ok', expires: 99_999 } : { status: 'fail', msg: `no ${username}` }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(answer))
}

async function settle(rig: Rig, answer: AnswerInput = {}): Promise<Verdict> {
  const challenge = challengeIn(rig.judge(requestBytes()), 'SHA-256')
  const add: readonly Line[] = [
    ['Contact', '<sip:a@192.0.2.1>;expires=600'],
    www(answerTo(challenge, answer)),
  ]
  return rig.stage.judge(contextOf(requestBytes({ add })))
}

describe('a hook over HTTP, whole', () => {
  it('accepts who has the password, for no longer than was asked, and nobody else', async () => {
    const { url } = await serve(judgeOverHttp)
    const hook = createHttpHook({ targets: { 'example.org': { url, secret: 's' } } })
    onTestFinished(() => hook.close())
    const rig = createRig({ credentials: hook })
    expect(await settle(rig)).toMatchObject({
      verdict: 'accept',
      identity: { attributes: { expires: '600' } },
    })
    expect(await settle(rig, { password: 'wrong' })).toMatchObject({ status: 403, reason: 'hook-refused' })
    expect(await settle(rig, { username: 'no\u2028body' })).toMatchObject({ status: 400 })
    expect(await settle(rig, { username: 'nobody"; x="' })).not.toMatchObject({ verdict: 'accept' })
    hook.close()
    expect(await settle(rig)).toMatchObject({ status: 503, reason: 'store-unavailable' })
    for (const event of rig.events) expect(JSON.stringify(event)).not.toContain(PASSWORD)
  })
})
