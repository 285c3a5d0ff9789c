import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  createSip,
  makeResponse,
  type SipRequest,
  type SipResponse,
  type SipStack,
} from '../../src/adapters/sip.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { describePeers, freePorts, startKamailio, type Running } from '../support/peers.ts'
import { placed, withKeys } from './documented.ts'
import { headerOf, openEnd, type Received, type UdpEnd } from './endpoint.ts'
import { stateful } from './kamailio-stateful.ts'
import { GROUP, modparamsOf, ringOf } from './keys.ts'

/** The agreement of kamailio.cfg in the document, as it stands on our side. */
const agreement = defineAgreement({
  header: 'X-Auth',
  group: GROUP,
  algorithm: 'sha256',
  request: {
    sender: '$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)',
    receiver: '$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)',
  },
  response: {
    sender: '$Ri:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
    receiver: '$si:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)',
  },
})

// kamailio.cfg drops a response whose token does not fit: what comes through it was verified there, in onreply_route.
const status = ({ text }: Received): string => text.slice(8, 11)

const KINDS = {
  'that forwards without state, and signs whatever passes': (config: string) => config,
  'that relays by transaction, and makes CANCEL and the ACK of a failure itself, unsigned': stateful,
} as const

for (const [kind, prepare] of Object.entries(KINDS)) {
  describePeers(`an app on the package sip and a kamailio ${kind}`, ['kamailio'], () => {
    // With state, Kamailio would ask again for what it dropped.
    const statelessIt = prepare === stateful ? undefined : it
    const events: string[] = []
    const decisions: string[] = []
    let core: UdpEnd
    let kamailio: Endpoint
    let running: Running
    let stack: SipStack
    let at: Endpoint
    /** Signs with a key that Kamailio does not have while it is set. */
    let signWrongly = false
    let ringing: SipRequest | undefined

    beforeAll(async () => {
      const [a, b, c] = await freePorts(3)
      core = await openEnd({ address: '127.0.0.1', port: a! })
      kamailio = { address: '127.0.0.2', port: b! }
      const verifier = createVerifier({ agreement, keyring: ringOf('newest', 'older') })
      const signer = createSigner({ agreement, keyring: () => ringOf(signWrongly ? 'removed' : 'newest') })
      stack = createSip(
        {
          address: '127.0.0.3',
          port: c!,
          pipeline: createPipeline([verifyPeer({ peer: 'kamailio', source: [kamailio.address], verifier })]),
          signers: [{ target: [kamailio.address], signer }],
          onDecision: ({ decision, message }) => {
            const how = decision.stage === 'adapter' ? ' by its INVITE' : ''
            decisions.push(`${message?.method} ${decision.verdict}${how}`)
          },
        },
        (request, _remote, identity) => {
          const who = identity.kind === 'peer' ? `${identity.peer} ${identity.key.name}` : identity.kind
          events.push(`${request.method} ${who}`)
          if (request.method === 'ACK') return
          if (request.method === 'INVITE') {
            request.headers.to.params['tag'] = 'app'
            stack.send(makeResponse(request, 180, 'Ringing'))
            ringing = request
            if (request.uri.includes('wait@')) return
          }
          const contact = [{ uri: `sip:app@${at.address}:${at.port}` }]
          stack.send(makeResponse(request, 200, 'OK', { headers: { contact } }))
          if (request.method === 'CANCEL') stack.send(makeResponse(ringing!, 487, 'Request Terminated'))
        },
      )
      at = await stack.ready
      const places = { kamailio, core: core.local, edge: at }
      const config = withKeys(placed('kamailio.cfg', places), modparamsOf('newest', 'older'))
      running = await startKamailio(prepare(config))
    })
    afterAll(async () => {
      await stack?.destroy()
      await running?.stop()
      core?.close()
    })

    /** A request of the core, through Kamailio to the app. */
    function request(
      method: string,
      cseq: number,
      call: string,
      more: Partial<Record<'to' | 'route' | 'user', string>> = {},
    ): Buffer {
      const { to = '<sip:bob@biloxi.example>', route = '', user = 'bob' } = more
      // A CANCEL, and the ACK of a failure, share the branch of their INVITE.
      const transaction = user === 'wait' ? 'INVITE' : method
      const lines = [
        `${method} sip:${user}@${at.address}:${at.port} SIP/2.0`,
        `Via: SIP/2.0/UDP ${core.local.address}:${core.local.port};branch=z9hG4bK${call}${transaction}`,
        ...(route === '' ? [] : [`Route: ${route}`]),
        'Max-Forwards: 70',
        `From:  "Alice"  <sip:alice@atlanta.example>;tag=${call}`,
        `To: ${to}`,
        `Call-ID: ${call}@atlanta.example`,
        `CSeq: ${cseq}   ${method}`,
        `Contact: <sip:alice@${core.local.address}:${core.local.port}>`,
        'Content-Length: 0',
        '',
        '',
      ]
      return Buffer.from(lines.join('\r\n'))
    }

    async function next(): Promise<Received> {
      for (;;) {
        const received = await core.next()
        if (received === undefined) throw new Error(`nothing came:\n${running.output()}`)
        // 100 is Kamailio's own.
        if (!received.text.startsWith('SIP/2.0 100')) return received
      }
    }

    it('kamailio signs INVITE, ACK and BYE, the app accepts; it signs 180 and 200, kamailio accepts', async () => {
      core.send(request('INVITE', 1, 'good'), kamailio)
      const [early, ok] = [await next(), await next()]
      expect([status(early), status(ok)]).toEqual(['180', '200'])
      // The token went no further than Kamailio.
      expect(headerOf(ok.text, 'X-Auth')).toBeUndefined()
      const more = { to: headerOf(ok.text, 'To')!, route: headerOf(ok.text, 'Record-Route')! }
      core.send(request('ACK', 1, 'good', more), kamailio)
      core.send(request('BYE', 2, 'good', more), kamailio)
      expect(status(await next())).toBe('200')
      expect(events.splice(0)).toEqual([
        'INVITE kamailio newest',
        'ACK kamailio newest',
        'BYE kamailio newest',
      ])
      expect(decisions.splice(0)).toEqual(['INVITE accept', 'ACK accept', 'BYE accept'])
    })

    it('a call is cancelled, and its failure acknowledged', async () => {
      core.send(request('INVITE', 1, 'wait', { user: 'wait' }), kamailio)
      const early = await next()
      expect(status(early)).toBe('180')
      core.send(request('CANCEL', 1, 'wait', { user: 'wait' }), kamailio)
      expect([status(await next()), status(await next())].toSorted()).toEqual(['200', '487'])
      core.send(request('ACK', 1, 'wait', { user: 'wait', to: headerOf(early.text, 'To')! }), kamailio)
      // Behind the ACK, on the same way.
      core.send(request('OPTIONS', 2, 'wait'), kamailio)
      expect(status(await next())).toBe('200')
      expect(events.splice(0)).toEqual([
        'INVITE kamailio newest',
        'CANCEL kamailio newest',
        'OPTIONS kamailio newest',
      ])
      const how = prepare === stateful ? ' by its INVITE' : ''
      expect(decisions.splice(0)).toEqual([
        'INVITE accept',
        `CANCEL accept${how}`,
        `ACK accept${how}`,
        'OPTIONS accept',
      ])
    })

    statelessIt?.('kamailio drops what the app signs with a key that it does not have', async () => {
      signWrongly = true
      core.send(request('OPTIONS', 1, 'wrong'), kamailio)
      while (decisions.length === 0) await new Promise(setImmediate)
      signWrongly = false
      core.send(request('OPTIONS', 1, 'right'), kamailio)
      const first = await next()
      // eslint-disable-next-line vitest/no-standalone-expect -- it stands in a test where there is one
      expect([status(first), headerOf(first.text, 'Call-ID')]).toEqual(['200', 'right@atlanta.example'])
      events.length = decisions.length = 0
    })

    it('the app refuses what kamailio did not sign, and does not sign its refusal', async () => {
      const stranger = await openEnd({ address: kamailio.address, port: (await freePorts(1))[0]! })
      stranger.send(request('INVITE', 1, 'stranger'), at)
      const refusal = await stranger.next()
      stranger.close()
      expect(refusal?.text.slice(0, 21)).toBe('SIP/2.0 403 Forbidden')
      expect(headerOf(refusal!.text, 'X-Auth')).toBeUndefined()
      expect(events).toEqual([])
      expect(decisions.splice(0)).toEqual(['INVITE reject'])
    })

    it('kamailio accepts the request of the app, signs the response of the core, and the app accepts that', async () => {
      const answer = new Promise<SipResponse>((resolve) =>
        stack.send(
          {
            method: 'OPTIONS',
            uri: `sip:bob@${kamailio.address}:${kamailio.port}`,
            headers: {
              'max-forwards': '70',
              from: { name: '"The app"', uri: 'sip:app@biloxi.example', params: { tag: 'app' } },
              to: { uri: 'sip:bob@biloxi.example' },
              'call-id': 'out@biloxi.example',
              cseq: { seq: 7, method: 'OPTIONS' },
            },
          },
          (response) => {
            if (response.status >= 200) resolve(response)
          },
        ),
      )
      const { text, bytes } = await next()
      expect(text).toMatch(/^OPTIONS sip:bob@/)
      expect(headerOf(text, 'X-Auth')).toBeUndefined()
      const lines = bytes
        .toString('latin1')
        .split('\r\n')
        .filter((line) => /^(?:Via|From|To|Call-ID|CSeq):/i.test(line))
        .map((line) => (line.startsWith('To:') ? `${line};tag=core` : line))
      core.send(
        Buffer.from(['SIP/2.0 200 OK', ...lines, 'Content-Length: 0', '', ''].join('\r\n'), 'latin1'),
        kamailio,
      )
      expect(await answer).toMatchObject({ status: 200, headers: { to: { params: { tag: 'core' } } } })
      expect(decisions.splice(0)).toEqual(['OPTIONS accept'])
    })
  })
}
