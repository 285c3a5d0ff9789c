import { describe, expect, it } from 'vitest'
import { answerTo, requestOf, startRig, type Rig } from '../support/edge-rig.ts'
import type { Parts } from '../support/messages.ts'

/** The branch that the edge puts on a request from the carrier. */
async function branchOf(rig: Rig, method: string, parts: Parts = {}): Promise<string> {
  await rig.carrier.send(rig.sign(requestOf(method, rig.carrier, parts)), rig.trunkAt)
  const { message } = await rig.upstream.receive()
  return /branch=([^;,]+)/.exec(message.headers('Via')[0]!)![1]!
}

const via = (rig: Rig, params: string, host = rig.carrier.at): Parts => ({
  with: { Via: `SIP/2.0/UDP ${host}${params}` },
})

describe('the branch of a stateless proxy', () => {
  it('is one for an INVITE, its retransmission, its CANCEL and the ACK of its failure', async () => {
    const rig = await startRig()
    const invite = await branchOf(rig, 'INVITE')
    expect(invite).toMatch(/^z9hG4bK/)
    expect(await branchOf(rig, 'INVITE')).toBe(invite)
    expect(await branchOf(rig, 'CANCEL', { with: { CSeq: '314159 CANCEL' } })).toBe(invite)
    expect(
      await branchOf(rig, 'ACK', { with: { CSeq: '314159 ACK', To: '<sip:bob@biloxi.example>;tag=failed' } }),
    ).toBe(invite)
    // Whatever comes behind the sent-by and branch is no matter.
    expect(await branchOf(rig, 'INVITE', via(rig, ';branch=z9hG4bKpeer-1'))).toBe(invite)
    expect(await branchOf(rig, 'INVITE', via(rig, ';x=y;branch=z9hG4bKpeer-1;rport=3'))).toBe(invite)
  })

  it('is another for another transaction', async () => {
    const rig = await startRig()
    const branches = [
      await branchOf(rig, 'INVITE'),
      await branchOf(rig, 'INVITE', via(rig, ';branch=z9hG4bKpeer-2')),
      await branchOf(rig, 'INVITE', via(rig, ';branch=z9hG4bKpeer-1', 'other.example')),
      await branchOf(rig, 'INVITE', via(rig, ';branch=z9hG4bKpeer-1', 'other.example:5070')),
    ]
    expect(new Set(branches).size).toBe(branches.length)
  })

  it('of a sender of RFC 2543 follows from what names its transaction', async () => {
    const rig = await startRig()
    const old = (parts: Parts['with'] = {}): Parts => ({ with: { ...via(rig, '').with, ...parts } })
    const invite = await branchOf(rig, 'INVITE', old())
    expect(await branchOf(rig, 'INVITE', old())).toBe(invite)
    expect(await branchOf(rig, 'ACK', old({ CSeq: '314159 ACK' }))).toBe(invite)
    const others = [
      await branchOf(rig, 'INVITE', old({ CSeq: '314160 INVITE' })),
      await branchOf(rig, 'INVITE', old({ 'Call-ID': 'another' })),
      await branchOf(rig, 'INVITE', old({ From: '<sip:alice@atlanta.example>;tag=other' })),
    ]
    expect(new Set([invite, ...others]).size).toBe(4)
  })

  it('is the same after a restart with the secret that was kept, so that responses find their way', async () => {
    const [one, two] = [await startRig({ secret: 'kept' }), await startRig({ secret: 'kept' })]
    const fixed = via(one, ';branch=z9hG4bKsame', 'same.example')
    expect(await branchOf(one, 'INVITE', fixed)).toBe(await branchOf(two, 'INVITE', fixed))
  })

  it('cannot be known beforehand: another run makes another', async () => {
    const [one, two] = [await startRig(), await startRig()]
    const fixed = via(one, ';branch=z9hG4bKsame', 'same.example')
    expect(await branchOf(one, 'INVITE', fixed)).not.toBe(await branchOf(two, 'INVITE', fixed))
  })

  it('brings the response of the CANCEL and of the INVITE back', async () => {
    const rig = await startRig()
    for (const method of ['INVITE', 'CANCEL']) {
      await rig.carrier.send(rig.sign(requestOf(method, rig.carrier)), rig.trunkAt)
      const { bytes } = await rig.upstream.receive()
      await rig.upstream.send(answerTo(bytes, '200 OK'), rig.upstreamAt)
      const { message } = await rig.carrier.receive()
      expect([message.status, message.method]).toEqual([200, method])
      expect(message.headers('Via')).toHaveLength(1)
    }
  })
})
