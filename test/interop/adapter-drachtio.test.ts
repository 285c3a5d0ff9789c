import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import Srf from 'drachtio-srf'
import {
  guardDialogs,
  guardDrachtio,
  signDrachtio,
  signDrachtioResponses,
  type Authenticated,
} from '../../src/adapters/drachtio.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { startFakeDrachtio, type FakeDrachtio } from '../support/fake-drachtio-server.ts'
import { describePeers, freePorts, startKamailio, type Running } from '../support/peers.ts'
import { placed, withKeys } from './documented.ts'
import { headerOf, openEnd, type Received, type UdpEnd } from './endpoint.ts'
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
const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n'

// kamailio.cfg drops a response whose token does not fit: what comes through it was verified there, in onreply_route.
describePeers(
  'kamailio and an application on drachtio-srf; the drachtio server is a stand-in that speaks its documented wire protocol',
  ['kamailio'],
  () => {
    const events: string[] = []
    let core: UdpEnd
    let kamailio: Endpoint
    let running: Running
    let server: FakeDrachtio
    let srf: Srf
    /** Signs with another key while it is set. */
    let signWrongly = false

    beforeAll(async () => {
      const [a, b, c] = await freePorts(3)
      core = await openEnd({ address: '127.0.0.1', port: a! })
      kamailio = { address: '127.0.0.2', port: b! }
      server = await startFakeDrachtio('127.0.0.3', c)
      const places = { kamailio, core: core.local, edge: server.sip }
      running = await startKamailio(withKeys(placed('kamailio.cfg', places), modparamsOf('newest', 'older')))
      srf = new Srf()
      const layers = [
        signDrachtioResponses({ agreement, keyring: () => ringOf(signWrongly ? 'removed' : 'newest') }),
        guardDrachtio(
          createPipeline([
            verifyPeer({
              peer: 'kamailio',
              source: [kamailio.address],
              verifier: createVerifier({ agreement, keyring: ringOf('newest', 'older') }),
            }),
          ]),
        ),
      ]
      for (const layer of layers) srf.use(layer)
      guardDialogs(srf, ...layers)
      srf.use('invite', async (req: Srf.SrfRequest & Authenticated, res: Srf.SrfResponse) => {
        const { identity } = req
        events.push(
          identity?.kind === 'peer' ? `INVITE ${identity.peer} ${identity.key.name}` : 'INVITE of nobody',
        )
        res.send(180)
        const dialog = await srf.createUAS(req, res, { localSdp: SDP })
        events.push('up')
        dialog.on('ack', () => void events.push('ACK'))
        dialog.on('destroy', () => void events.push('BYE'))
      })
      const connected = new Promise((resolve) => srf.on('connect', resolve))
      void srf.connect({ host: server.host, port: server.port, secret: server.secret })
      await connected
      while (!server.routed.has('INVITE')) await new Promise((resolve) => setTimeout(resolve, 5))
    })
    afterAll(async () => {
      srf?.disconnect()
      await server?.close()
      await running?.stop()
      core?.close()
    })

    /** A request of the core, through Kamailio to the application. */
    function request(
      method: string,
      cseq: number,
      call: string,
      to = '<sip:bob@biloxi.example>',
      route = '',
    ): Buffer {
      const lines = [
        `${method} sip:bob@${server.sip.address}:${server.sip.port} SIP/2.0`,
        `Via: SIP/2.0/UDP ${core.local.address}:${core.local.port};branch=z9hG4bK${call}${method}`,
        ...(route === '' ? [] : [`Route: ${route}`]),
        'Max-Forwards: 70',
        `From:  "Alice"  <sip:alice@atlanta.example>;tag=${call}`,
        `To: ${to}`,
        `Call-ID: ${call}@atlanta.example`,
        `CSeq: ${cseq} ${method}`,
        `Contact: <sip:alice@${core.local.address}:${core.local.port}>`,
        'Content-Length: 0',
        '',
        '',
      ]
      return Buffer.from(lines.join('\r\n'))
    }

    async function next(milliseconds?: number): Promise<Received> {
      const received = await core.next(milliseconds)
      if (received === undefined) throw new Error(`nothing came:\n${running.output()}`)
      return received
    }

    /** The next response that is none of Kamailio's own. */
    async function response(): Promise<Received> {
      for (;;) {
        const received = await next()
        if (!received.text.startsWith('SIP/2.0 100')) return received
      }
    }

    it('kamailio signs INVITE, ACK and BYE, the application accepts; it signs 180 and 200, kamailio accepts', async () => {
      core.send(request('INVITE', 1, 'good'), kamailio)
      const ringing = await response()
      const ok = await response()
      expect([ringing, ok].map(({ text }) => text.slice(8, 11))).toEqual(['180', '200'])
      // The token went no further than Kamailio.
      expect(headerOf(ok.text, 'X-Auth')).toBeUndefined()
      const [to, route] = [headerOf(ok.text, 'To')!, headerOf(ok.text, 'Record-Route')!]
      core.send(request('ACK', 1, 'good', to, route), kamailio)
      // drachtio-srf tells of the dialog a moment later than it sends the 200.
      await vi.waitFor(() => expect(events).toContain('ACK'))
      core.send(request('BYE', 2, 'good', to, route), kamailio)
      expect((await response()).text.slice(0, 11)).toBe('SIP/2.0 200')
      expect(events.splice(0)).toEqual(['INVITE kamailio newest', 'up', 'ACK', 'BYE'])
    })

    it('kamailio drops what the application signs with a key that it does not have', async () => {
      signWrongly = true
      core.send(request('INVITE', 1, 'wrong'), kamailio)
      await vi.waitFor(() => expect(events).toEqual(['INVITE kamailio newest', 'up']))
      events.length = 0
      // Behind the 180 and 200 comes a refusal of the server itself, for a method that the application did not ask for.
      core.send(request('OPTIONS', 1, 'unknown'), kamailio)
      const first = await response()
      expect([first.text.slice(8, 11), headerOf(first.text, 'CSeq')]).toEqual(['503', '1 OPTIONS'])
      signWrongly = false
    })

    it('the application refuses what kamailio did not sign, and does not sign its refusal', async () => {
      const stranger = await openEnd({ address: kamailio.address, port: (await freePorts(1))[0]! })
      stranger.send(request('INVITE', 1, 'stranger'), server.sip)
      const refusal = await stranger.next()
      stranger.close()
      expect(refusal?.text.slice(0, 21)).toBe('SIP/2.0 403 Forbidden')
      expect(headerOf(refusal!.text, 'X-Auth')).toBeUndefined()
      expect(events.splice(0)).toEqual([])
    })

    it('the application signs an INVITE for createUAC, kamailio accepts it, and one that was changed not', async () => {
      const signer = signDrachtio({ agreement, keyring: ringOf('newest'), local: server.sip })
      const uri = `sip:bob@${kamailio.address}:${kamailio.port}`
      const call = async (
        spoil: (headers: Record<string, string>) => Record<string, string>,
      ): Promise<string> => {
        const signed = signer.outgoing(uri, { headers: { From: '<sip:alice@biloxi.example>' }, body: SDP })
        if (!signed.ok) throw new Error(signed.reason)
        return srf
          .createUAC(uri, { headers: spoil(signed.headers), localSdp: SDP })
          .then(() => 'up')
          .catch((error: unknown) => String(error))
      }
      expect(await call((headers) => ({ ...headers, CSeq: '2 INVITE' }))).toContain('403')
      const outcome = call((headers) => headers)
      const invite = await next()
      expect(invite.text).toMatch(/^INVITE sip:bob@/)
      expect(headerOf(invite.text, 'X-Auth')).toBeUndefined()
      const lines = invite.text
        .split('\r\n')
        .filter((line) => /^(?:Via|From|To|Call-ID|CSeq|Record-Route):/i.test(line))
      const busy = ['SIP/2.0 486 Busy Here', ...lines, 'Content-Length: 0', '', ''].join('\r\n')
      core.send(Buffer.from(busy, 'latin1'), kamailio)
      expect(await outcome).toContain('486')
    })
  },
)
