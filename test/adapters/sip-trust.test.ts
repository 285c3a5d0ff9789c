/**
 * What passes because of something else: responses by their request, CANCEL and ACK by their INVITE, retransmissions by
 * their transaction.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeResponse, type SipRequest, type SipResponse } from '../../src/adapters/sip.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Identity } from '../../src/pipeline/stage.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { agreementOf, keyringOf, signedBytes } from '../support/signed-messages.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'
import { connectTo, startRig, type Rig, type RigOptions } from './sip-rig.ts'

const agreement = agreementOf()
const keyring = keyringOf()
const lenient = agreementOf({ responses: 'if-present' })

async function peer(): Promise<UdpPeer> {
  const opened = await openPeer()
  onTestFinished(() => opened.close())
  return opened
}

/** A stack with a peer that must sign its responses, and one at another port that need not. */
async function twoPeers(options: RigOptions = {}): Promise<{ rig: Rig; strict: UdpPeer; loose: UdpPeer }> {
  const [strict, loose] = await Promise.all([peer(), peer()])
  const rig = await startRig({
    pipeline: createPipeline([
      verifyPeer({ peer: 'strict', source: [strict.at], verifier: createVerifier({ agreement, keyring }) }),
      verifyPeer({
        peer: 'loose',
        source: [loose.at],
        verifier: createVerifier({ agreement: lenient, keyring }),
      }),
    ]),
    signers: [
      { target: [strict.at], signer: createSigner({ agreement, keyring }) },
      { target: [loose.at], signer: createSigner({ agreement: lenient, keyring }) },
    ],
    ...options,
  })
  return { rig, strict, loose }
}

const requestTo = (at: string, method = 'OPTIONS', seq = 1) => ({
  method,
  uri: `sip:a@${at}`,
  headers: {
    from: { uri: 'sip:us@127.0.0.1', params: { tag: 'ours' } },
    to: { uri: 'sip:a@127.0.0.1' },
    'call-id': 'call-1',
    cseq: { seq, method },
  },
})

const answerTo = (request: string, status: string): Buffer =>
  Buffer.from(
    request
      .replace(/^.*?\r\n/, `SIP/2.0 ${status}\r\n`)
      .replace(/X-Auth: .*\r\n/, '')
      .replace(/^(To: .*?)(;tag=.*)?\r$/m, '$1;tag=theirs\r'),
    'latin1',
  )

describe('the response to a request of the app', () => {
  it('H3 comes from where the request went; the app learns from whom', async () => {
    const { rig, strict, loose } = await twoPeers()
    const got: [number, string | undefined][] = []
    const done = new Promise<void>((resolve) =>
      rig.stack.send(requestTo(strict.at), (response, identity?: Identity) => {
        got.push([response.status, identity?.kind === 'peer' ? identity.peer : identity?.kind])
        resolve()
      }),
    )
    const { text } = await strict.receive()
    await loose.send(answerTo(text, '200 OK'), rig.at)
    while (rig.decisions.length === 0) await sleep(5)
    await strict.send(signedBytes(answerTo(text, '404 Not Found'), agreement), rig.at)
    await done
    expect(got).toEqual([[404, 'strict']])
    expect(rig.decisions).toEqual(['200 drop response-from-elsewhere', '404 accept peer'])
  })

  it('H3 comes from the other port of a peer that signers do not tell by port', async () => {
    const { rig, strict, loose } = await twoPeers({ signers: [] })
    const got = new Promise<SipResponse>((resolve) => rig.stack.send(requestTo(strict.at), resolve))
    const { text } = await strict.receive()
    await loose.send(answerTo(text, '200 OK'), rig.at)
    expect((await got).status).toBe(200)
  })

  it('H4 is no recorded one of an earlier request in the call', async () => {
    const { rig, strict } = await twoPeers()
    const first = new Promise<SipResponse>((resolve) => rig.stack.send(requestTo(strict.at), resolve))
    const recorded = signedBytes(answerTo((await strict.receive()).text, '486 Busy'), agreement)
    await strict.send(recorded, rig.at)
    expect((await first).status).toBe(486)
    const second = new Promise<SipResponse>((resolve) =>
      rig.stack.send(requestTo(strict.at, 'OPTIONS', 2), resolve),
    )
    const { text } = await strict.receive()
    const via = /^Via: .*$/m.exec(text)![0]
    await strict.send(Buffer.from(recorded.toString('latin1').replace(/^Via: .*$/m, via), 'latin1'), rig.at)
    await strict.send(signedBytes(answerTo(text, '200 OK'), agreement), rig.at)
    expect((await second).status).toBe(200)
    expect(rig.decisions).toEqual([
      '486 accept peer',
      '486 drop response-to-another-request',
      '200 accept peer',
    ])
  })
})

/** A rig whose app answers INVITEs with `status`, and leaves CANCELs to `cancel`. */
async function called(
  status: number,
  cancel: 'answer' | 'leave' = 'answer',
  options: RigOptions = {},
): Promise<{ rig: Rig; calls: SipRequest[] }> {
  const calls: SipRequest[] = []
  const rig = await startRig({
    handler: (request) => {
      calls.push(request)
      if (request.method === 'INVITE') rig.stack.send(makeResponse(request, status, 'Test'))
      else if (request.method === 'CANCEL' && cancel === 'answer') {
        rig.stack.send(makeResponse(request, 200, 'OK'))
      }
    },
    ...options,
  })
  return { rig, calls }
}

async function invited(rig: Rig): Promise<string> {
  await rig.peer.send(rig.signed(rig.request('INVITE')), rig.at)
  return (await rig.peer.receive()).message.headers('To')[0]!
}

const methods = (calls: readonly SipRequest[]): string[] => calls.map(({ method }) => method)

describe('an ACK without a token', () => {
  it('M1 does not reach the app once the transaction that it ends is over', async () => {
    const { rig, calls } = await called(486)
    const To = await invited(rig)
    await rig.peer.send(rig.request('ACK', { with: { To } }), rig.at)
    // The package forgets it five seconds behind the ACK, the table of INVITEs later.
    await sleep(5300)
    await rig.peer.send(rig.request('ACK', { with: { To } }), rig.at)
    await rig.settle()
    expect(methods(calls)).toEqual(['INVITE'])
    expect(rig.decisions.slice(1, 3)).toEqual(['ACK accept peer', 'ACK accept peer'])
  })

  it('M1 does not reach the app with a blank behind its Call-ID', async () => {
    const { rig, calls } = await called(486)
    const To = await invited(rig)
    const callId = 'a84b4c76e66710@pc33.atlanta.example '
    await rig.peer.send(rig.request('ACK', { with: { To, 'Call-ID': callId } }), rig.at)
    await rig.settle()
    expect(methods(calls)).toEqual(['INVITE'])
  })
})

describe('a CANCEL without a token', () => {
  it('M2 is one transaction, however its Call-ID ends', async () => {
    const { rig, calls } = await called(180, 'leave', { limits: { transactions: 3 } })
    await invited(rig)
    for (let i = 0; i < 10; i++) {
      const callId = `a84b4c76e66710@pc33.atlanta.example${' '.repeat(i)}`
      await rig.peer.send(rig.request('CANCEL', { with: { 'Call-ID': callId } }), rig.at)
    }
    await rig.settle()
    expect(methods(calls)).toEqual(['INVITE', 'CANCEL'])
  })

  it.each<[string, Record<string, string>]>([
    ['another To', { To: '<sip:eve@biloxi.example>' }],
    ['another display name', { From: '"Eve" <sip:alice@atlanta.example>;tag=1928301774' }],
  ])('M2 with %s is refused', async (_what, headers) => {
    const { rig, calls } = await called(180)
    await invited(rig)
    await rig.peer.send(rig.request('CANCEL', { with: headers }), rig.at)
    expect((await rig.peer.receive()).message.status).toBe(403)
    expect(methods(calls)).toEqual(['INVITE'])
  })

  it('M2 brings no headers but those that a CANCEL has; M3 its answer is not signed', async () => {
    const { rig, calls } = await called(180)
    await invited(rig)
    const add = ['Contact: <sip:eve@e>', 'X-Role: admin', 'Subject: s', 'Reason: SIP;cause=200']
    await rig.peer.send(rig.request('CANCEL', { add }), rig.at)
    const { message } = await rig.peer.receive()
    expect([message.status, message.headers('X-Auth')]).toEqual([200, []])
    expect(Object.keys(calls[1]!.headers).toSorted()).toEqual([
      'call-id',
      'cseq',
      'from',
      'max-forwards',
      'reason',
      'to',
      'via',
    ])
  })

  it('M3 with one, its answer is signed', async () => {
    const { rig } = await called(180)
    await invited(rig)
    await rig.peer.send(rig.signed(rig.request('CANCEL')), rig.at)
    expect(rig.verify((await rig.peer.receive()).message).ok).toBe(true)
  })

  it('M2 comes by the transport of its INVITE', async () => {
    const { rig, calls } = await called(180, 'answer', {
      pipeline: createPipeline([
        verifyPeer({
          peer: 'p',
          source: ['127.0.0.1'],
          verifier: createVerifier({ agreement, keyring }),
        }),
      ]),
    })
    const end = await connectTo(rig.at)
    const Via = `SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-x`
    const add = ['Content-Length: 0']
    end.send(signedBytes(rig.request('INVITE', { with: { Via }, add }), agreement))
    await end.receive()
    const { createSocket } = await import('node:dgram')
    const socket = createSocket('udp4').bind(end.socket.localPort, '127.0.0.1')
    onTestFinished(() => void socket.close())
    const answer = new Promise<string>((resolve) => socket.once('message', (bytes) => resolve(String(bytes))))
    socket.send(rig.request('CANCEL', { with: { Via }, add }), rig.at.port, rig.at.address)
    expect(await answer).toMatch(/^SIP\/2.0 403 /)
    expect(methods(calls)).toEqual(['INVITE'])
    end.send(rig.request('CANCEL', { with: { Via }, add }))
    expect((await end.receive()).message.status).toBe(200)
  })
})

it('L2 a peer does not end the retransmissions to another one on the same address', async () => {
  const other = agreementOf({ group: 'trunk-b' })
  const { rig, strict, loose } = await twoPeers({
    handler: (request) => rig.stack.send(makeResponse(request, 486, 'Busy')),
    pipeline: createPipeline([
      verifyPeer({ peer: 'a', verifier: createVerifier({ agreement, keyring }) }),
      verifyPeer({
        peer: 'b',
        verifier: createVerifier({ agreement: { ...other, header: 'X-Other' }, keyring }),
      }),
    ]),
  })
  await strict.send(signedBytes(rig.request('INVITE'), agreement), rig.at)
  const first = await strict.receive()
  const ack = rig.request('ACK', { with: { To: first.message.headers('To')[0]! } })
  await loose.send(signedBytes(ack, { ...other, header: 'X-Other' }), rig.at)
  expect((await strict.receive()).text).toBe(first.text)
  expect(rig.decisions).toEqual(['INVITE accept peer', 'ACK drop transaction-taken'])
})

it('L1 a 2xx that cannot be written leaves a 500 that is repeated, and whose ACK is taken', async () => {
  const rig = await startRig({
    handler: (request) => rig.stack.send(makeResponse(request, 200, 'OK', { headers: { 'x a': '1' } })),
  })
  await rig.peer.send(rig.signed(rig.request('INVITE')), rig.at)
  const first = await rig.peer.receive()
  expect(first.message.status).toBe(500)
  expect((await rig.peer.receive()).text).toBe(first.text)
  await rig.peer.send(rig.request('ACK', { with: { To: first.message.headers('To')[0]! } }), rig.at)
  await rig.settle()
  expect(rig.decisions).toEqual(['INVITE accept peer', 'ACK accept peer', 'OPTIONS reject header-missing'])
})

describe('a request that cannot be sent', () => {
  it.each<[string, Record<string, unknown>]>([
    ['no URI', { uri: undefined }],
    ['a URI that is a number', { uri: 5 }],
    ['no headers', { headers: undefined }],
    ['a Route whose URI has no parameters', { headers: { route: [{ uri: { schema: 'sip', host: 'a' } }] } }],
    ['a Route without a URI', { headers: { route: [{}] } }],
  ])('L5 with %s calls back', async (_what, parts) => {
    const rig = await startRig()
    const message = { ...requestTo(rig.peer.at), ...parts } as unknown as SipRequest
    const got = await new Promise<SipResponse>((resolve) => rig.stack.send(message, resolve))
    expect([400, 416]).toContain(got.status)
  })

  it('L6 may be cleared by the app while it is under way', async () => {
    const rig = await startRig()
    const message = requestTo('127.0.0.1:9') as unknown as SipRequest
    message.uri += ';transport=tcp'
    const got = new Promise<SipResponse>((resolve) => rig.stack.send(message, resolve))
    await sleep(0)
    delete (message as Partial<SipRequest>).headers
    expect(await got).toMatchObject({ status: 503, headers: { 'call-id': 'call-1' } })
  })

  it('L6 is repeated as it was', async () => {
    const rig = await startRig()
    const message = requestTo(rig.peer.at) as unknown as SipRequest
    rig.stack.send(message)
    const { text } = await rig.peer.receive()
    expect(message.headers.via).toHaveLength(1)
    delete (message as Partial<SipRequest>).headers
    expect((await rig.peer.receive()).text).toBe(text)
  })

  it('L3 because the stack was destroyed meanwhile calls back with 503', async () => {
    const rig = await startRig()
    const got = new Promise<SipResponse>((resolve) => rig.stack.send(requestTo(rig.peer.at), resolve))
    await rig.stack.destroy()
    expect((await got).status).toBe(503)
    expect(rig.events).toEqual([])
  })
})
