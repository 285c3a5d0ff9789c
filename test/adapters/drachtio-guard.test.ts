import { describe, expect, it } from 'vitest'
import { guardDrachtio } from '../../src/adapters/drachtio.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Decision, Pipeline, Stage, Verdict } from '../../src/pipeline/stage.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { fakeRequest, fakeResponse, type FakeRequest } from '../support/drachtio-host.ts'
import { bytesOf } from '../support/messages.ts'
import { NOON, SECRET, agree, ringOf, signedBytes } from '../support/parties.ts'

const now = (): Date => NOON
const pipelineOf = (agreement = agree()): Pipeline =>
  createPipeline([
    verifyPeer({ peer: 'carrier', verifier: createVerifier({ agreement, keyring: ringOf(), now }) }),
  ])
const stage = (judge: Stage['judge']): Pipeline => createPipeline([{ name: 'stand-in', judge }])

/** What became of a request: what was sent, whether it went on, what was decided. */
function guarded(req: FakeRequest, pipeline = pipelineOf()) {
  const { res, sent } = fakeResponse()
  const decisions: Decision[] = []
  const passed: unknown[] = []
  guardDrachtio(pipeline, { onDecision: (decision) => void decisions.push(decision) })(req, res, (error) =>
    passed.push(error),
  )
  return { sent, passed, decisions, identity: req.identity, headers: req.headers }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const INVITE = bytesOf({ body: 'v=0\r\n', add: [['Content-Length', '5']] })

const answer = () => [['Proxy-Authentication-Info', 'nc=1']] as const

describe('a verdict of a digest stage', () => {
  const identity = { kind: 'user', username: 'alice', realm: 'r', attributes: {} } as const

  it('takes credentials of ours out of the line that the host made of all', () => {
    const bytes = bytesOf({
      add: [
        ['Proxy-Authorization', 'Digest ours'],
        ['Proxy-Authorization', 'Digest th\xc3\xa4irs'],
        ['Authorization', 'Digest ours'],
      ],
    })
    const req = fakeRequest(bytes)
    const edit = [
      { name: 'proxy-authorization', value: 'Digest ours', left: '' },
      { name: 'Authorization', value: 'Digest ours', left: '' },
    ]
    const { passed } = guarded(
      req,
      stage(() => ({ verdict: 'accept', identity, remove: [], edit, answer })),
    )
    expect(passed).toEqual([undefined])
    const entries = Object.entries(req.headers).filter(([name]) => /authorization/i.test(name))
    expect(entries.map(([, value]) => value)).toEqual(['Digest thäirs'])
    expect(req).toHaveProperty('answer', answer)
  })

  it('answers with the phrase and headers of a refusal', () => {
    const headers = [['Retry-After', '5']] as const
    const { sent } = guarded(
      fakeRequest(INVITE),
      stage(() => ({ verdict: 'reject', status: 403, reason: 'x', phrase: 'Not relaying', headers })),
    )
    expect(sent).toEqual([[403, 'Not relaying', { headers: { 'Retry-After': '5' } }]])
    const busy = guarded(
      fakeRequest(INVITE),
      stage(() => ({ verdict: 'reject', status: 503, reason: 'x', headers })),
    )
    expect(busy.sent).toEqual([[503, { headers: { 'Retry-After': '5' } }]])
  })
})

describe('a request that is accepted', () => {
  it('goes on with its identity, and without its token', () => {
    const req = fakeRequest(signedBytes(INVITE))
    expect(req.headers['X-Auth']).toMatch(/^[0-9a-f]{64}$/)
    const { sent, passed, identity, headers, decisions } = guarded(req)
    expect({ sent, passed }).toEqual({ sent: [], passed: [undefined] })
    expect(identity).toEqual({ kind: 'peer', peer: 'carrier', key: { group: 'trunk', name: SECRET } })
    expect(headers).not.toHaveProperty('X-Auth')
    expect(headers).toHaveProperty('from')
    expect(decisions).toMatchObject([{ verdict: 'accept', stage: 'xkeys:carrier' }])
  })

  it('is read from req.msg.raw where the request has no raw', () => {
    const req = fakeRequest(signedBytes(INVITE), {
      raw: undefined,
      msg: { raw: signedBytes(INVITE).toString() },
    })
    expect(guarded(req).passed).toEqual([undefined])
  })

  it('loses every spelling of the token header, which the host keeps apart', () => {
    const req = fakeRequest(signedBytes(INVITE))
    Object.assign(req.headers, { 'x-auth': 'a', 'X-AUTH': 'b' })
    expect(Object.keys(guarded(req).headers).filter((name) => /x-auth/i.test(name))).toEqual([])
  })

  it('may hold text outside ASCII, which the host decodes', () => {
    const bytes = signedBytes(
      bytesOf({ with: { From: Buffer.from('"Zoë" <sip:zoë@x.example>;tag=1').toString('latin1') } }),
    )
    expect(guarded(fakeRequest(bytes)).passed).toEqual([undefined])
  })

  it.each([
    ['192.0.2.1', '::ffff:192.0.2.1', '198.51.100.7:5080'],
    ['2001:db8::1', '2001:db8::1', '[2001:db8::2]:5080'],
    ['2001:db8::1', '[2001:db8::1]', '2001:db8::2:5080'],
  ])('has the addresses of the wire: %s given as %s, arrived on %s', (source, given, receivedOn) => {
    const six = source.includes(':')
    const seen: unknown[] = []
    const req = fakeRequest(INVITE, {
      source_address: given,
      source_port: '5062',
      receivedOn,
      protocol: 'TLS',
    })
    guarded(
      req,
      stage(({ source, local, transport }) => {
        seen.push(source, local, transport)
        return { verdict: 'abstain' }
      }),
    )
    expect(seen).toEqual([
      { address: source, port: 5062 },
      { address: six ? '2001:db8::2' : '198.51.100.7', port: 5080 },
      'tls',
    ])
  })
})

describe('a request that is refused', () => {
  const wrong = Buffer.from(
    signedBytes(INVITE)
      .toString('latin1')
      .replace(/X-Auth: ./, 'X-Auth: x'),
    'latin1',
  )

  it.each([
    ['without a token', INVITE, 403, 'header-missing'],
    ['with a wrong one', wrong, 403, 'token-malformed'],
    [
      'with a changed From',
      Buffer.from(signedBytes(INVITE).toString().replace('sip:alice', 'sip:mallory')),
      403,
      'token-mismatch',
    ],
    [
      'with two, differing in case',
      editHeaders(signedBytes(INVITE), { add: [['x-AUTH', 'aa']] }),
      403,
      'header-repeated',
    ],
    [
      'with two From',
      editHeaders(signedBytes(INVITE), { add: [['From', '<sip:a@b>']] }),
      400,
      'header-repeated',
    ],
    ['with a bare LF', Buffer.from(INVITE.toString().replace('Max', 'X-A: 1\nMax')), 400, 'bare-lf'],
    [
      'with a body longer than it says',
      Buffer.concat([signedBytes(INVITE), Buffer.from('more')]),
      400,
      'body-exceeds',
    ],
    [
      'with a body that is no UTF-8',
      Buffer.from(INVITE.toString('latin1').replace('v=0', 'v=\xff'), 'latin1'),
      400,
      'body-exceeds',
    ],
  ] as const)('%s gets its status, and does not go on', (_, bytes, status, reason) => {
    const { sent, passed, identity, decisions } = guarded(fakeRequest(bytes))
    expect({ sent, passed, identity }).toEqual({ sent: [[status]], passed: [], identity: undefined })
    expect(decisions).toMatchObject([{ verdict: 'reject', status, reason }])
  })

  it.each([
    ['no text', { raw: undefined }, 'raw-missing'],
    ['an empty text', { raw: '' }, 'raw-missing'],
    ['no source', { source_address: undefined }, 'source-unknown'],
    ['a source that is a name', { source_address: 'peer.example' }, 'source-unknown'],
    ['no port', { source_port: undefined }, 'source-unknown'],
    ['an unknown transport', { protocol: 'sctp' }, 'transport-unknown'],
  ])('with %s is 503, whatever the pipeline would say', (_, parts, reason) => {
    const open = stage(() => ({ verdict: 'accept', identity: { kind: 'unsigned', peer: 'x' }, remove: [] }))
    const { sent, passed, decisions } = guarded(fakeRequest(INVITE, parts), open)
    expect({ sent, passed }).toEqual({ sent: [[503]], passed: [] })
    expect(decisions).toMatchObject([{ reason, stage: 'parse' }])
  })

  it.each([undefined, '0.0.0.0:5060', '[::]:5060', '*:5060', '192.0.2.7:0'])(
    'is 503 where the template reads $Ri and the server told %s',
    (receivedOn) => {
      const template = '$Ri:$fu:$ci'
      const { sent, passed } = guarded(
        fakeRequest(signedBytes(INVITE, { agreement: { request: template } }), { receivedOn }),
        pipelineOf(agree({ request: template })),
      )
      expect({ sent, passed }).toEqual({ sent: [[503]], passed: [] })
      // Where nothing reads it, nothing is lacking.
      expect(guarded(fakeRequest(signedBytes(INVITE), { receivedOn })).passed).toEqual([undefined])
    },
  )

  it('is challenged by a stage that challenges', () => {
    const digest = stage(() => ({
      verdict: 'challenge',
      status: 401,
      headers: [
        ['WWW-Authenticate', 'Digest realm="a", algorithm=SHA-256'],
        ['WWW-Authenticate', 'Digest realm="a", algorithm=MD5'],
        ['X-Note', 'one'],
      ],
    }))
    expect(guarded(fakeRequest(INVITE), digest)).toMatchObject({
      sent: [
        [
          401,
          {
            headers: {
              'WWW-Authenticate':
                'Digest realm="a", algorithm=SHA-256\r\nWWW-Authenticate: Digest realm="a", algorithm=MD5',
              'X-Note': 'one',
            },
          },
        ],
      ],
      passed: [],
    })
  })

  it('gets no line that a challenge did not mean to send', () => {
    const split = stage(() => ({
      verdict: 'challenge',
      status: 401,
      headers: [['WWW-Authenticate', 'Digest realm="a\r\nX-Evil: 1"']],
    }))
    expect(guarded(fakeRequest(INVITE), split).sent).toEqual([[503]])
  })

  it('is never answered where it is an ACK', () => {
    const ack = bytesOf({ start: 'ACK sip:bob@biloxi.example SIP/2.0', with: { CSeq: '314159 ACK' } })
    const broken = Buffer.from(ack.toString().replace('CSeq: 314159 ACK', 'CSeq: x'))
    for (const bytes of [ack, broken]) {
      expect(guarded(fakeRequest(bytes))).toMatchObject({ sent: [], passed: [] })
    }
  })

  it('is dropped without an answer by a stage that drops, and the host keeps nothing of it', () => {
    const req = fakeRequest(INVITE)
    const other = {}
    const pending = new Map<unknown, unknown>([
      [req.get('call-id'), { req }],
      ['other', { req: other }],
    ])
    Object.assign(req, {
      socket: 'tcp',
      agent: { mapServer: new Map([['tcp', { pendingNetworkInvites: pending }]]) },
    })
    expect(
      guarded(
        req,
        stage(() => ({ verdict: 'drop', reason: 'scanner' })),
      ),
    ).toMatchObject({ sent: [], passed: [] })
    expect([...pending.keys()]).toEqual(['other'])
  })
})

const reject = (): Promise<Verdict> => Promise.reject(new Error('the database has gone'))
const fail = (): never => {
  throw new Error('broken')
}

describe('what fails', () => {
  it.each([
    ['a stage that rejects', stage(reject)],
    ['a stage that throws', stage(fail)],
    ['a stage that answers nonsense', stage(async () => ({ verdict: 'fine' }) as unknown as Verdict)],
    ['a pipeline that rejects', { decide: reject } as unknown as Pipeline],
    ['a pipeline that throws', { decide: fail }],
  ])('%s is 503', async (_, pipeline) => {
    const result = guarded(fakeRequest(INVITE), pipeline)
    await settled()
    expect(result).toMatchObject({ sent: [[503]], passed: [] })
  })

  it('a status that the host does not know is 503, and a host that cannot send is let be', () => {
    const odd = stage(() => ({ verdict: 'reject', status: 699, reason: 'odd' }))
    const { res, sent } = fakeResponse((status) => {
      if (status === 699) throw new Error('a valid sip response code')
    })
    guardDrachtio(odd)(fakeRequest(INVITE), res, () => expect.fail('passed'))
    expect(sent).toEqual([[503]])
    guardDrachtio(odd)(fakeRequest(INVITE), fakeResponse(fail).res, () => expect.fail('passed'))
  })

  it('a log that throws changes nothing', () => {
    const passed: unknown[] = []
    guardDrachtio(pipelineOf(), { onDecision: fail })(
      fakeRequest(signedBytes(INVITE)),
      fakeResponse().res,
      () => passed.push(1),
    )
    expect(passed).toEqual([1])
  })

  it('what the application throws behind a slow stage goes to next, as if it had thrown at once', async () => {
    const accept = stage(async () => ({
      verdict: 'accept',
      identity: { kind: 'unsigned', peer: 'x' },
      remove: [],
    }))
    const errors: unknown[] = []
    guardDrachtio(accept)(fakeRequest(INVITE), fakeResponse().res, (error) => {
      errors.push(error)
      throw new Error(`thrown ${errors.length}`)
    })
    await settled()
    await settled()
    expect(errors).toEqual([undefined, new Error('thrown 1')])
  })
})

describe('a request that the server makes itself', () => {
  it('came from no network: it goes on, and has no identity', () => {
    const req = fakeRequest(INVITE, { source: 'application' })
    expect(guarded(req)).toMatchObject({ sent: [], passed: [undefined], identity: undefined, decisions: [] })
  })
})
