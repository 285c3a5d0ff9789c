import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { answerTo, moved, requestOf, startRig, type Rig, type RigOptions } from '../support/edge-rig.ts'
import type { Received } from '../support/udp-peer.ts'

const BRANCH = 'z9hG4bKcall-1'

/** A rig whose carrier has placed a signed call that rings. */
async function ringing(options: RigOptions = {}): Promise<{ rig: Rig; invite: Received }> {
  const rig = await startRig(options)
  await rig.carrier.send(rig.sign(of('INVITE', rig)), rig.trunkAt)
  const invite = await rig.upstream.receive()
  await rig.upstream.send(answerTo(invite.bytes, '180 Ringing'), rig.upstreamAt)
  await rig.carrier.receive()
  return { rig, invite }
}

/** A request of the call, as the carrier makes it without a token. */
function of(method: string, rig: Rig, more: Record<string, string> = {}): Buffer {
  const Via = `SIP/2.0/UDP ${rig.carrier.at};branch=${BRANCH};rport`
  return requestOf(method, rig.carrier, { with: { Via, ...more } })
}

async function answered(status: string): Promise<{ rig: Rig; invite: Received }> {
  const call = await ringing()
  await call.rig.upstream.send(answerTo(call.invite.bytes, status), call.rig.upstreamAt)
  await call.rig.carrier.receive()
  return call
}

describe('T32: a CANCEL without a token', () => {
  it('passes where it matches a call that rings, on the branch of its INVITE', async () => {
    const { rig, invite } = await ringing()
    await rig.carrier.send(of('CANCEL', rig), rig.trunkAt)
    const { message } = await rig.upstream.receive()
    expect(message.method).toBe('CANCEL')
    expect(message.headers('Via')[0]).toBe(invite.message.headers('Via')[0])
    expect(moved(rig.metrics.verifications)).toEqual({
      'carrier,trunk-a,request,accept': 1,
      'carrier,trunk-a,request,skipped': 1,
    })
    expect(moved(rig.metrics.rejections)).toEqual({})
  })

  it.each<[string, Record<string, string>]>([
    ['another branch', { Via: 'SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKother;rport' }],
    ['another Call-ID', { 'Call-ID': 'other' }],
    ['another CSeq number', { CSeq: '1 CANCEL' }],
    ['another From tag', { From: '<sip:alice@atlanta.example>;tag=other' }],
  ])('is refused with %s', async (_what, more) => {
    const { rig } = await ringing()
    await rig.carrier.send(of('CANCEL', rig, more), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,header-missing': 1 })
    expect((await rig.settle()).upstream).toEqual([])
  })

  it('is refused from another port', async () => {
    const { rig } = await ringing({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    await rig.second.send(of('CANCEL', rig), rig.trunkAt)
    expect((await rig.second.receive()).message.status).toBe(403)
  })

  it('is refused with another Request-URI', async () => {
    const { rig } = await ringing()
    const other = of('CANCEL', rig).toString('latin1').replace('sip:bob@', 'sip:eve@')
    await rig.carrier.send(Buffer.from(other, 'latin1'), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
  })

  it('is refused once the call has its final response', async () => {
    const { rig } = await answered('200 OK')
    await rig.carrier.send(of('CANCEL', rig), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
  })

  it('is refused where the trunk says so', async () => {
    const { rig } = await ringing({
      carrier: 'unsigned = "refuse"\nsources = ["{carrier}"]\ntarget = "{carrier}"',
    })
    await rig.carrier.send(of('CANCEL', rig), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
  })

  it('is verified where it carries a token after all', async () => {
    const { rig } = await ringing()
    const wrong = editHeaders(of('CANCEL', rig), { add: [['X-Auth', '0'.repeat(64)]] })
    await rig.carrier.send(wrong, rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,token-mismatch': 1 })
  })
})

describe('T32: an ACK without a token', () => {
  it('passes where it answers the failure of a call', async () => {
    const { rig, invite } = await answered('486 Busy Here')
    await rig.carrier.send(of('ACK', rig, { To: '<sip:bob@biloxi.example>;tag=answer' }), rig.trunkAt)
    const { message } = await rig.upstream.receive()
    expect(message.method).toBe('ACK')
    expect(message.headers('Via')[0]).toBe(invite.message.headers('Via')[0])
  })

  it.each(['200 OK', '180 Ringing'])('is dropped behind %s', async (status) => {
    const { rig } = await answered(status)
    await rig.carrier.send(of('ACK', rig, { To: '<sip:bob@biloxi.example>;tag=answer' }), rig.trunkAt)
    const { carrier, upstream } = await rig.settle()
    expect([carrier, upstream]).toEqual([[], []])
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,header-missing': 1 })
  })

  it('of a refusal of our own ends here, and is no refusal itself', async () => {
    const rig = await startRig()
    await rig.carrier.send(of('INVITE', rig), rig.trunkAt)
    const { message } = await rig.carrier.receive()
    expect(message.status).toBe(403)
    await rig.carrier.send(of('ACK', rig, { To: message.headers('To')[0]! }), rig.trunkAt)
    const { carrier, upstream } = await rig.settle()
    expect([carrier, upstream]).toEqual([[], []])
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,header-missing': 1 })
  })
})

it('T17: a trunk cannot answer the calls of another one', async () => {
  const rig = await startRig({
    more: '[trunks.other]\nagreement = "other"\nsources = ["{second}"]\ntarget = "{second}"\n[agreements.other]\nheader = "X-Other"\ngroup = "trunk-b"\nalgorithm = "hmac-sha256"\nrequest = "$rm:$ci"\nresponse = "$rs:$ci"',
  })
  await rig.upstream.send(
    requestOf('INVITE', rig.upstream, { start: `INVITE sip:a@${rig.carrier.at} SIP/2.0` }),
    rig.upstreamAt,
  )
  const { bytes } = await rig.carrier.receive()
  await rig.second.send(rig.sign(answerTo(bytes, '200 OK'), rig.second, 'other'), rig.trunkAt)
  expect((await rig.settle()).upstream).toEqual([])
  expect(moved(rig.metrics.dropped)).toEqual({ 'via-not-ours': 1 })
})
