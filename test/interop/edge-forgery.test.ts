import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { describePeers, freePorts } from '../support/peers.ts'
import { startChain, type Chain } from './chain.ts'
import { headerOf } from './endpoint.ts'
import { forge, forgeFromElsewhere, type Send } from './forge.ts'
import { byeOf, ofInvite, signerAt, withToken, type Changes } from './forged.ts'
import { received, receivedBy } from './sipp-log.ts'
import type { KindName } from './sipp-mix.ts'
import { tell } from './sipp-told.ts'
import { startSipp, type Sipp } from './sipp.ts'

const WRONG = '0'.repeat(64)

function count(callee: Sipp, method: string): number {
  return receivedBy(callee).filter((message) => message.startsWith(method)).length
}

describePeers('forged requests beside running calls', ['kamailio', 'sipp'], () => {
  let chain: Chain
  let caller: Endpoint
  let sign: (bytes: Buffer) => string

  beforeEach(async () => {
    chain = await startChain()
    const [port = 0] = await freePorts(1)
    caller = { ...chain.places.core, port }
    sign = signerAt(chain.places)
  })
  afterEach(() => chain.stop())

  /** Two calls of a kind through Kamailio, which go on until they are told to end. */
  async function twoCalls(scenario: 'talkingCaller' | 'ringingCaller', kind: KindName, answered = 2) {
    const run = { patience: 30, keep: 'messages' } as const
    const { upstream, kamailio: to } = chain.places
    const callee = await startSipp({ ...run, scenario: 'mixedCallee', local: upstream, calls: answered })
    const list = `SEQUENTIAL\n${kind}\n`
    const calling = await startSipp({ ...run, scenario, local: caller, to, calls: 2, list })
    return { calling, callee }
  }

  /** Tells the calls to end, and sees that they end as they are meant to. */
  async function end(calling: Sipp, callee: Sipp, answers: readonly string[]): Promise<void> {
    for (const message of answers) {
      await tell(caller, headerOf(message, 'Call-ID')!, headerOf(message, 'To')!)
    }
    for (const result of await Promise.all([calling.result, callee.result])) {
      if (result.code !== 0) throw new Error(result.output)
      expect(result.failed).toBe(0)
    }
  }

  /**
   * Puts a forger in Kamailio's place, on its very address and port. The documented Kamailio keeps no state, so the calls
   * do not notice that it is away.
   */
  const inPlaceOfKamailio = (use: (send: Send) => Promise<void>): Promise<void> =>
    chain.withoutKamailio(() => forge(chain, { from: chain.places.kamailio }, use))
  /** On its address, but another port. */
  const besideKamailio = (use: (send: Send) => Promise<void>): Promise<void> =>
    forge(chain, { from: { ...chain.places.kamailio, port: 0 } }, use)

  it('a forged BYE without a token, with a wrong one, one of another key, of another message or another call: the calls go on, and hang up themselves', async () => {
    const { calling, callee } = await twoCalls('talkingCaller', 'plain')
    const answers = await received(calling, 'SIP/2.0 200', 2)
    const [mine = '', other = ''] = await received(callee, 'ACK', 2)
    const bye = byeOf(mine)
    const strangers = signerAt(
      chain.places,
      '[[groups.trunk-a.keys]]\nname = "own"\nvalue = "xks_DEMO-of-a-stranger-0123456789abcdef"\n',
    )
    const forged: Record<string, Buffer> = {
      'no token': bye,
      'a wrong token': withToken(bye, WRONG),
      'a token cut short': withToken(bye, sign(bye).slice(0, -1)),
      'an empty token': withToken(bye, ''),
      'the token of another key': withToken(bye, strangers(bye)),
      'the token of the ACK': withToken(bye, sign(Buffer.from(mine, 'latin1'))),
      "the token of the other call's BYE": withToken(bye, sign(byeOf(other))),
      'its token and a second one': withToken(withToken(bye, sign(bye)), WRONG),
    }
    const forgeAll = async (send: Send): Promise<void> => {
      for (const [what, bytes] of Object.entries(forged)) {
        expect([what, await send(bytes)]).toEqual([what, 'SIP/2.0 403 Forbidden'])
      }
    }
    await inPlaceOfKamailio(forgeAll)
    await besideKamailio(forgeAll)
    // The right token does not help where the source is wrong: it is bound to the trunk.
    await forgeFromElsewhere(chain, withToken(bye, sign(bye)))
    await forgeFromElsewhere(chain, bye)
    expect(count(callee, 'BYE')).toBe(0)
    await end(calling, callee, answers)
    expect(count(callee, 'BYE')).toBe(2)
  }, 60_000)

  it('the same BYE from the same place ends the call where it bears its own token: what made the others fail is the token', async () => {
    const { callee } = await twoCalls('talkingCaller', 'plain')
    const acks = await received(callee, 'ACK', 2)
    await inPlaceOfKamailio(async (send) => {
      for (const ack of acks) {
        const bye = byeOf(ack)
        expect(await send(withToken(bye, sign(bye)))).toBe('SIP/2.0 200 OK')
      }
    })
    expect(await callee.result).toMatchObject({ code: 0, successful: 2 })
  }, 60_000)

  it('a forged CANCEL with a guessed branch, another From tag, R-URI, Call-ID or CSeq, source, or a wrong token: the calls ring on, and are cancelled by their caller', async () => {
    const { calling, callee } = await twoCalls('ringingCaller', 'ringing')
    const answers = await received(calling, 'SIP/2.0 180', 2)
    const [mine = '', other = ''] = await received(callee, 'INVITE', 2)
    const cancel = (changes?: Changes): Buffer =>
      ofInvite('CANCEL', mine, '<sip:service@trunk.example>', changes)
    const otherCancel = ofInvite('CANCEL', other, '<sip:service@trunk.example>')
    const via = headerOf(cancel().toString('latin1'), 'Via')!
    const from = headerOf(mine, 'From')!
    const forged: Record<string, Buffer> = {
      'a guessed branch': cancel({ Via: via.replace(/branch=.*/, 'branch=z9hG4bKcydzigwkX') }),
      'no branch': cancel({ Via: via.replace(/;branch=.*/, '') }),
      "the other call's branch": cancel({ Via: headerOf(otherCancel.toString('latin1'), 'Via')! }),
      'another sent-by': cancel({ Via: via.replace('127.0.0.2', '127.0.0.1') }),
      'another From tag': cancel({ From: from.replace(/tag=.*/, 'tag=guessed') }),
      'no From tag': cancel({ From: from.replace(/;tag=.*/, '') }),
      'another R-URI': cancel({ line: 'CANCEL sip:ringing@trunk.example:5060 SIP/2.0' }),
      'another Call-ID': cancel({ 'Call-ID': headerOf(other, 'Call-ID')! }),
      'another CSeq number': cancel({ CSeq: '2 CANCEL' }),
      'a wrong token': withToken(cancel(), WRONG),
      'an empty token': withToken(cancel(), ''),
      "the token of the other call's CANCEL": withToken(cancel(), sign(otherCancel)),
      'the token of its INVITE': withToken(cancel(), sign(Buffer.from(mine, 'latin1'))),
    }
    await inPlaceOfKamailio(async (send) => {
      for (const [what, bytes] of Object.entries(forged)) {
        expect([what, await send(bytes)]).toEqual([what, 'SIP/2.0 403 Forbidden'])
      }
      // Nothing has failed that it could acknowledge.
      expect(await send(ofInvite('ACK', mine, headerOf(answers[0]!, 'To')!), 'nothing')).toBeUndefined()
    })
    // All of it right, but from another port of the trunk's address, or from elsewhere.
    await besideKamailio(async (send) => {
      expect(await send(cancel())).toBe('SIP/2.0 403 Forbidden')
    })
    await forgeFromElsewhere(chain, cancel())
    await forgeFromElsewhere(chain, withToken(cancel(), sign(cancel())))
    expect([count(callee, 'CANCEL'), count(callee, 'ACK')]).toEqual([0, 0])
    await end(calling, callee, answers)
    expect(count(callee, 'CANCEL')).toBe(2)
  }, 60_000)

  it('an ACK without a token on an INVITE that was answered, on another branch, or of another call: dropped; only that of a failure passes', async () => {
    const { calling, callee } = await twoCalls('talkingCaller', 'plain', 3)
    const answers = await received(calling, 'SIP/2.0 200', 2)
    const [mine = ''] = await received(callee, 'INVITE', 2)
    await received(callee, 'ACK', 2)
    await inPlaceOfKamailio(async (send) => {
      // Once answered, the ACK is a request of its own.
      expect(await send(ofInvite('ACK', mine, headerOf(answers[0]!, 'To')!), 'nothing')).toBeUndefined()

      // A call that fails, from one who holds the key.
      const { address, port } = chain.places.kamailio
      const Via = `SIP/2.0/UDP ${address}:${port};branch=z9hG4bKfails`
      const call = { Via, 'Call-ID': 'fails@trunk.example' }
      const line = 'INVITE sip:busy@trunk.example SIP/2.0'
      const invite = ofInvite('ACK', mine, '<sip:service@trunk.example>', {
        ...call,
        line,
        CSeq: '1 INVITE',
      })
      expect(await send(withToken(invite, sign(invite)))).toBe('SIP/2.0 180 Ringing')
      const [, , failed = ''] = await received(callee, 'INVITE', 3)
      const ack = (changes: Changes): Buffer =>
        ofInvite('ACK', mine, '<sip:service@trunk.example>;tag=any', {
          ...call,
          line: 'ACK sip:busy@trunk.example SIP/2.0',
          ...changes,
        })
      expect(headerOf(failed, 'Call-ID')).toBe('fails@trunk.example')
      const acks = count(callee, 'ACK')
      await send(ack({ Via: Via.replace('fails', 'another') }), 'refusal')
      await send(ack({ 'Call-ID': headerOf(mine, 'Call-ID')! }), 'refusal')
      await send(ack({ CSeq: '2 ACK' }), 'refusal')
      await send(withToken(ack({}), WRONG), 'refusal')
      expect(count(callee, 'ACK')).toBe(acks)
      await send(ack({}), 'passage')
      expect(await received(callee, 'ACK', 3)).toHaveLength(3)
    })
    await end(calling, callee, answers)
  }, 60_000)
})
