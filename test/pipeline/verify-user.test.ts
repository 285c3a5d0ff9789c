import { createSecretKey, type KeyObject } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { DIGEST_SPECS } from '../../src/digest/algorithm.ts'
import { authenticate } from '../../src/pipeline/authenticate.ts'
import { createInviteTable, transactionName } from '../../src/pipeline/invite-table.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Verdict } from '../../src/pipeline/stage.ts'
import { parsed, responseBytes, type Line } from '../support/messages.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { viewOf } from '../../src/message/view.ts'
import { errorOf } from '../keyring/error-of.ts'
import { answerTo, hashOf, paramsOf, PASSWORD, type AnswerInput } from '../digest/client.ts'
import {
  accepted,
  attempt,
  challengeIn,
  createRig,
  nonceRing,
  proxy,
  requestBytes,
  START,
  www,
} from '../digest/stage.ts'

const BUSY = [['Retry-After', '5']] as const
const ALICE = { kind: 'user', username: 'alice', realm: 'example.org', attributes: { plan: 'gold' } } as const

describe('a registration', () => {
  it('without credentials is challenged with 401, strongest first, each nonce its own', () => {
    const verdict = createRig().judge(requestBytes())
    if (verdict.verdict !== 'challenge') throw new Error(verdict.verdict)
    expect(verdict.status).toBe(401)
    expect(verdict.headers.map(([name]) => name)).toEqual(Array.from({ length: 3 }, () => 'WWW-Authenticate'))
    const all = verdict.headers.map(([, value]) => paramsOf(value))
    expect(all.map((params) => params['algorithm'])).toEqual(['SHA-512-256', 'SHA-256', 'MD5'])
    expect(new Set(all.map((params) => params['nonce'])).size).toBe(3)
    for (const params of all) expect(params).toMatchObject({ realm: 'example.org', qop: 'auth' })
    for (const params of all) expect(params).not.toHaveProperty('stale')
  })

  it('with the right answer is accepted, and loses what is ours', () => {
    const rig = createRig()
    const { answer, ...rest } = accepted(attempt(rig))
    expect(rest).toEqual({ verdict: 'accept', identity: ALICE, remove: ['Authorization'] })
    expect(answer).toBeTypeOf('function')
    expect(rig.last()).toBe('accepted')
  })

  it.each(DIGEST_SPECS.map(({ name }) => name))('is accepted with %s, auth and auth-int', (algorithm) => {
    for (const qop of ['auth', 'auth-int'] as const) {
      const rig = createRig({ algorithms: DIGEST_SPECS.map(({ name }) => name), qop: ['auth', 'auth-int'] })
      const parts = { body: 'v=0\r\nbody', add: [['Content-Length', '9'] as const] }
      expect(attempt(rig, { algorithm, qop, body: parts.body }, parts).verdict).toBe('accept')
      const wrong = attempt(rig, { algorithm, qop, body: 'another' }, parts).verdict
      expect(wrong).toBe(qop === 'auth' ? 'accept' : 'reject')
    }
  })

  it('takes further requests with the same nonce and a count that grows, in any order', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()))
    for (const nc of ['00000001', '00000003', '00000002', 'ffffffff', '0000000a']) {
      expect(rig.judge(requestBytes({ add: [www(answerTo(challenge, { nc }))] })).verdict).toBe('accept')
    }
  })

  it('of a user beyond ASCII is accepted', () => {
    const rig = createRig()
    expect(attempt(rig, { username: 'Jäsøn Doe', password: 'pässword' })).toMatchObject({
      identity: { username: 'Jäsøn Doe' },
    })
  })

  it('V7: of a user with domain is accepted', () => {
    expect(attempt(createRig(), { username: 'alice@example.org' })).toMatchObject({
      identity: { username: 'alice' },
    })
  })

  it('I6: of a third party is accepted where it is listed', () => {
    const third = { from: '<sip:bob@example.org>', to: '<sip:alice@example.org>' }
    const rig = createRig()
    expect(attempt(rig, { username: 'bob', password: "bob's" }, third).verdict).toBe('accept')
    expect(attempt(rig, {}, { to: '<sip:bob@example.org>' })).toMatchObject({ reason: 'identity-mismatch' })
  })
})

describe('other requests', () => {
  it('are challenged with 407, and accepted', () => {
    const rig = createRig()
    const verdict = rig.judge(requestBytes({ method: 'INVITE' }))
    expect(verdict).toMatchObject({ verdict: 'challenge', status: 407 })
    expect(attempt(rig, {}, { method: 'INVITE' })).toMatchObject({
      verdict: 'accept',
      identity: ALICE,
      remove: ['Proxy-Authorization'],
    })
  })

  it('that end here are challenged with 401', () => {
    const rig = createRig({ terminates: ['REGISTER', 'INVITE'] })
    expect(rig.judge(requestBytes({ method: 'INVITE' }))).toMatchObject({ status: 401 })
  })

  it('are not accepted with the credentials of the other header', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes({ method: 'INVITE' })))
    const answer = answerTo(challenge, { method: 'INVITE', uri: 'sip:bob@example.com' })
    expect(rig.judge(requestBytes({ method: 'INVITE', add: [www(answer)] })).verdict).toBe('challenge')
  })

  it('P6: in a dialog are judged as any other, or left to another stage', () => {
    const parts = { method: 'BYE', to: '<sip:bob@example.com>;tag=t' }
    expect(createRig().judge(requestBytes(parts)).verdict).toBe('challenge')
    expect(createRig({ inDialog: 'abstain' }).judge(requestBytes(parts))).toEqual({
      verdict: 'abstain',
      reason: 'in-dialog',
    })
    // A tag makes no dialog of it.
    const register = requestBytes({ to: '<sip:alice@example.org>;tag=t' })
    expect(createRig({ inDialog: 'abstain' }).judge(register).verdict).toBe('challenge')
  })

  it('responses are left alone', () => {
    expect(createRig().judge(responseBytes())).toEqual({ verdict: 'abstain', reason: 'response' })
  })
})

const shapeOf = (from: string): string => {
  const verdict = createRig().judge(requestBytes({ from, to: from }))
  return JSON.stringify(verdict).replaceAll(/nonce=\\"[^"]*"/g, 'nonce')
}

describe('refusals, each for its own reason', () => {
  /** Status and reason after an answer. */
  const table: readonly (readonly [
    string,
    AnswerInput & { algorithm?: string },
    number | 'challenge',
    string,
  ])[] = [
    ['a wrong password', { password: 'wrong' }, 403, 'refused: password-wrong'],
    ['an empty password', { password: '' }, 403, 'refused: password-wrong'],
    ['an unknown user', { username: 'nobody' }, 403, 'refused: user-unknown'],
    ['an unknown user without password', { username: 'nobody', password: '' }, 403, 'refused: user-unknown'],
    ['an inactive user', { username: 'gone' }, 403, 'refused: account-inactive'],
    [
      'an inactive user’s wrong password',
      { username: 'gone', password: 'x' },
      403,
      'refused: password-wrong',
    ],
    ['another realm', { with: { realm: '"evil.example"' } }, 'challenge', 'challenged: credentials-missing'],
    ['another method', { method: 'INVITE' }, 403, 'refused: password-wrong'],
    ['another URI', { uri: 'sip:evil.example' }, 403, 'refused: uri-mismatch'],
    [
      'a URI that was not hashed',
      { with: { uri: '"sip:example.org:5060"' } },
      403,
      'refused: password-wrong',
    ],
    [
      'a nonce of nobody',
      { with: { nonce: `"${Buffer.alloc(36, 7).toString('base64url')}"` } },
      'challenge',
      'challenged: nonce-malformed',
    ],
    [
      'a foreign nonce',
      { with: { nonce: `"${Buffer.alloc(36, 8).toString('base64url')}"` } },
      'challenge',
      'challenged: nonce-foreign',
    ],
    ['a nonce of another form', { with: { nonce: '"12345"' } }, 'challenge', 'challenged: nonce-malformed'],
    ['an empty nonce', { with: { nonce: '""' } }, 400, 'refused: parameter-malformed'],
    ['another opaque', { with: { opaque: '"other"' } }, 400, 'refused: opaque-mismatch'],
    ['no username', { with: { username: null } }, 400, 'refused: parameter-missing'],
    ['no uri', { with: { uri: null } }, 400, 'refused: parameter-missing'],
    ['no response', { with: { response: null } }, 400, 'refused: parameter-missing'],
    ['a response that is none', { with: { response: '"zz"' } }, 400, 'refused: parameter-malformed'],
    ['auth-int where auth was offered', { qop: 'auth-int' }, 400, 'refused: qop-mismatch'],
    ['an unknown algorithm', { with: { algorithm: 'SHA-1' } }, 400, 'refused: algorithm-unknown'],
    ['a parameter twice', { with: { 'nonce ': '"x"' } }, 400, 'refused: parameter-repeated'],
    ['an open quote', { with: { opaque: '"x' } }, 400, 'refused: malformed'],
  ]
  it.each(table)('%s', (_, answer, status, event) => {
    const rig = createRig()
    const verdict = attempt(rig, answer)
    expect(rig.last()).toBe(event)
    expect(verdict.verdict === 'reject' ? verdict.status : verdict.verdict).toBe(status)
  })

  it('T25: MD5 in answer to a nonce of SHA-256', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()), 'SHA-256').replace('SHA-256', 'MD5')
    const verdict = rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(verdict).toEqual({ verdict: 'reject', status: 403, reason: 'algorithm-mismatch' })
  })

  it('MD5-sess in answer to a nonce of MD5', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()), 'MD5').replace('=MD5', '=MD5-sess')
    expect(rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))).toMatchObject({
      reason: 'algorithm-mismatch',
    })
  })

  const PARTS = ['qop', 'nc', 'cnonce'] as const
  it.each(Array.from({ length: 8 }, (_, bits) => [bits] as const))(
    'T27: combination %i of qop, nc, cnonce',
    (bits) => {
      const missing = Object.fromEntries(
        PARTS.filter((_, i) => (bits & (1 << i)) === 0).map((name) => [name, null]),
      )
      const count = PARTS.length - Object.keys(missing).length
      const rig = createRig()
      // What slips through would be an answer of RFC 2069: rightly computed as such.
      attempt(rig, count === 0 ? { qop: 'none' } : { with: missing })
      const expected = [
        'refused: qop-missing',
        'refused: qop-incomplete',
        'refused: qop-incomplete',
        'accepted',
      ]
      expect(rig.last()).toBe(expected[count])

      const offered = createRig({ qop: [] })
      attempt(offered, count === 0 ? { qop: 'none' } : { with: missing })
      const without = [
        'accepted',
        'refused: qop-incomplete',
        'refused: qop-incomplete',
        'refused: qop-mismatch',
      ]
      expect(offered.last()).toBe(without[count])
    },
  )

  it('two answers in one algorithm contradict each other; of two algorithms the stronger counts', () => {
    const rig = createRig()
    const verdict = rig.judge(requestBytes())
    const [strong, weak] = [challengeIn(verdict, 'SHA-256'), challengeIn(verdict, 'MD5')]
    const ask = (...answers: readonly string[]): string => {
      rig.judge(requestBytes({ add: answers.map(www) }))
      return rig.last()
    }
    expect(ask(answerTo(weak), answerTo(weak))).toBe('refused: credentials-repeated')
    expect(ask(answerTo(weak), answerTo(strong, { password: 'wrong' }))).toBe('refused: password-wrong')
    expect(ask(answerTo(weak, { password: 'wrong' }), answerTo(strong))).toBe('accepted')
  })

  it('the same to the client, whether the user is unknown or the password wrong', () => {
    const pipeline = createPipeline([createRig().stage])
    const respond = (username: string, password: string): string => {
      const rig = createRig()
      const challenge = challengeIn(rig.judge(requestBytes()))
      const bytes = requestBytes({
        cseq: 7,
        branch: 'z9hG4bKsame',
        add: [www(answerTo(challenge, { username, password }))],
      })
      const from = { transport: 'udp', source: { address: '192.0.2.1', port: 5060 } } as const
      const result = authenticate(bytes, { ...from, local: from.source }, pipeline)
      if (result instanceof Promise) throw new Error('a promise')
      return String(result.respond)
    }
    expect(respond('nobody', 'x')).toMatch(/^SIP\/2\.0 403 Forbidden\r\n/)
    expect(respond('nobody', 'x')).toBe(respond('alice', 'wrong'))
  })

  it('V6: with the same use of secrets, whether the user is unknown or the password wrong', () => {
    const prototype: unknown = Object.getPrototypeOf(createSecretKey(Buffer.alloc(1)))
    const uses = vi.spyOn(prototype as KeyObject, 'export')
    const count = (answer: AnswerInput): number => {
      const rig = createRig()
      // The first challenge binds the key that nonces are proved with; only what follows is counted.
      rig.judge(requestBytes())
      const before = uses.mock.calls.length
      attempt(rig, answer)
      return uses.mock.calls.length - before
    }
    const counts = [
      { password: 'wrong' },
      { username: 'nobody' },
      { username: 'nobody', password: '' },
      {},
    ].map(count)
    uses.mockRestore()
    expect(counts).toEqual([1, 1, 1, 1])
  })

  it('C7: the challenge is the same whoever asks', () => {
    expect(shapeOf('<sip:nobody@example.org>')).toBe(shapeOf('<sip:alice@example.org>'))
  })

  it('P13: a wrong answer may be challenged again', () => {
    const rig = createRig({ onFailure: 'challenge' })
    const verdict = attempt(rig, { password: 'wrong' })
    expect(paramsOf(challengeIn(verdict))).not.toHaveProperty('stale')
    expect(rig.last()).toBe('challenged: password-wrong')
  })
})

const registered = () => {
  const rig = createRig()
  const challenge = challengeIn(rig.judge(requestBytes()))
  const bytes = requestBytes({
    cseq: 5,
    branch: 'z9hG4bKfirst',
    add: [www(answerTo(challenge)), ['Contact', '<sip:a@1.2.3.4>']],
  })
  expect(rig.judge(bytes).verdict).toBe('accept')
  const changed = (from: string | RegExp, to: string): Buffer =>
    Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1')
  return { rig, challenge, bytes, changed }
}

describe('T24: nonce counts', () => {
  it('let a retransmission through', () => {
    const { rig, bytes } = registered()
    expect(rig.judge(bytes).verdict).toBe('accept')
    expect(rig.judge(Buffer.from(bytes)).verdict).toBe('accept')
  })

  it.each([
    ['another branch', /branch=\w+/, 'branch=z9hG4bKother'],
    ['another CSeq', 'CSeq: 5', 'CSeq: 6'],
    ['another Call-ID', 'Call-ID: call-1', 'Call-ID: call-2'],
    ['another sent-by', '192.0.2.1:5060;branch', '192.0.2.1:5061;branch'],
    ['another contact', 'sip:a@1.2.3.4', 'sip:a@6.6.6.6'],
    ['another From tag', 'tag=f', 'tag=g'],
  ])('refuse a replay with %s, with stale=true and no failure', (_, from, to) => {
    const { rig, changed } = registered()
    const verdict = rig.judge(changed(from, to))
    expect(paramsOf(challengeIn(verdict))['stale']).toBe('true')
    expect(rig.last()).toBe('challenged: nonce-replayed')
  })

  it('refuse a replay from another place', () => {
    const { rig, bytes } = registered()
    rig.judge(bytes, { source: { address: '198.51.100.66', port: 5060 } })
    expect(rig.last()).toBe('challenged: nonce-replayed')
    rig.judge(bytes, { source: { address: '192.0.2.1', port: 5061 } })
    expect(rig.last()).toBe('challenged: nonce-replayed')
  })

  it('refuse a replay that writes the count another way', () => {
    const { rig, challenge } = registered()
    expect(rig.judge(requestBytes({ add: [www(answerTo(challenge, { nc: '0000000a' }))] })).verdict).toBe(
      'accept',
    )
    rig.judge(requestBytes({ add: [www(answerTo(challenge, { nc: '0000000A' }))] }))
    expect(rig.last()).toBe('challenged: nonce-replayed')
  })

  it('N10: are not spent by a wrong answer, nor by one of the wrong identity', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.judge(requestBytes({ add: [www(answerTo(challenge, { password: 'junk' }))] }))
    rig.judge(requestBytes({ to: '<sip:bob@example.org>', add: [www(answerTo(challenge))] }))
    expect(rig.last()).toBe('refused: identity-mismatch')
    expect(rig.judge(requestBytes({ add: [www(answerTo(challenge))] })).verdict).toBe('accept')
  })

  it('without qop a nonce serves one request', () => {
    const rig = createRig({ qop: [] })
    const challenge = challengeIn(rig.judge(requestBytes()))
    const bytes = requestBytes({ add: [www(answerTo(challenge, { qop: 'none' }))] })
    expect(rig.judge(bytes).verdict).toBe('accept')
    expect(rig.judge(bytes).verdict).toBe('accept')
    rig.judge(requestBytes({ add: [www(answerTo(challenge, { qop: 'none' }))] }))
    expect(rig.last()).toBe('challenged: nonce-replayed')
  })

  it('T3: are not written before the answer is proved, and none is given up', () => {
    const rig = createRig({ capacity: 2 })
    const challenge = challengeIn(rig.judge(requestBytes()))
    const ask = (nc: string, password = PASSWORD): Verdict =>
      rig.judge(requestBytes({ add: [www(answerTo(challenge, { nc, password }))] }))
    for (let i = 1; i < 100; i++) ask(String(i).padStart(8, '0'), 'wrong')
    expect(ask('00000001').verdict).toBe('accept')
    expect(ask('00000002').verdict).toBe('accept')
    expect(ask('00000003')).toEqual({ verdict: 'reject', status: 503, reason: 'claims-full', headers: BUSY })
    ask('00000001')
    expect(rig.last()).toBe('challenged: nonce-replayed')
  })
})

describe('C5: stale nonces', () => {
  it('are challenged with stale=true where the answer was right, and refused where it was not', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.pass(300_000)
    const verdict = rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(rig.last()).toBe('challenged: nonce-stale')
    const fresh = challengeIn(verdict)
    expect(paramsOf(fresh)['stale']).toBe('true')
    expect(rig.judge(requestBytes({ add: [www(answerTo(fresh))] })).verdict).toBe('accept')
    rig.judge(requestBytes({ add: [www(answerTo(challenge, { password: 'wrong' }))] }))
    expect(rig.last()).toBe('refused: password-wrong')
  })

  it('are those from before a restart where claims were in memory', () => {
    const challenge = challengeIn(createRig().judge(requestBytes()))
    const restarted = createRig({ start: START + 10 })
    const verdict = restarted.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(restarted.last()).toBe('challenged: nonce-stale')
    expect(paramsOf(challengeIn(verdict))['stale']).toBe('true')
  })

  it('are not those from before a restart where claims outlive it', () => {
    const challenge = challengeIn(createRig().judge(requestBytes()))
    const claims = { claim: () => 'new' as const }
    const restarted = createRig({ start: START + 10, claims })
    expect(restarted.judge(requestBytes({ add: [www(answerTo(challenge))] })).verdict).toBe('accept')
  })

  it('N7: a nonce is valid on another node that shares keyring and claims, once', () => {
    const shared = new Map<string, string>()
    const claims = {
      claim(key: string, value: string) {
        const held = shared.get(key)
        if (held === undefined) shared.set(key, value)
        return held === undefined ? ('new' as const) : held === value ? ('same' as const) : ('other' as const)
      },
    }
    const [a, b] = [createRig({ claims }), createRig({ claims, start: START + 2000 })]
    const challenge = challengeIn(a.judge(requestBytes()))
    expect(b.judge(requestBytes({ add: [www(answerTo(challenge))] })).verdict).toBe('accept')
    a.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(a.last()).toBe('challenged: nonce-replayed')
    expect(a.judge(requestBytes({ add: [www(answerTo(challenge, { nc: '00000002' }))] })).verdict).toBe(
      'accept',
    )
  })

  it('are those of a key that is gone: told as stale, without a look-up', () => {
    const challenge = challengeIn(createRig().judge(requestBytes()))
    const rig = createRig({
      nonces: { keyring: nonceRing(SECRETS.new) },
      credentials: {
        find() {
          throw new Error('it was asked')
        },
      },
    })
    const verdict = rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    expect(paramsOf(challengeIn(verdict))['stale']).toBe('true')
  })

  it('T36: a clock that steps back does not end a nonce, nor revive one', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()))
    const bytes = requestBytes({ add: [www(answerTo(challenge))] })
    expect(rig.judge(bytes).verdict).toBe('accept')
    rig.step(-3_600_000)
    expect(rig.judge(requestBytes({ add: [www(answerTo(challenge, { nc: '00000002' }))] })).verdict).toBe(
      'accept',
    )
    // The memory of the first count is gone, the wall clock shows the same hour again.
    rig.pass(3_600_000)
    expect(rig.judge(bytes).verdict).toBe('challenge')
    expect(rig.last()).toBe('challenged: nonce-stale')
  })

  it('N6: are those that moved to another source, where they are bound to it', () => {
    const rig = createRig({ nonces: { bind: ['source'] } })
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.judge(requestBytes({ add: [www(answerTo(challenge))] }), {
      source: { address: '198.51.100.1', port: 5060 },
    })
    expect(rig.last()).toBe('challenged: nonce-foreign')
    expect(rig.judge(requestBytes({ add: [www(answerTo(challenge))] })).verdict).toBe('accept')
  })

  it('none can be made without a key: 503', () => {
    const rig = createRig({ nonces: { keyring: () => nonceRing() } })
    expect(rig.judge(requestBytes())).toEqual({
      verdict: 'reject',
      status: 503,
      reason: 'nonce-key-missing',
      headers: BUSY,
    })
  })
})

describe('where requests may go', () => {
  it.each([
    [
      'P3: neither end ours',
      { method: 'INVITE', from: '<sip:a@evil.example>' },
      'not-relaying',
      'Not relaying',
    ],
    [
      'a stranger',
      { method: 'INVITE', from: '<sip:a@evil.example>', uri: 'sip:alice@example.org' },
      'stranger',
      'Domain forbidden',
    ],
    [
      'a foreign registration',
      { uri: 'sip:evil.example', to: '<sip:a@evil.example>' },
      'not-relaying',
      'Not relaying',
    ],
    ['P8: a foreign AoR', { to: '<sip:alice@evil.example>' }, 'domain-forbidden', 'Domain forbidden'],
  ] as const)('%s: 403', (_, parts, reason, phrase) => {
    expect(createRig().judge(requestBytes(parts))).toEqual({ verdict: 'reject', status: 403, reason, phrase })
  })

  it('a stranger may be left to another stage', () => {
    const parts = { method: 'INVITE', from: '<sip:a@evil.example>', uri: 'sip:alice@example.org' }
    expect(createRig({ strangers: 'abstain' }).judge(requestBytes(parts))).toEqual({
      verdict: 'abstain',
      reason: 'stranger',
    })
    expect(
      createRig({ strangers: 'abstain' }).judge(requestBytes({ ...parts, uri: 'sip:a@else.example' })),
    ).toMatchObject({ reason: 'not-relaying' })
  })

  it('T31: From must be the account’s, in every method, of methods that nobody knows too', () => {
    for (const method of ['INVITE', 'MESSAGE', 'SUBSCRIBE', 'constructor']) {
      const rig = createRig()
      expect(attempt(rig, {}, { method }).verdict).toBe('accept')
      attempt(rig, {}, { method, from: '<sip:bob@example.org>' })
      expect(rig.last()).toBe('refused: identity-mismatch')
      expect(attempt(rig, {}, { method, from: '<sip:1001@example.org>' }).verdict).toBe('accept')
    }
  })

  it('I5: P-Preferred-Identity may stand for From, and P-Asserted-Identity never comes from users', () => {
    const rig = createRig({ identity: { INVITE: ['preferred'] } })
    const add: readonly Line[] = [
      ['P-Preferred-Identity', '<sip:alice@example.org>'],
      ['P-Asserted-Identity', '<sip:boss@example.org>'],
    ]
    const parts = { method: 'INVITE', from: '"Anonymous" <sip:anonymous@anonymous.invalid>', add }
    expect(attempt(rig, {}, parts)).toMatchObject({
      verdict: 'accept',
      remove: ['Proxy-Authorization', 'P-Asserted-Identity'],
    })
  })
})

describe('I7: credentials', () => {
  it('of other realms are left', () => {
    const rig = createRig()
    const other = 'Digest username="x", realm="behind.example", nonce="n", uri="u", response="r"'
    const { remove, edit } = accepted(attempt(rig, {}, { method: 'INVITE', add: [proxy(other)] }))
    expect(remove).toEqual([])
    expect(edit).toHaveLength(1)
    expect(edit![0]).toMatchObject({ name: 'Proxy-Authorization', left: '' })
    expect(edit![0]!.value).toContain('realm="example.org"')
  })

  it.each(['INVITE', 'BYE', 'MESSAGE'])(
    'of other realms go on with %s, ours do not, though they share a line',
    (method) => {
      const rig = createRig()
      const other = 'Digest username="x", realm="behind.example", nonce="n", uri="u", response="r"'
      const uri = 'sip:bob@example.com'
      const ours = answerTo(challengeIn(rig.judge(requestBytes({ method }))), { method, uri })
      const parts = { method, branch: 'z9hG4bKsame', cseq: 70 }
      const bytes = requestBytes({ ...parts, add: [proxy(`${other}, ${ours}`), www(other), www('Bearer x')] })
      const from = { transport: 'udp', source: { address: '192.0.2.1', port: 5060 } } as const
      const result = authenticate(bytes, { ...from, local: from.source }, createPipeline([rig.stage]))
      if (result instanceof Promise) throw new Error('a promise')
      expect(String(result.forward)).toBe(
        String(requestBytes({ ...parts, add: [proxy(other), www(other), www('Bearer x')] })),
      )
    },
  )

  it('go with an ACK and a CANCEL as well, and those of others stay', () => {
    const { rig, line, same, note } = invited()
    const other = proxy('Digest username="x", realm="behind.example", nonce="n", uri="u", response="r"')
    const edit = [{ name: 'Proxy-Authorization', value: line[1], left: '' }]
    const left = { verdict: 'accept', remove: [], edit }
    expect(rig.judge(requestBytes({ method: 'CANCEL', ...same, add: [other, line] }))).toMatchObject(left)
    note(200)
    expect(rig.judge(ackWith([line, other]))).toMatchObject(left)
  })
})

const infoOf = (verdict: Verdict, body?: Uint8Array): Readonly<Record<string, string>> | undefined => {
  const [line] = accepted(verdict).answer!(body)
  if (line !== undefined) expect(line[0]).toBe('Authentication-Info')
  return line && paramsOf(line[1])
}

const h = (text: string): string => hashOf('SHA-256', text)

describe('N11: Authentication-Info', () => {
  it('proves that we know the password', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()), 'SHA-256')
    const verdict = rig.judge(requestBytes({ add: [www(answerTo(challenge))] }))
    const ha1 = h(`alice:example.org:${PASSWORD}`)
    const rest = `${paramsOf(challenge)['nonce']}:00000001:0a4f113b:auth:${h(':sip:example.org')}`
    expect(infoOf(verdict)).toEqual({
      rspauth: h(`${ha1}:${rest}`),
      qop: 'auth',
      nc: '00000001',
      cnonce: '0a4f113b',
    })
  })

  it('is Proxy-Authentication-Info where we relay', () => {
    const [line] = accepted(attempt(createRig(), {}, { method: 'INVITE' })).answer!()
    expect(line![0]).toBe('Proxy-Authentication-Info')
  })

  it('covers the body of the response with auth-int', () => {
    const verdict = attempt(createRig({ qop: ['auth-int'] }), { qop: 'auth-int' })
    expect(infoOf(verdict, Buffer.from('a'))).not.toEqual(infoOf(verdict, Buffer.from('b')))
  })

  it('gives the next nonce when this one is past half its life', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()))
    rig.pass(200_000)
    const next = infoOf(rig.judge(requestBytes({ add: [www(answerTo(challenge))] })))!['nextnonce']!
    rig.pass(200_000)
    const renewed = challenge.replace(/nonce="[^"]*"/, `nonce="${next}"`)
    expect(rig.judge(requestBytes({ add: [www(answerTo(renewed))] })).verdict).toBe('accept')
  })

  it('is none without qop', () => {
    expect(infoOf(attempt(createRig({ qop: [] }), { qop: 'none' }))).toBeUndefined()
  })
})

const invited = () => {
  let now = 0
  const invites = createInviteTable<typeof ALICE>(10)
  const rig = createRig({ invites })
  const challenge = challengeIn(rig.judge(requestBytes({ method: 'INVITE' })))
  const line = proxy(answerTo(challenge, { method: 'INVITE', uri: 'sip:bob@example.com' }))
  const same = { cseq: 900, branch: 'z9hG4bKinvite' }
  const invite = requestBytes({ method: 'INVITE', ...same, add: [line] })
  expect(rig.judge(invite).verdict).toBe('accept')
  const name = transactionName(viewOf(parsed(invite)))!
  const note = (status: number): void => invites.note(name, status, now++)
  return { rig, line, same, note }
}

const ackWith = (add: readonly Line[]): Buffer =>
  requestBytes({
    method: 'ACK',
    uri: 'sip:bob@203.0.113.1',
    to: '<sip:bob@example.com>;tag=t',
    cseq: 900,
    add,
  })

describe('P5: ACK and CANCEL', () => {
  it('a CANCEL of an accepted INVITE is accepted, without credentials and with', () => {
    const { rig, line, same } = invited()
    expect(rig.judge(requestBytes({ method: 'CANCEL', ...same }))).toEqual({
      verdict: 'accept',
      identity: ALICE,
      remove: [],
    })
    expect(rig.judge(requestBytes({ method: 'CANCEL', ...same, add: [line] }))).toMatchObject({
      remove: ['Proxy-Authorization'],
    })
  })

  it.each([
    ['of another call', { callId: 'other' }],
    ['of another branch', { branch: 'z9hG4bKother' }],
    ['of another URI', { uri: 'sip:carol@example.com' }],
  ])('T32: a CANCEL %s is refused, never challenged', (_, change) => {
    const { rig, same } = invited()
    expect(rig.judge(requestBytes({ method: 'CANCEL', ...same, ...change }))).toEqual({
      verdict: 'reject',
      status: 481,
      reason: 'invite-unknown',
    })
  })

  it('a CANCEL from another place is refused', () => {
    const { rig, same } = invited()
    const bytes = requestBytes({ method: 'CANCEL', ...same })
    expect(rig.judge(bytes, { source: { address: '192.0.2.1', port: 6 } }).verdict).toBe('reject')
  })

  it('the ACK of a failure is accepted by its INVITE', () => {
    const { rig, same, note } = invited()
    note(486)
    const ack = requestBytes({ method: 'ACK', ...same, to: '<sip:bob@example.com>;tag=t' })
    expect(rig.judge(ack)).toMatchObject({ verdict: 'accept', identity: ALICE })
  })

  it('the ACK of a call repeats the credentials of its INVITE, however long it rang', () => {
    const { rig, line, note } = invited()
    note(200)
    expect(rig.judge(ackWith([line]))).toEqual({
      verdict: 'accept',
      identity: ALICE,
      remove: ['Proxy-Authorization'],
    })
    rig.pass(600_000)
    expect(rig.judge(ackWith([line])).verdict).toBe('accept')
    rig.pass(7_200_000)
    expect(rig.judge(ackWith([line]))).toEqual({ verdict: 'drop', reason: 'nonce-stale' })
    expect(rig.judge(ackWith([]))).toEqual({ verdict: 'drop', reason: 'credentials-missing' })
  })

  it('an ACK is never answered: what refuses it drops it', () => {
    const { rig } = invited()
    const pipeline = createPipeline([rig.stage])
    const bytes = requestBytes({ method: 'ACK', to: '<sip:bob@example.com>;tag=t' })
    const from = { transport: 'udp', source: { address: '192.0.2.1', port: 5060 } } as const
    expect(authenticate(bytes, { ...from, local: from.source }, pipeline)).toMatchObject({
      decision: { verdict: 'drop' },
    })
  })

  it('without a table no CANCEL is accepted', () => {
    expect(createRig().judge(requestBytes({ method: 'CANCEL' })).verdict).toBe('reject')
  })
})

describe('options', () => {
  it('are refused at construction, with every issue', () => {
    expect(
      errorOf(() => createRig({ domains: ['*'], realm: { kind: 'fixed', realm: '' } })).issues,
    ).toHaveLength(2)
    expect(errorOf(() => createRig({ algorithms: [] })).code).toBe('ERR_PIPELINE_INVALID')
  })
})
