import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type Srf from 'drachtio-srf'
import {
  guardDialogs,
  guardDrachtio,
  signDrachtio,
  signDrachtioResponses,
  type Authenticated,
} from '../../src/adapters/drachtio.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Stage } from '../../src/pipeline/stage.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { startDrachtioApp } from '../support/drachtio-app.ts'
import { contextOf } from '../support/messages.ts'
import { agree, ringOf, signedBytes } from '../support/parties.ts'
import { openPeer, type Received, type UdpPeer } from '../support/udp-peer.ts'

const keyring = ringOf()
const now = (): Date => new Date('2026-11-21T12:00:00Z')
// Both ends have 127.0.0.1: the port tells them apart.
const templates = {
  request: {
    sender: '$Rp:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$rb',
    receiver: '$sp:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$rb',
  },
  response: {
    sender: '$Rp:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq):$rb',
    receiver: '$sp:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq):$rb',
  },
}
const agreement = agree(templates)
const verifier = createVerifier({ agreement, keyring, now })
const pipeline = createPipeline([verifyPeer({ peer: 'carrier', verifier })])

interface Call {
  readonly method: string
  readonly cseq?: number
  readonly to?: string
  readonly body?: string
  readonly add?: readonly string[]
  readonly branch?: string
}

async function openCaller(): Promise<UdpPeer> {
  const peer = await openPeer()
  onTestFinished(() => peer.close())
  return peer
}

/** A request of the caller, not signed. */
function plain(
  caller: UdpPeer,
  server: Endpoint,
  { method, cseq = 1, to, body = '', add = [], branch }: Call,
): Buffer {
  const lines = [
    `${method} sip:bob@${server.address}:${server.port} SIP/2.0`,
    `Via: SIP/2.0/UDP ${caller.at};branch=z9hG4bK${branch ?? `${method}${cseq}`};rport`,
    'Max-Forwards: 70',
    'From: "Zoë" <sip:zoë@atlanta.example>;tag=caller',
    `To: ${to ?? '<sip:bob@biloxi.example>'}`,
    `Call-ID: call@${caller.at}`,
    `CSeq: ${cseq} ${method}`,
    `Contact: <sip:zoe@${caller.at}>`,
    ...add,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ]
  return Buffer.from(lines.join('\r\n'))
}

function signed(bytes: Buffer, caller: UdpPeer): Buffer {
  // The caller's own address is what the receiver sees as source.
  return signedBytes(bytes, {
    agreement: { ...templates, request: templates.request.sender.replace('$Rp', String(caller.local.port)) },
    now: now(),
  })
}

/** What the caller's verifier says of a response. */
const verdictOf = (response: Received): string => {
  const result = verifier.verify(contextOf(response.message, { source: response.from }))
  return result.ok ? 'accepted' : result.reason
}
const gone = (): Promise<never> => Promise.reject(new Error('the database has gone'))
const status = ({ text }: Received): string => text.slice(8, text.indexOf('\r\n'))
const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n'

describe('drachtio-srf, with a stand-in for its server', () => {
  it('accepts a signed request, tells the application whom it is from, and signs what it answers', async () => {
    const caller = await openCaller()
    const identities: unknown[] = []
    const { server } = await startDrachtioApp((srf) => {
      srf.use(signDrachtioResponses({ agreement, keyring, now }))
      srf.use(guardDrachtio(pipeline))
      srf.use('message', (req: Srf.SrfRequest & Authenticated, res) => {
        identities.push(req.identity, req.get('X-Auth'))
        res.send(200, { headers: { 'X-Note': 'thanks' } })
      })
    })
    await caller.send(
      signed(plain(caller, server.sip, { method: 'MESSAGE', body: 'hello' }), caller),
      server.sip,
    )
    const answer = await caller.receive()
    expect(status(answer)).toBe('200 OK')
    expect(answer.text).toContain('X-Note: thanks')
    expect(verdictOf(answer)).toBe('accepted')
    expect(identities).toEqual([{ kind: 'peer', peer: 'carrier', key: expect.anything() }, undefined])
  })

  it('refuses what is not signed, or not rightly, before any application: 403 with the phrase alone, no token', async () => {
    const caller = await openCaller()
    let reached = 0
    const { server } = await startDrachtioApp((srf) => {
      srf.use(signDrachtioResponses({ agreement, keyring, now }))
      srf.use(guardDrachtio(pipeline))
      srf.use('message', (_req, res) => {
        reached++
        res.send(200)
      })
    })
    const good = signed(plain(caller, server.sip, { method: 'MESSAGE' }), caller)
    const wrong = [
      plain(caller, server.sip, { method: 'MESSAGE', cseq: 2 }),
      Buffer.from(good.toString().replace('sip:zoë', 'sip:mallory').replace(';branch=', ';branch=x')),
      // Two headers that drachtio-srf files under two names.
      Buffer.from(
        good.toString().replace('X-Auth:', 'x-auth: 0\r\nX-Auth:').replace(';branch=', ';branch=y'),
      ),
    ]
    for (const bytes of wrong) {
      await caller.send(bytes, server.sip)
      const answer = await caller.receive()
      expect(status(answer)).toBe('403 Forbidden')
      expect(answer.text).not.toMatch(/x-auth|mismatch|missing|repeated/i)
    }
    expect(reached).toBe(0)
  })

  it('challenges where a stage does: one row a challenge', async () => {
    const caller = await openCaller()
    const digest: Stage = {
      name: 'digest',
      judge: async ({ message }) =>
        message.headers('Authorization').length > 0
          ? {
              verdict: 'accept',
              identity: { kind: 'user', username: 'zoe', realm: 'a', attributes: {} },
              remove: [],
            }
          : {
              verdict: 'challenge',
              status: 401,
              headers: ['SHA-256', 'MD5'].map((algorithm) => [
                'WWW-Authenticate',
                `Digest realm="a", nonce="n", algorithm=${algorithm}`,
              ]),
            },
    }
    const { server } = await startDrachtioApp((srf) => {
      srf.use(guardDrachtio(createPipeline([digest])))
      srf.use('register', (req: Srf.SrfRequest & Authenticated, res) =>
        res.send(200, { headers: { 'X-User': req.identity?.kind === 'user' ? req.identity.username : '' } }),
      )
    })
    await caller.send(plain(caller, server.sip, { method: 'REGISTER' }), server.sip)
    const challenge = await caller.receive()
    expect(status(challenge)).toBe('401 Unauthorized')
    expect(challenge.message.headers('WWW-Authenticate')).toEqual(
      ['SHA-256', 'MD5'].map((algorithm) => `Digest realm="a", nonce="n", algorithm=${algorithm}`),
    )
    const add = ['Authorization: Digest username="zoe"']
    await caller.send(plain(caller, server.sip, { method: 'REGISTER', cseq: 2, add }), server.sip)
    const answer = await caller.receive()
    expect([status(answer), answer.message.headers('X-User')]).toEqual(['200 OK', ['zoe']])
  })

  it('answers 503 where a stage rejects', async () => {
    const caller = await openCaller()
    const { server } = await startDrachtioApp((srf) => {
      srf.use(guardDrachtio(createPipeline([{ name: 'database', judge: gone }])))
      srf.use('options', (_req, res) => res.send(200))
    })
    await caller.send(plain(caller, server.sip, { method: 'OPTIONS' }), server.sip)
    expect(status(await caller.receive())).toBe('503 Service Unavailable')
  })

  it('guards a call from end to end: INVITE, ACK and BYE must be signed, every response is', async () => {
    const caller = await openCaller()
    const events: string[] = []
    const { server } = await startDrachtioApp((srf) => {
      const layers = [signDrachtioResponses({ agreement, keyring, now }), guardDrachtio(pipeline)]
      for (const layer of layers) srf.use(layer)
      guardDialogs(srf, ...layers)
      srf.use('invite', async (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
        res.send(180)
        const dialog = await srf.createUAS(req, res, { localSdp: SDP })
        dialog.on('ack', () => void events.push('ack'))
        dialog.on('destroy', () => void events.push('destroy'))
      })
    })
    const exchange = async (bytes: Buffer): Promise<Received> => {
      await caller.send(bytes, server.sip)
      return caller.receive()
    }
    const invite = plain(caller, server.sip, { method: 'INVITE', body: SDP })
    const ringing = await exchange(signed(invite, caller))
    const ok = await caller.receive()
    expect([ringing, ok].map((response) => [status(response), verdictOf(response)])).toEqual([
      ['180 Ringing', 'accepted'],
      ['200 OK', 'accepted'],
    ])
    const to = ok.message.headers('To')[0]!
    expect(ringing.message.headers('To')).toEqual([to])

    const inside = (method: string, cseq: number, branch: string): Buffer =>
      plain(caller, server.sip, { method, cseq, to, branch })
    await caller.send(inside('ACK', 1, 'a'), server.sip)
    await caller.send(signed(inside('ACK', 1, 'b'), caller), server.sip)
    const refused = await exchange(inside('BYE', 2, 'c'))
    expect([status(refused), verdictOf(refused), events]).toEqual([
      '403 Forbidden',
      'header-missing',
      ['ack'],
    ])
    const bye = await exchange(signed(inside('BYE', 2, 'd'), caller))
    expect([status(bye), verdictOf(bye), events]).toEqual(['200 OK', 'accepted', ['ack', 'destroy']])
  })

  it('lets no other peer end a call, however good its token', async () => {
    const [caller, other] = [await openCaller(), await openCaller()]
    const events: string[] = []
    const anybody: Stage = {
      name: 'anybody',
      judge: ({ source }) => {
        const peer = source.port === caller.local.port ? 'carrier' : 'other'
        return {
          verdict: 'accept',
          identity: { kind: 'peer', peer, key: { group: peer, name: 'k' } },
          remove: [],
        }
      },
    }
    const { server } = await startDrachtioApp((srf) => {
      const guard = guardDrachtio(createPipeline([anybody]))
      srf.use(guard)
      guardDialogs(srf, guard)
      srf.use('invite', async (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
        const dialog = await srf.createUAS(req, res, { localSdp: SDP })
        dialog.on('destroy', () => void events.push('destroy'))
      })
    })
    await caller.send(plain(caller, server.sip, { method: 'INVITE', body: SDP }), server.sip)
    const to = (await caller.receive()).message.headers('To')[0]!
    const bye = (branch: string): Buffer => plain(caller, server.sip, { method: 'BYE', cseq: 2, to, branch })
    // Its response goes where it came from, as rport wants it.
    await other.send(bye('x'), server.sip)
    expect([status(await other.receive()), events]).toEqual(['403 Forbidden', []])
    await caller.send(bye('y'), server.sip)
    expect([status(await caller.receive()), events]).toEqual(['200 OK', ['destroy']])
  })

  it('refuses an address that the host would spend seconds on: 400, at once', async () => {
    const caller = await openCaller()
    let reached = 0
    const { server } = await startDrachtioApp((srf) => {
      srf.use(guardDrachtio(pipeline))
      srf.use('invite', (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
        reached++
        srf.createUAS(req, res, { localSdp: SDP }).catch(() => {})
      })
    })
    const good = signed(plain(caller, server.sip, { method: 'INVITE', body: SDP }), caller).toString()
    await caller.send(
      Buffer.from(good.replace('Contact: <', `Contact: <${' '.repeat(1600)}\r\nX-Rest: `)),
      server.sip,
    )
    expect([status(await caller.receive()), reached]).toEqual(['400 Bad Request', 0])
  })

  it('hears of a CANCEL as an event of the INVITE, which nobody can verify: the server has matched and answered it', async () => {
    const caller = await openCaller()
    const events: string[] = []
    const { server } = await startDrachtioApp((srf) => {
      srf.use(signDrachtioResponses({ agreement, keyring, now }))
      srf.use(guardDrachtio(pipeline))
      srf.use('invite', (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
        req.on('cancel', () => void events.push('cancel'))
        res.send(180)
      })
    })
    await caller.send(
      signed(plain(caller, server.sip, { method: 'INVITE', branch: 'x' }), caller),
      server.sip,
    )
    expect(status(await caller.receive())).toBe('180 Ringing')
    await caller.send(plain(caller, server.sip, { method: 'CANCEL', branch: 'x' }), server.sip)
    const answers = [await caller.receive(), await caller.receive()]
    expect(answers.map((response) => [status(response), verdictOf(response)])).toEqual([
      ['200 OK', 'header-missing'],
      ['487 Request Terminated', 'header-missing'],
    ])
    await vi.waitFor(() => expect(events).toEqual(['cancel']))
  })

  it('tells an application of the BYE that the server makes itself', async () => {
    const caller = await openCaller()
    const events: string[] = []
    const { server } = await startDrachtioApp((srf) => {
      srf.use(guardDrachtio(pipeline))
      srf.use('bye', (req: Srf.SrfRequest & Authenticated) => {
        events.push(`${req.source} ${req.identity?.kind}`)
      })
      srf.use('options', (_req, res) => res.send(200))
    })
    const text = plain(caller, server.sip, { method: 'BYE' }).toString()
    server.inject(
      ['sip', 'application', text.length, 'udp', '127.0.0.1', '5060', 't', 'unsolicited', 'd'],
      text,
    )
    // A round trip behind it.
    await caller.send(signed(plain(caller, server.sip, { method: 'OPTIONS' }), caller), server.sip)
    await caller.receive()
    expect(events).toEqual(['application undefined'])
  })
})

/** A response of the peer. */
function answer(request: Received, status: string): Buffer {
  const lines = (name: string): string[] => request.message.headers(name).map((value) => `${name}: ${value}`)
  return Buffer.from(
    [
      `SIP/2.0 ${status}`,
      ...lines('Via'),
      ...lines('From'),
      `To: ${request.message.headers('To')[0]};tag=peer`,
      ...lines('Call-ID'),
      ...lines('CSeq'),
      'Contact: <sip:peer@127.0.0.1>',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
    'latin1',
  )
}

describe('requests through drachtio-srf, with a stand-in for its server', () => {
  it('createUAC: the INVITE is accepted by its receiver', async () => {
    const peer = await openCaller()
    const { srf, server } = await startDrachtioApp((srf) => srf.use('options', (_req, res) => res.send(200)))
    const uri = `sip:bob@${peer.at}`
    const signer = signDrachtio({ agreement, keyring, now, local: server.sip })
    const signed = signer.outgoing(uri, {
      headers: { From: '"Zoë" <sip:zoë@atlanta.example>' },
      body: SDP,
    })
    if (!signed.ok) throw new Error(signed.reason)
    const call = srf
      .createUAC(uri, { headers: signed.headers, localSdp: SDP })
      .catch((error: unknown) => String(error))
    const invite = await peer.receive()
    expect(invite.message.method).toBe('INVITE')
    expect(verdictOf(invite)).toBe('accepted')
    await peer.send(answer(invite, '486 Busy Here'), invite.from)
    expect((await peer.receive()).message.method).toBe('ACK')
    expect(await call).toContain('486')
  })

  it.each(['200 OK', '480 Temporarily Unavailable'])(
    'createB2BUA: in and out again, signed on both sides: %s',
    async (outcome) => {
      const [caller, callee] = [await openCaller(), await openCaller()]
      const uri = `sip:bob@${callee.at}`
      const { server } = await startDrachtioApp((srf) => {
        srf.use(signDrachtioResponses({ agreement, keyring, now }))
        srf.use(guardDrachtio(pipeline))
        srf.use('invite', (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
          const signer = signDrachtio({ agreement, keyring, now, local: server.sip })
          const signed = signer.outgoing(uri, {
            headers: { From: '<sip:zoe@atlanta.example>' },
            body: req.msg.body,
          })
          if (!signed.ok) return res.send(500)
          // Everything is copied, yet not the token of the other side.
          const options = { headers: signed.headers, proxyRequestHeaders: ['all'] }
          srf.createB2BUA(req, res, uri, options).catch(() => {})
        })
      })
      await caller.send(
        signed(plain(caller, server.sip, { method: 'INVITE', body: SDP, add: ['X-Other: kept'] }), caller),
        server.sip,
      )
      const invite = await callee.receive()
      expect(verdictOf(invite)).toBe('accepted')
      expect(invite.message.headers('X-Auth')).toHaveLength(1)
      expect(invite.message.headers('X-Other')).toEqual(['kept'])
      await callee.send(answer(invite, outcome), invite.from)
      const back = await caller.receive()
      expect([status(back), verdictOf(back)]).toEqual([outcome, 'accepted'])
    },
  )

  it('proxyRequest: the request is accepted by the next hop, its response comes back as it is', async () => {
    const [caller, peer] = [await openCaller(), await openCaller()]
    const { server } = await startDrachtioApp((srf) => {
      srf.use('message', (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
        const target = `sip:${peer.at}`
        const signed = signDrachtio({ agreement, keyring, now, local: server.sip }).proxied(req, target)
        if (!signed.ok) return res.send(500)
        const options = { headers: signed.headers } as Srf.ProxyRequestOptions
        srf.proxyRequest(req, target, options, () => {})
      })
    })
    await caller.send(plain(caller, server.sip, { method: 'MESSAGE', body: 'hello' }), server.sip)
    const onward = await peer.receive()
    expect(onward.text).toContain(`MESSAGE sip:${peer.at} SIP/2.0`)
    expect(verdictOf(onward)).toBe('accepted')
    await peer.send(answer(onward, '202 Accepted'), onward.from)
    expect(status(await caller.receive())).toBe('202 Accepted')
  })
})
