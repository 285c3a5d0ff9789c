import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { answerTo, moved, requestOf, startRig, type Rig } from '../support/edge-rig.ts'

/** A second trunk, at `{second}` unless said otherwise. */
const other = (at = '{second}'): string => `
[trunks.other]
agreement = "other"
sources = ["${at}"]
target = "{second}"
domains = ["other.example"]
[agreements.other]
header = "X-Other"
group = "trunk-b"
algorithm = "hmac-sha256"
request = "$rm:$ci:$hdr(CSeq)"
response = "$rs:$ci:$hdr(CSeq)"
`

const bye = async (rig: Rig, route: string, uri: string, id?: string): Promise<void> => {
  const bytes = requestOf('BYE', rig.upstream, {
    start: `BYE ${uri} SIP/2.0`,
    with: { To: '<sip:bob@biloxi.example>;tag=peer', ...(id !== undefined && { 'Call-ID': id }) },
    add: [['Route', route]],
  })
  await rig.upstream.send(bytes, rig.upstreamAt)
}
const recorded = async (rig: Rig, own: string): Promise<readonly string[]> => {
  const invite = requestOf('INVITE', rig.carrier, { add: [['Record-Route', own]] })
  await rig.carrier.send(rig.sign(invite), rig.trunkAt)
  return (await rig.upstream.receive()).message.headers('Record-Route')
}

describe('T15: one trunk cannot lead the upstream to another', () => {
  it('by a Record-Route of its own under ours', async () => {
    const rig = await startRig({ more: other() })
    const routes = await recorded(rig, `<sip:127.0.0.1:${rig.trunkAt.port};lr;xk-trunk=other>`)
    await bye(rig, routes.join(', '), 'sip:a@other.example')
    expect((await rig.carrier.receive()).message.method).toBe('BYE')
    expect((await rig.settle()).carrier).toEqual([])
  })

  it('by a mark that it makes up, or takes from another dialog', async () => {
    const rig = await startRig({ more: other() })
    const [route = ''] = await recorded(rig, '<sip:before.example;lr>')
    for (const [forged, id] of [
      [route.replace('=carrier.', '=other.'), undefined],
      [route.replace(/=carrier\.[^>]*/, '=other'), undefined],
      [route.replace(/=carrier\.[^>]*/, '=nobody'), undefined],
      [route, 'another-dialog'],
    ] as const) {
      await bye(rig, forged, 'sip:a@other.example', id)
      expect((await rig.upstream.receive()).message.status).toBe(481)
    }
    expect((await rig.settle()).carrier).toEqual([])
  })

  it('by a Via that names two addresses', async () => {
    const rig = await startRig({ more: other() })
    const Via = `SIP/2.0/UDP ${rig.carrier.at};received=127.0.0.2;received=127.0.0.9;branch=z9hG4bKx`
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier, { with: { Via } })), rig.trunkAt)
    const { carrier, upstream } = await rig.settle()
    expect([carrier, upstream]).toEqual([[], []])
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-malformed': 1 })
  })

  it('by a Via below its own', async () => {
    const rig = await startRig({ more: other() })
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const request = await rig.upstream.receive()
    const [own = ''] = request.message.headers('Via')
    const elsewhere = editHeaders(answerTo(request.bytes, '200 OK'), {
      remove: ['Via'],
      add: [
        ['Via', own],
        ['Via', `SIP/2.0/UDP ${rig.second.at};branch=z9hG4bKy`],
      ],
      at: 'top',
    })
    await rig.upstream.send(elsewhere, rig.upstreamAt)
    await rig.settle()
    expect(moved(rig.metrics.dropped)).toEqual({ 'target-unknown': 1 })
  })
})

describe('a 100', () => {
  it('reaches the peer though the template asks for the To tag that it has not got', async () => {
    const response = '{ sender = "$rs:$tt:$ci", receiver = "$rs:$tt:$ci" }'
    const rig = await startRig({
      carrier: 'sources = ["{carrier}"]\ntarget = "{carrier}"',
      more: `[trunks.tagged]\nagreement = "tagged"\nsources = ["{second}"]\ntarget = "{second}"\n[agreements.tagged]\nheader = "X-Tagged"\ngroup = "trunk-a"\nalgorithm = "hmac-sha256"\nrequest = "$rm:$ci"\nresponse = ${response}`,
    })
    await rig.second.send(rig.sign(requestOf('INVITE', rig.second), rig.second, 'tagged'), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    const trying = answerTo(bytes, '100 Trying').toString('latin1').replace(';tag=answer', '')
    await rig.upstream.send(Buffer.from(trying, 'latin1'), rig.upstreamAt)
    const { message } = await rig.second.receive()
    expect(message.status).toBe(100)
    expect(message.headers('X-Tagged')).toEqual([])
  })
})

describe('T32: what comes without a token', () => {
  const call = { Via: '', To: '<sip:bob@biloxi.example>;tag=answer' }

  it('finds its call on the second of two trunks that share an address', async () => {
    const rig = await startRig({
      carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"',
      more: other('127.0.0.1'),
    })
    await rig.second.send(rig.sign(requestOf('INVITE', rig.second), rig.second, 'other'), rig.trunkAt)
    await rig.upstream.receive()
    await rig.second.send(requestOf('CANCEL', rig.second), rig.trunkAt)
    expect((await rig.upstream.receive()).message.method).toBe('CANCEL')
  })

  it('carries no route, and no body', async () => {
    const rig = await startRig()
    const Via = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKcall;rport`
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier, { with: { Via } })), rig.trunkAt)
    const invite = await rig.upstream.receive()
    await rig.upstream.send(answerTo(invite.bytes, '486 Busy Here'), rig.upstreamAt)
    await rig.carrier.receive()
    const ack = (more: Parameters<typeof requestOf>[2]): Buffer =>
      requestOf('ACK', rig.carrier, { ...more, with: { ...call, Via } })
    await rig.carrier.send(ack({ add: [['Route', '<sip:elsewhere.example;lr>']] }), rig.trunkAt)
    expect((await rig.upstream.receive()).message.headers('Route')).toEqual([])
    await rig.carrier.send(ack({ body: 'more' }), rig.trunkAt)
    expect((await rig.settle()).upstream).toEqual([])
  })
})

it('T21: the limit on refusals does not touch the upstream, nor a peer whose requests are accepted', async () => {
  const rig = await startRig({ more: `[limits]\nrefusals_per_second = 1\n${other()}` })
  rig.edge.drain()
  for (let i = 0; i < 5; i++) {
    const Via = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bK${i};rport`
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier, { with: { Via } })), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(503)
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream), rig.upstreamAt)
    expect((await rig.upstream.receive()).message.status).toBe(404)
  }
  expect(moved(rig.metrics.suppressed)).toEqual({})
})
