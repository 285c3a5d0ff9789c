import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import type { Endpoint, Tolerance } from '../../src/message/types.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { createSigner, type Signer } from '../../src/xkeys/sign.ts'
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

/** A message with our token, as it leaves `end`. */
function signed(bytes: Buffer, signers: readonly Signer[], end: UdpEnd, tolerance: Tolerance): Buffer {
  const context = contextOf(bytes, { local: end.local }, tolerance)
  const tokens = signers.map((signer): [string, string] => {
    const result = signer.sign(context)
    if (!result.ok) throw new Error(result.reason)
    return [result.header, result.token]
  })
  return editHeaders(bytes, { remove: ['X-Auth'], add: tokens })
}

/** A token of the right length that fits nothing. */
function spoiled(message: Buffer, header: string): Buffer {
  return Buffer.from(
    message
      .toString('latin1')
      .replace(
        new RegExp(`^(${header}: )(.)`, 'm'),
        (_, start: string, digit: string) => start + (digit === '0' ? '1' : '0'),
      ),
    'latin1',
  )
}

const checks = (templates: readonly string[], report: string): string =>
  ALGORITHMS.flatMap((algorithm) =>
    templates.map((template, index) => {
      const header = tokenHeader(algorithm, index)
      const parameters = `"${header}", "${GROUP}", "${algorithm}", "${receiver(template)}"`
      const say = (word: string): string => `${report}("X-R-${algorithm}-${index}: ${word}\\r\\n");`
      return `if (auth_xkeys_check(${parameters})) { ${say('yes')} } else { ${say('no')} }\n`
    }),
  ).join('')

const signers = (direction: 'request' | 'response', templates: readonly string[], key: KeyName): Signer[] =>
  ALGORITHMS.flatMap((algorithm) =>
    templates.map((template, index) => {
      const header = tokenHeader(algorithm, index)
      const agreement = defineAgreement({
        header,
        group: GROUP,
        algorithm,
        [direction]: sender(template),
      })
      return createSigner({ agreement, keyring: ringOf(key) })
    }),
  )

describePeers('we sign, kamailio checks', ['kamailio'], () => {
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

  describe.each(ALGORITHMS)('kamailio with kamailio-checks.cfg of the document, %s', (algorithm) => {
    const agreement = defineAgreement({
      header: 'X-Auth',
      group: GROUP,
      algorithm,
      request: sender('SELF:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)'),
      response: sender('SELF:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq)'),
    })
    let ends = 0

    beforeAll(async () => {
      const places = { kamailio, core: core.local, edge: edge.local }
      const config = withDefine(placed('kamailio-checks.cfg', places), 'ALGORITHM', algorithm)
      server = await startKamailio(withKeys(config, modparamsOf('newest', 'older')))
    })
    afterAll(() => server?.stop())

    /** Sends, and then something that must come through: `passed`, `refused` with a status, or `dropped`. */
    async function judge(bytes: Buffer): Promise<string> {
      const marker = `end-${ends++}`
      edge.send(bytes, kamailio)
      // The core's own request goes through unchecked, behind whatever comes of ours.
      const end = call(core.local, edge.local)[4]!
        .toString('latin1')
        .replace('Call-ID: ', `Call-ID: ${marker}`)
      core.send(Buffer.from(end, 'latin1'), kamailio)
      let outcome = 'dropped'
      for (;;) {
        const back = await edge.next()
        if (back === undefined) throw new Error(`nothing came through:\n${server?.output()}`)
        if (headerOf(back.text, 'Call-ID')?.startsWith(marker)) break
        outcome = `refused ${back.text.slice(8, 11)}`
      }
      const forward = await core.next(outcome === 'dropped' ? 30 : 0)
      if (forward === undefined) return outcome
      expect(outcome).toBe('dropped')
      // The token goes no further.
      expect(headerOf(forward.text, 'X-Auth')).toBeUndefined()
      return 'passed'
    }

    it.each([
      ['newest', true],
      ['older', true],
      ['removed', false],
    ] as const)('with the %s key, requests and responses', async (key, fits) => {
      const signer = createSigner({ agreement, keyring: ringOf(key) })
      for (const request of call(edge.local, core.local)) {
        const bytes = signed(request, [signer], edge, 'strict')
        const refusal = bytes.subarray(0, 3).equals(Buffer.from('ACK')) ? 'dropped' : 'refused 403'
        expect(await judge(bytes)).toBe(fits ? 'passed' : refusal)
        expect(await judge(spoiled(bytes, 'X-Auth'))).toBe(refusal)
        expect(await judge(editHeaders(bytes, { remove: ['X-Auth'] }))).toBe(refusal)
      }
      const [invite] = call(core.local, edge.local)
      for (const status of ['180 Ringing', '183 ', '200 OK', '302 Moved', '486 Busy Here', '503 Full']) {
        const response = forwardedResponse(invite!, status, kamailio, core.local)
        const bytes = signed(response, [signer], edge, 'strict')
        expect(await judge(bytes)).toBe(fits ? 'passed' : 'dropped')
        expect(await judge(spoiled(bytes, 'X-Auth'))).toBe('dropped')
        // A refusal by the edge itself has none.
        const unsigned = editHeaders(bytes, { remove: ['X-Auth'] })
        expect(await judge(unsigned)).toBe(Number(status.slice(0, 3)) < 400 ? 'dropped' : 'passed')
      }
    })
  })

  describe('kamailio with difficult texts, every template and algorithm', () => {
    beforeAll(async () => {
      server = await startKamailio(`listen=udp:${kamailio.address}:${kamailio.port}
auto_aliases=no
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "auth_xkeys.so"
${modparamsOf('newest', 'older')}
request_route {
if (!mf_process_maxfwd_header("70")) { sl_send_reply("483", "Too Many Hops"); exit; }
${checks(REQUEST_TEMPLATES, 'append_to_reply')}
sl_send_reply("200", "OK");
}
onreply_route {
${checks(RESPONSE_TEMPLATES, 'append_hf')}
}
`)
    })
    afterAll(() => server?.stop())

    it.each([
      ['requests', 'request', REQUEST_TEMPLATES],
      ['responses', 'response', RESPONSE_TEMPLATES],
    ] as const)('%s', async (_, direction, templates) => {
      const messages =
        direction === 'request' ? difficultRequests(edge.local) : difficultResponses(kamailio, edge.local)
      let checked = 0
      for (const key of KEYS) {
        const tokens = signers(direction, templates, key)
        for (const [name, bytes] of messages) {
          edge.send(signed(bytes, tokens, edge, 'kamailio'), kamailio)
          const back = await edge.next()
          if (back === undefined) throw new Error(`${name}: nothing came back:\n${server?.output()}`)
          for (const algorithm of ALGORITHMS) {
            for (const [index, template] of templates.entries()) {
              const verdict = headerOf(back.text, `X-R-${algorithm}-${index}`)
              const what = `${name}, ${key} key, ${algorithm}, ${template}`
              expect({ what, verdict }).toEqual({ what, verdict: key === 'removed' ? 'no' : 'yes' })
              checked++
            }
          }
        }
      }
      console.log(`kamailio checked ${checked} of our tokens, all as they should be (${direction}s)`)
      expect(checked).toBe(KEYS.length * messages.length * templates.length * ALGORITHMS.length)
    })
  })
})
