import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { viewOf } from '../../src/message/view.ts'
import type { Endpoint, MessageContext, Tolerance } from '../../src/message/types.ts'
import { defineAgreement, type Agreement } from '../../src/xkeys/agreement.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { contextOf } from '../support/messages.ts'
import { describePeers, freePorts, startKamailio, type Running } from '../support/peers.ts'
import {
  REQUEST_TEMPLATES,
  RESPONSE_TEMPLATES,
  difficultRequests,
  difficultResponses,
  receiver,
  sender,
} from './difficult.ts'
import { placed, withDefine, withKeys } from './documented.ts'
import { headerOf, openEnd, type UdpEnd } from './endpoint.ts'
import { GROUP, KEYS, modparamsOf, ringOf, type KeyName } from './keys.ts'
import { call, forwardedResponse } from './messages.ts'

const ALGORITHMS = ['sha256', 'sha384', 'sha512'] as const

const tokenHeader = (algorithm: string, index: number): string => `X-T-${algorithm}-${index}`

/** What arrived at `end` from Kamailio. */
function arrived(bytes: Buffer, source: Endpoint, end: UdpEnd, tolerance: Tolerance): MessageContext {
  return contextOf(bytes, { source, local: end.local }, tolerance)
}

const adds = (templates: readonly string[]): string =>
  ALGORITHMS.flatMap((algorithm) =>
    templates.map(
      (template, index) =>
        `auth_xkeys_add("${tokenHeader(algorithm, index)}", "${GROUP}", "${algorithm}", "${sender(template)}");\n`,
    ),
  ).join('')

const verifiers = (direction: 'request' | 'response', templates: readonly string[]) =>
  ALGORITHMS.flatMap((algorithm) =>
    templates.map((template, index) => {
      const agreement: Agreement = defineAgreement({
        header: tokenHeader(algorithm, index),
        group: GROUP,
        algorithm,
        [direction]: receiver(template),
      })
      return createVerifier({ agreement, keyring: ringOf('older', 'newest') })
    }),
  )

describePeers('kamailio signs, we verify', ['kamailio'], () => {
  let core: UdpEnd
  let edge: UdpEnd
  let kamailio: Endpoint
  let server: Running | undefined

  beforeAll(async () => {
    const [a, b, c] = await freePorts(3)
    core = await openEnd({ address: '127.0.0.1', port: a! })
    kamailio = { address: '127.0.0.2', port: b! }
    edge = await openEnd({ address: '127.0.0.3', port: c! })
  })
  afterAll(async () => {
    await server?.stop()
    core?.close()
    edge?.close()
  })

  /** A request or response sent through Kamailio, as it reaches the edge. */
  async function through(bytes: Buffer): Promise<{ bytes: Buffer; source: Endpoint }> {
    core.send(bytes, kamailio)
    const received = await edge.next()
    if (received === undefined) throw new Error(`nothing came through:\n${server?.output()}`)
    return received
  }

  describe.each(ALGORITHMS)('kamailio with kamailio-signs.cfg of the document, %s', (algorithm) => {
    const agreement = defineAgreement({
      header: 'X-Auth',
      group: GROUP,
      algorithm,
      request: receiver('SELF:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)'),
      response: receiver('SELF:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)'),
    })
    const verifier = createVerifier({ agreement, keyring: ringOf('newest', 'older') })

    it.each([
      ['newest', { ok: true, key: { group: GROUP, name: 'newest' }, state: 'active' }],
      ['older', { ok: true, key: { group: GROUP, name: 'older' }, state: 'pending' }],
      ['removed', { ok: false, reason: 'token-mismatch' }],
    ] as const)('with the %s key, requests and responses', async (key, expected) => {
      const others = KEYS.filter((name) => name !== key && name !== 'removed')
      const places = { kamailio, core: core.local, edge: edge.local }
      const config = withDefine(placed('kamailio-signs.cfg', places), 'ALGORITHM', algorithm)
      server = await startKamailio(withKeys(config, modparamsOf(key, ...others)))
      try {
        const requests = call(core.local, edge.local)
        for (const bytes of requests) {
          const { bytes: signed, source } = await through(bytes)
          expect(source).toEqual(kamailio)
          const context = arrived(signed, source, edge, 'strict')
          expect(context.message.headers('X-Auth')).toHaveLength(1)
          expect(verifier.verify(context)).toEqual(expected)
          const forged = Buffer.from(
            signed.toString('latin1').replace('sip:alice@', 'sip:mallory@'),
            'latin1',
          )
          expect(verifier.verify(arrived(forged, source, edge, 'strict'))).toEqual({
            ok: false,
            reason: 'token-mismatch',
          })
        }
        for (const request of requests) {
          for (const status of ['180 Ringing', '200 OK', '302 Moved', '486 Busy Here', '503 Full']) {
            const { bytes: signed, source } = await through(
              forwardedResponse(request, status, kamailio, edge.local),
            )
            const context = arrived(signed, source, edge, 'strict')
            expect(context.message.headers('X-Auth')).toHaveLength(1)
            expect(verifier.verify(context)).toEqual(expected)
            const forged = Buffer.from(
              signed.toString('latin1').replace(/^SIP\/2.0 .../, 'SIP/2.0 299'),
              'latin1',
            )
            expect(verifier.verify(arrived(forged, source, edge, 'strict'))).toEqual({
              ok: false,
              reason: 'token-mismatch',
            })
          }
        }
        // The other way, nothing is signed and nothing is stopped.
        const [invite] = call(edge.local, core.local)
        for (const bytes of [invite!, forwardedResponse(requests[0]!, '200 OK', kamailio, core.local)]) {
          for (const sent of [bytes, editHeaders(bytes, { remove: ['X-Auth'] })]) {
            edge.send(sent, kamailio)
            const received = await core.next()
            expect(received?.text.split(' ', 2)).toEqual(bytes.toString('latin1').split(' ', 2))
            expect(headerOf(received?.text ?? '', 'X-Auth')).toBeUndefined()
          }
        }
      } finally {
        await server.stop()
      }
    })
  })

  it('kamailio with two addresses: $Ri is not $si, the address written out is', async () => {
    const places = { kamailio, core: core.local, edge: edge.local }
    const outside = { address: '127.0.0.4', port: kamailio.port }
    const listen = `listen=udp:${outside.address}:${outside.port}\n`
    const config = withKeys(placed('kamailio-signs.cfg', places), listen + modparamsOf('newest')).replace(
      '$du = EDGE_URI;',
      `$du = EDGE_URI; $fs = "udp:${outside.address}:${outside.port}";`,
    )
    const verifier = createVerifier({
      agreement: defineAgreement({
        header: 'X-Auth',
        group: GROUP,
        algorithm: 'sha256',
        request: receiver('SELF:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)'),
      }),
      keyring: ringOf('newest'),
    })
    const outcomes = []
    for (const start of ['$Ri', outside.address]) {
      server = await startKamailio(
        withDefine(config, 'SIGN_REQUEST', `${start}:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)`),
      )
      try {
        const { bytes, source } = await through(call(core.local, edge.local)[0]!)
        expect(source).toEqual(outside)
        const result = verifier.verify(arrived(bytes, source, edge, 'strict'))
        outcomes.push(result.ok ? 'ok' : result.reason)
      } finally {
        await server.stop()
      }
    }
    expect(outcomes).toEqual(['token-mismatch', 'ok'])
  })

  describe('kamailio with difficult texts, every template and algorithm', () => {
    beforeAll(async () => {
      const config = `listen=udp:${kamailio.address}:${kamailio.port}
auto_aliases=no
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "maxfwd.so"
loadmodule "auth_xkeys.so"
${modparamsOf('newest', 'older')}
request_route {
if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
${adds(REQUEST_TEMPLATES)}
$du = "sip:${edge.local.address}:${edge.local.port}";
forward();
}
onreply_route {
${adds(RESPONSE_TEMPLATES)}
}
`
      server = await startKamailio(config)
    })
    afterAll(() => server?.stop())

    it.each([
      ['requests', 'request', REQUEST_TEMPLATES],
      ['responses', 'response', RESPONSE_TEMPLATES],
    ] as const)('%s', async (_, direction, templates) => {
      const messages =
        direction === 'request' ? difficultRequests(core.local) : difficultResponses(kamailio, edge.local)
      const expected: { ok: boolean; key: { group: string; name: KeyName }; state: string } = {
        ok: true,
        key: { group: GROUP, name: 'newest' },
        state: 'pending',
      }
      let verified = 0
      for (const [name, bytes] of messages) {
        const { bytes: signed, source } = await through(bytes)
        const context = arrived(signed, source, edge, 'kamailio')
        for (const verifier of verifiers(direction, templates)) {
          const what = `${name}: ${verifier.agreement[direction]?.receiver.source}`
          expect({ what, ...verifier.verify(context) }).toEqual({ what, ...expected })
          verified++
        }
        expect(viewOf(context.message).layout.complete).toBe(true)
      }
      console.log(`kamailio signed ${verified} times, all verified (${direction}s)`)
      expect(verified).toBe(messages.length * templates.length * 3)
    })
  })
})
