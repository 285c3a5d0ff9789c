import { describe, expect, it } from 'vitest'
import { makeResponse, type SipRemote, type SipRequest, type SipResponse } from '../../src/adapters/sip.ts'
import type { Identity, Stage } from '../../src/pipeline/stage.ts'
import { forged } from '../support/signed-messages.ts'
import { startRig, type Rig, type RigOptions } from './sip-rig.ts'

interface Call {
  readonly request: SipRequest
  readonly remote: SipRemote
  readonly identity: Identity
}

/** A rig whose app answers with `status` and keeps what it was called with. */
async function answering(status: number, options: RigOptions = {}): Promise<Rig & { calls: Call[] }> {
  const calls: Call[] = []
  const rig = await startRig({
    handler: (request, remote, identity) => {
      calls.push({ request, remote, identity })
      if (request.method !== 'ACK') rig.stack.send(makeResponse(request, status, 'Test'))
    },
    ...options,
  })
  return Object.assign(rig, { calls })
}

describe('a request of a peer', () => {
  it('reaches the app with its identity and without its token; the response is signed', async () => {
    const rig = await answering(200)
    await rig.peer.send(rig.signed(rig.request('OPTIONS', { add: ['X-Other: 1'] })), rig.at)
    const { message } = await rig.peer.receive()
    expect(message.status).toBe(200)
    expect(rig.verify(message)).toMatchObject({ ok: true, key: { group: 'trunk-a', name: 'new' } })
    expect(rig.calls).toHaveLength(1)
    const { request, remote, identity } = rig.calls[0]!
    expect(identity).toEqual({ kind: 'peer', peer: 'carrier', key: { group: 'trunk-a', name: 'new' } })
    expect(remote).toEqual({ protocol: 'UDP', ...rig.peer.local, local: rig.at })
    expect(request.headers).toMatchObject({ 'x-other': '1', from: { params: { tag: '1928301774' } } })
    expect(request.headers).not.toHaveProperty('x-auth')
    expect(rig.decisions).toEqual(['OPTIONS accept peer'])
  })

  it('that comes again is answered by the transaction, with the same bytes, and not shown again', async () => {
    const rig = await answering(200)
    const bytes = rig.signed(rig.request('OPTIONS'))
    await rig.peer.send(bytes, rig.at)
    const first = await rig.peer.receive()
    await rig.peer.send(bytes, rig.at)
    expect((await rig.peer.receive()).text).toBe(first.text)
    expect(rig.calls).toHaveLength(1)
  })

  it.each<[string, (rig: Rig) => Buffer, string]>([
    ['without a token', (rig) => rig.request('INVITE'), 'INVITE reject header-missing'],
    [
      'with a forged token',
      (rig) => forged(rig.signed(rig.request('INVITE'))),
      'INVITE reject token-mismatch',
    ],
  ])('%s is refused with 403, unsigned, and its ACK ends here', async (_what, make, decision) => {
    const rig = await answering(200)
    await rig.peer.send(make(rig), rig.at)
    const { message } = await rig.peer.receive()
    expect(message.status).toBe(403)
    expect(message.headers('X-Auth')).toEqual([])
    await rig.peer.send(rig.request('ACK', { with: { To: message.headers('To')[0]! } }), rig.at)
    await rig.settle()
    expect(rig.calls).toEqual([])
    expect(rig.decisions).toEqual([decision, 'OPTIONS reject header-missing'])
  })

  it('from somebody else is refused', async () => {
    const rig = await answering(200)
    const other = await startRig()
    await other.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    expect((await other.peer.receive()).message.status).toBe(403)
    expect(rig.decisions).toEqual(['OPTIONS reject source-not-allowed'])
  })

  it('that is refused too often is not answered any more', async () => {
    const rig = await answering(200, { limits: { refusalsPerSecond: 1 } })
    for (let i = 0; i < 20; i++) {
      const Via = `SIP/2.0/UDP ${rig.peer.at};branch=z9hG4bK-${i};rport`
      await rig.peer.send(rig.request('INVITE', { with: { Via } }), rig.at)
    }
    // A signed request is always answered, so it comes behind whatever refusals came.
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    let refused = 0
    while ((await rig.peer.receive()).message.status === 403) refused++
    expect(refused).toBeGreaterThan(0)
    expect(refused).toBeLessThan(20)
    expect(rig.decisions).toHaveLength(21)
  })
})

describe('a user', () => {
  /** In the place of a digest stage: credentials are a word. */
  const digest: Stage = {
    name: 'digest',
    judge: ({ message }) => {
      if (message.kind === 'response') return { verdict: 'abstain' }
      if (message.headers('Authorization')[0] === 'Digest username="alice"') {
        const identity = { kind: 'user', username: 'alice', realm: 'here', attributes: {} } as const
        return Promise.resolve({ verdict: 'accept', identity, remove: ['Authorization'] })
      }
      const headers = [['WWW-Authenticate', 'Digest realm="here", nonce="n"']] as const
      return { verdict: 'challenge', status: 401, headers }
    },
  }

  it('is challenged, and accepted with credentials', async () => {
    const rig = await answering(200, { more: [digest] })
    const user = (await startRig()).peer
    const Via = `SIP/2.0/UDP ${user.at};branch=z9hG4bK-user;rport`
    await user.send(rig.request('REGISTER', { with: { Via } }), rig.at)
    const challenge = (await user.receive()).message
    expect([challenge.status, challenge.headers('WWW-Authenticate')[0]]).toEqual([
      401,
      'Digest realm="here", nonce="n"',
    ])
    const again = { Via: `SIP/2.0/UDP ${user.at};branch=z9hG4bK-2;rport`, CSeq: '314160 REGISTER' }
    await user.send(
      rig.request('REGISTER', { with: again, add: ['Authorization: Digest username="alice"'] }),
      rig.at,
    )
    expect((await user.receive()).message.status).toBe(200)
    expect(rig.calls.map(({ identity }) => identity)).toMatchObject([{ kind: 'user', username: 'alice' }])
    expect(rig.calls[0]!.request.headers).not.toHaveProperty('authorization')
    expect(rig.decisions).toEqual(['REGISTER challenge 401', 'REGISTER accept user'])
  })

  it('waits in a bounded number, a quarter of it for one address', async () => {
    const waiting: (() => void)[] = []
    const slow: Stage = {
      name: 'slow',
      judge: () =>
        new Promise((resolve) =>
          waiting.push(() => resolve({ verdict: 'reject', status: 403, reason: 'late' })),
        ),
    }
    const rig = await answering(200, { more: [slow], limits: { decisions: 8 } })
    const user = (await startRig()).peer
    for (let i = 0; i < 3; i++) await user.send(rig.request('OPTIONS'), rig.at)
    while (rig.decisions.length === 0) await new Promise(setImmediate)
    // M8: a peer that needs no stage to wait is not among those who do.
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(200)
    for (const wake of waiting) wake()
    await user.receive()
    await user.receive()
    expect(rig.decisions).toEqual([
      'OPTIONS drop too-many-waiting',
      'OPTIONS accept peer',
      'OPTIONS reject late',
      'OPTIONS reject late',
    ])
  })
})

/** An app that rings, and answers a CANCEL as apps do. */
async function ringing(options: RigOptions = {}): Promise<Rig & { calls: Call[] }> {
  const calls: Call[] = []
  let invite: SipRequest | undefined
  const rig = await startRig({
    handler: (request, remote, identity) => {
      calls.push({ request, remote, identity })
      if (request.method === 'INVITE') {
        invite = request
        request.headers.to.params['tag'] = 'callee'
        rig.stack.send(makeResponse(request, 180, 'Ringing'))
      } else if (request.method === 'CANCEL') {
        rig.stack.send(makeResponse(request, 200, 'OK'))
        rig.stack.send(makeResponse(invite!, 487, 'Request Terminated'))
      }
    },
    ...options,
  })
  await rig.peer.send(rig.signed(rig.request('INVITE')), rig.at)
  expect((await rig.peer.receive()).message.status).toBe(180)
  return Object.assign(rig, { calls })
}

describe('CANCEL and ACK without a token', () => {
  it('pass where they belong to an accepted INVITE, with its identity; the ACK ends retransmission', async () => {
    const rig = await ringing()
    await rig.peer.send(rig.request('CANCEL', { add: ['Route: <sip:elsewhere.example;lr>'] }), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(200)
    const { message } = await rig.peer.receive()
    expect(message.status).toBe(487)
    expect(rig.verify(message).ok).toBe(true)
    await rig.peer.send(rig.request('ACK', { with: { To: message.headers('To')[0]! } }), rig.at)
    await rig.settle()
    expect(rig.calls.map(({ request }) => request.method)).toEqual(['INVITE', 'CANCEL'])
    expect(rig.calls[1]!.identity).toEqual(rig.calls[0]!.identity)
    expect(rig.calls[1]!.request.headers).not.toHaveProperty('route')
    expect(rig.decisions.slice(0, 3)).toEqual(['INVITE accept peer', 'CANCEL accept peer', 'ACK accept peer'])
  })

  it.each<[string, Record<string, string>]>([
    ['another branch', { Via: 'SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bK-other;rport' }],
    ['another Call-ID', { 'Call-ID': 'other' }],
    ['another CSeq number', { CSeq: '1 CANCEL' }],
    ['another From tag', { From: '<sip:alice@atlanta.example>;tag=other' }],
  ])('a CANCEL with %s is refused', async (_what, headers) => {
    const rig = await ringing()
    await rig.peer.send(rig.request('CANCEL', { with: headers }), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(403)
    expect(rig.calls).toHaveLength(1)
  })

  it('are refused where the app says so', async () => {
    const rig = await ringing({ unsigned: 'refuse' })
    await rig.peer.send(rig.request('CANCEL'), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(403)
  })

  it('a CANCEL with a wrong token is refused though it would match', async () => {
    const rig = await ringing()
    await rig.peer.send(forged(rig.signed(rig.request('CANCEL'))), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(403)
  })

  it('the ACK of a 2xx needs one, and reaches the app', async () => {
    const rig = await answering(200)
    await rig.peer.send(rig.signed(rig.request('INVITE')), rig.at)
    await rig.peer.receive()
    const Via = `SIP/2.0/UDP ${rig.peer.at};branch=z9hG4bK-ack;rport`
    await rig.peer.send(rig.request('ACK', { with: { Via } }), rig.at)
    await rig.peer.send(rig.signed(rig.request('ACK', { with: { Via } })), rig.at)
    await rig.settle()
    expect(rig.calls.map(({ request }) => request.method)).toEqual(['INVITE', 'ACK'])
    expect(rig.decisions.slice(1, 3)).toEqual(['ACK drop header-missing', 'ACK accept peer'])
  })
})

const options = (rig: Rig) => ({
  method: 'OPTIONS',
  uri: `sip:carrier@${rig.peer.at}`,
  headers: {
    from: { uri: 'sip:us@127.0.0.1', params: { tag: 'ours' } },
    to: { uri: 'sip:carrier@127.0.0.1' },
    'call-id': 'out-1',
    cseq: { seq: 1, method: 'OPTIONS' },
  },
})

const ok = (request: Buffer): Buffer =>
  Buffer.from(
    request
      .toString('latin1')
      .replace(/^.*?\r\n/, 'SIP/2.0 200 OK\r\n')
      .replace(/X-Auth: .*\r\n/, '')
      .replace(/^(To: .*)\r$/m, '$1;tag=theirs\r'),
    'latin1',
  )

async function sent(rig: Rig, answer: (request: Buffer) => Buffer): Promise<SipResponse> {
  const response = new Promise<SipResponse>((resolve) => rig.stack.send(options(rig), resolve))
  const { bytes, message } = await rig.peer.receive()
  expect(rig.verify(message).ok).toBe(true)
  await rig.peer.send(answer(bytes), rig.at)
  return response
}

describe('a request of the app', () => {
  it('is signed; its response must be, and reaches the callback without its token', async () => {
    const rig = await startRig()
    const response = await sent(rig, (request) => rig.signed(ok(request)))
    expect(response).toMatchObject({ status: 200, headers: { to: { params: { tag: 'theirs' } } } })
    expect(response.headers).not.toHaveProperty('x-auth')
    expect(rig.decisions).toEqual(['200 accept peer'])
  })

  it('has a branch that nobody guesses', async () => {
    const rig = await startRig()
    rig.stack.send(options(rig))
    const { message } = await rig.peer.receive()
    expect(message.headers('Via')).toEqual([
      expect.stringMatching(
        new RegExp(`^SIP/2.0/UDP 127.0.0.1:${rig.at.port};branch=z9hG4bK[\\w-]{20};rport$`),
      ),
    ])
  })

  it('gets no response that is unsigned or forged', async () => {
    const rig = await startRig()
    const response = sent(rig, ok)
    const again = await rig.peer.receive()
    await rig.peer.send(forged(rig.signed(ok(again.bytes))), rig.at)
    await rig.peer.send(rig.signed(ok(again.bytes)), rig.at)
    expect((await response).status).toBe(200)
    expect(rig.decisions).toEqual(['200 drop header-missing', '200 drop token-mismatch', '200 accept peer'])
  })

  it('is retransmitted with the same token', async () => {
    const rig = await startRig()
    rig.stack.send(options(rig))
    const first = await rig.peer.receive()
    expect((await rig.peer.receive()).text).toBe(first.text)
  })

  it('whose INVITE fails is acknowledged by the transaction, signed', async () => {
    const rig = await startRig()
    const { headers, ...rest } = options(rig)
    const invite = { ...rest, method: 'INVITE', headers: { ...headers, cseq: { seq: 1, method: 'INVITE' } } }
    const response = new Promise<SipResponse>((resolve) => rig.stack.send(invite, resolve))
    const request = await rig.peer.receive()
    const busy = Buffer.from(ok(request.bytes).toString('latin1').replace('200 OK', '486 Busy'), 'latin1')
    await rig.peer.send(rig.signed(busy), rig.at)
    expect((await response).status).toBe(486)
    const { message } = await rig.peer.receive()
    expect(message.method).toBe('ACK')
    expect(rig.verify(message).ok).toBe(true)
  })

  it.each<[string, string, number]>([
    ['tel:', 'tel:+15550100', 416],
    ['sips:', 'sips:a@127.0.0.1', 416],
    ['no URI', 'nowhere', 416],
    ['a port that is none', 'sip:a@127.0.0.1:99999', 416],
    ['a transport that is off', 'sip:a@127.0.0.1;transport=ws', 400],
    ['IPv6, where only IPv4 is bound', 'sip:a@[::1]:5060', 503],
  ])('to %s calls back and throws nothing', async (_what, uri, status) => {
    const rig = await startRig()
    const got = await new Promise<SipResponse>((resolve) => rig.stack.send({ ...options(rig), uri }, resolve))
    expect(got.status).toBe(status)
  })
})

describe('the app', () => {
  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('of the app')
      },
    ],
    ['rejects', () => Promise.reject(new Error('of the app'))],
    [
      'rejects a promise of its own kind',
      // eslint-disable-next-line unicorn/no-thenable -- it stands for one
      () => ({ then: (_done: unknown, failed: (error: Error) => void) => failed(new Error('of the app')) }),
    ],
  ])('that %s answers 500, signed, and is told of', async (_what, handler) => {
    const rig = await startRig({ handler })
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    const { message } = await rig.peer.receive()
    expect(message.status).toBe(500)
    expect(message.headers('To')[0]).toContain(';tag=')
    expect(rig.verify(message).ok).toBe(true)
    expect(rig.events).toMatchObject([{ event: 'handler-failed', error: new Error('of the app') }])
  })

  it('that rejects and leaves nothing to answer with harms nothing', async () => {
    const rig = await startRig({
      handler: (request) => {
        request.headers = {} as SipRequest['headers']
        return Promise.reject(new Error('of the app'))
      },
    })
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    await rig.settle()
    expect(rig.events[0]).toMatchObject({ event: 'handler-failed' })
  })

  it('that throws behind its answer sends no second one', async () => {
    const rig = await startRig({
      handler: (request) => {
        rig.stack.send(makeResponse(request, 200, 'OK'))
        throw new Error('too late')
      },
    })
    await rig.peer.send(rig.signed(rig.request('INVITE')), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(200)
    await rig.settle()
    expect(rig.events).toHaveLength(1)
  })

  it.each<[string, Record<string, unknown>]>([
    ['a header value with a line break', { 'x-a': 'a\r\nX-Injected: 1' }],
    ['a character that would become a line feed', { 'x-a': 'a\u010aX-Injected: 1' }],
    ['a header that is no header', { 'x a': '1' }],
    ['a header name with one', { 'x-a: 1\r\nx-injected': '1' }],
    ['more than a datagram holds', { 'x-a': 'a'.repeat(65_600) }],
  ])('that answers with %s has 500 sent in its place', async (_what, headers) => {
    const rig = await startRig({
      handler: (request) => rig.stack.send(makeResponse(request, 200, 'OK', { headers })),
    })
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    const { message, text } = await rig.peer.receive()
    expect(message.status).toBe(500)
    expect(text).not.toContain('Injected')
    expect(rig.events).toMatchObject([{ event: 'not-sent' }])
  })

  it('a token header that the app set is replaced', async () => {
    const headers = { 'x-auth': '0'.repeat(64) }
    const rig = await startRig({
      handler: (request) => rig.stack.send(makeResponse(request, 200, 'OK', { headers })),
    })
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    const { message } = await rig.peer.receive()
    expect([message.headers('X-Auth').length, rig.verify(message).ok]).toEqual([1, true])
  })

  it('gives one To tag to all responses of a transaction, and keeps its own', async () => {
    const rig = await startRig({
      handler: (request) => {
        for (const status of [100, 180, 183]) rig.stack.send(makeResponse(request, status, 'Test'))
        request.headers.to.params['tag'] = 'own'
        rig.stack.send(makeResponse(request, 200, 'OK'))
      },
    })
    await rig.peer.send(rig.signed(rig.request('INVITE')), rig.at)
    const tags: (string | undefined)[] = []
    while (tags.length < 4) {
      const { message } = await rig.peer.receive()
      tags.push(message.headers('To')[0]!.split(';tag=')[1])
    }
    expect(tags).toEqual([undefined, expect.stringMatching(/^[0-9a-f]{12}$/), tags[1], 'own'])
  })

  it('whose hooks throw goes on', async () => {
    const rig = await answering(200, { logger: { recv: fail, send: fail, error: fail }, onDecision: fail })
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(200)
    expect(rig.events.map(({ reason }) => reason).toSorted()).toEqual([
      'logger.recv threw',
      'logger.send threw',
      'onDecision threw',
    ])
  })

  it('may send what is no message', async () => {
    const rig = await startRig()
    for (const message of [{}, { method: 'OPTIONS' }, { status: 200 }, { status: 200, headers: {} }]) {
      rig.stack.send(message as unknown as SipResponse)
    }
    expect(rig.events.map(({ event }) => event)).toEqual(['not-sent', 'not-sent', 'not-sent', 'not-sent'])
  })
})

describe('bounds', () => {
  it('one transaction too many is 503', async () => {
    const rig = await startRig({ limits: { transactions: 2 } })
    for (let i = 0; i < 3; i++) {
      const Via = `SIP/2.0/UDP ${rig.peer.at};branch=z9hG4bK-${i};rport`
      await rig.peer.send(rig.signed(rig.request('OPTIONS', { with: { Via } })), rig.at)
    }
    expect((await rig.peer.receive()).message.status).toBe(503)
    expect(rig.decisions.at(-1)).toBe('OPTIONS reject transactions-full')
  })

  it('nobody has the responses of somebody else sent once more', async () => {
    const rig = await answering(200, {
      more: [
        {
          name: 'all',
          judge: () => ({
            verdict: 'accept',
            identity: { kind: 'user', username: 'u', realm: 'r', attributes: {} },
            remove: [],
          }),
        },
      ],
    })
    await rig.peer.send(rig.signed(rig.request('OPTIONS')), rig.at)
    await rig.peer.receive()
    // Loopback is one address: a second one is 127.0.0.2.
    const { createSocket } = await import('node:dgram')
    const other = createSocket('udp4').bind(0, '127.0.0.2')
    const answer = new Promise<string>((resolve) =>
      other.once('message', (bytes) => resolve(bytes.toString())),
    )
    other.send(rig.request('OPTIONS'), rig.at.port, rig.at.address)
    expect(await answer).toMatch(/^SIP\/2.0 482 /)
    other.close()
    expect(rig.decisions).toEqual(['OPTIONS accept peer', 'OPTIONS reject transaction-taken'])
  })
})

const fail = (): never => {
  throw new Error('hook')
}

it('a destroyed stack frees its port, and a request on it calls back', async () => {
  const rig = await startRig()
  await rig.stack.destroy()
  const again = await startRig({ port: rig.at.port })
  expect(again.at.port).toBe(rig.at.port)
  const headers = { from: '<sip:a@b>', to: '<sip:a@b>', 'call-id': '1', cseq: '1 OPTIONS' }
  const got = await new Promise<SipResponse>((resolve) =>
    rig.stack.send({ method: 'OPTIONS', uri: 'sip:a@127.0.0.1', headers }, resolve),
  )
  expect(got.status).toBe(503)
  await expect(startRig({ port: again.at.port })).rejects.toThrow(/EADDRINUSE/)
})
