import { describe, expect, it } from 'vitest'
import { answerTo, moved, requestOf, startRig, type Rig } from '../support/edge-rig.ts'
import { bytesOf } from '../support/messages.ts'
import type { Received } from '../support/udp-peer.ts'

const options = {
  carrier: 'sources = ["{carrier}"]\ntarget = "{carrier}"\ndomains = ["first.example"]\nreaches = ["second"]',
  more: `
    [agreements.other]
    header = "X-Second"
    group = "trunk-b"
    algorithm = "hmac-sha512"
    request = "second:$rm:$fu:$ru:$ci:$hdr(CSeq)"
    response = "second:$rs:$ci:$hdr(CSeq)"
    [trunks.second]
    agreement = "other"
    sources = ["{second}"]
    target = "{second}"
    domains = ["second.example"]`,
}

type End = 'carrier' | 'second'

const ask = async (
  rig: Rig,
  from: End,
  method: string,
  start: string,
  routes: readonly string[] = [],
): Promise<void> => {
  const add = routes.length === 0 ? [] : [['Route', routes.join(', ')] as const]
  const tagged = routes.length === 0 ? {} : { with: { To: '<sip:bob@second.example>;tag=answer' } }
  const bytes = requestOf(method, rig[from], { start, add, ...tagged })
  await rig[from].send(rig.sign(bytes, rig[from], from), rig.trunkAt)
}

/** What a trunk receives, its token checked. */
async function receive(rig: Rig, at: End): Promise<Received> {
  const received = await rig[at].receive()
  expect(rig.verify(received.message, rig[at], at)).toMatchObject({ ok: true })
  expect(received.message.headers(at === 'carrier' ? 'X-Second' : 'X-Auth')).toEqual([])
  return received
}

async function answer(rig: Rig, from: End, to: Received, status: string): Promise<void> {
  await rig[from].send(rig.sign(answerTo(to.bytes, status), rig[from], from), rig.trunkAt)
}

const INVITE = 'INVITE sip:bob@second.example SIP/2.0'

/** A Via as the edge's own, but for its MAC. */
const own = (at: { readonly port: number }, path: string): string =>
  `SIP/2.0/UDP 127.0.0.1:${at.port};branch=z9hG4bKxk-${'0'.repeat(20)}-${path}`

describe('from trunk to trunk, where it is allowed', () => {
  it('a call goes by the agreements of both, without the upstream', async () => {
    const rig = await startRig(options)
    await ask(rig, 'carrier', 'INVITE', INVITE)
    const invite = await receive(rig, 'second')
    const recorded = invite.message.headers('Record-Route')
    await answer(rig, 'second', invite, '200 OK')
    const ok = await receive(rig, 'carrier')
    expect([ok.message.status, ok.message.headers('Via').length]).toEqual([200, 1])

    // Inside the dialog each end reaches the other, whatever its Request-URI says.
    await ask(rig, 'carrier', 'BYE', 'BYE sip:bob@192.0.2.1 SIP/2.0', recorded.toReversed())
    expect((await receive(rig, 'second')).message.headers('Route')).toEqual([])
    await ask(rig, 'second', 'BYE', 'BYE sip:alice@192.0.2.1 SIP/2.0', recorded)
    await receive(rig, 'carrier')
    expect((await rig.settle()).upstream).toEqual([])
    expect(moved(rig.metrics.keyVerifications)).toMatchObject({
      'trunk-a,new,carrier': 4,
      'trunk-b,other,second': 2,
    })
  })

  it('its unsigned CANCEL and the ACK of its failure follow it', async () => {
    const rig = await startRig(options)
    await ask(rig, 'carrier', 'INVITE', INVITE)
    const invite = await receive(rig, 'second')
    await answer(rig, 'second', invite, '180 Ringing')
    await receive(rig, 'carrier')
    const unsigned = (method: string): Buffer =>
      requestOf(method, rig.carrier, { start: `${method} sip:bob@second.example SIP/2.0` })
    await rig.carrier.send(unsigned('CANCEL'), rig.trunkAt)
    const cancel = await receive(rig, 'second')
    expect(cancel.message.headers('Via')[0]).toBe(invite.message.headers('Via')[0])
    await answer(rig, 'second', invite, '487 Request Terminated')
    await receive(rig, 'carrier')
    await rig.carrier.send(unsigned('ACK'), rig.trunkAt)
    expect((await receive(rig, 'second')).message.method).toBe('ACK')
  })

  it('is one way only, as far as a call begins', async () => {
    const rig = await startRig(options)
    await ask(rig, 'second', 'INVITE', 'INVITE sip:first.example SIP/2.0')
    expect((await rig.upstream.receive()).message.requestUri).toBe('sip:first.example')
  })

  it('anything else goes to the upstream', async () => {
    const rig = await startRig(options)
    await ask(rig, 'carrier', 'INVITE', 'INVITE sip:bob@elsewhere.example SIP/2.0')
    expect((await rig.upstream.receive()).message.method).toBe('INVITE')
  })

  it('a mark that was made for another does not lead there', async () => {
    const rig = await startRig(options)
    // The mark of the second trunk as the upstream sees it, for the same Call-ID, in the hands of the carrier.
    await ask(rig, 'second', 'INVITE', 'INVITE sip:bob@elsewhere.example SIP/2.0')
    const stolen = (await rig.upstream.receive()).message.headers('Record-Route')
    await ask(rig, 'carrier', 'BYE', 'BYE sip:bob@192.0.2.1 SIP/2.0', stolen)
    expect((await rig.upstream.receive()).message.method).toBe('BYE')
    // And one of a call between them, for another Call-ID.
    await ask(rig, 'carrier', 'INVITE', INVITE)
    const [, forSecond = ''] = (await receive(rig, 'second')).message.headers('Record-Route')
    const bytes = bytesOf({
      start: 'BYE sip:bob@192.0.2.1 SIP/2.0',
      with: {
        Via: `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKother;rport`,
        CSeq: '314159 BYE',
        'Call-ID': 'another',
        To: '<sip:bob@second.example>;tag=answer',
      },
      add: [['Route', forSecond]],
    })
    await rig.carrier.send(rig.sign(bytes), rig.trunkAt)
    expect((await rig.upstream.receive()).message.method).toBe('BYE')
  })

  it('a response of the one that was not asked is dropped', async () => {
    const rig = await startRig(options)
    await ask(rig, 'carrier', 'INVITE', INVITE)
    const invite = await receive(rig, 'second')
    await answer(rig, 'carrier', invite, '200 OK')
    expect(await rig.settle()).toEqual({ carrier: [], upstream: [] })
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-not-ours': 1 })
  })

  it('two trunks may share an agreement: its header goes once, whatever it is padded with', async () => {
    const rig = await startRig({
      ...options,
      more: `
        [trunks.second]
        agreement = "main"
        sources = ["{second}"]
        target = "{second}"
        domains = ["second.example"]`,
    })
    const signed = rig.sign(requestOf('INVITE', rig.carrier, { start: INVITE })).toString('latin1')
    const padded = signed.replace(/X-Auth: (\w+)\r\n/, `X-Auth: ${' '.repeat(300)}$1\r\nX-Other: stays\r\n`)
    await rig.carrier.send(Buffer.from(padded, 'latin1'), rig.trunkAt)
    const { message, text } = await rig.second.receive()
    expect(rig.verify(message, rig.second, 'second')).toMatchObject({ ok: true })
    expect([message.requestUri, message.headers('Via').length, message.headers('X-Auth').length]).toEqual([
      'sip:bob@second.example',
      2,
      1,
    ])
    expect(text).toContain('\r\nX-Other: stays\r\n')
  })

  it('T18: nobody makes the edge sign a response of his own invention for another trunk', async () => {
    const rig = await startRig(options)
    const theirs = `SIP/2.0/UDP ${rig.second.at};branch=z9hG4bKx`
    for (const vias of [
      [own(rig.trunkAt, 'carrier.second'), theirs],
      [own(rig.trunkAt, 'carrier'), own(rig.upstreamAt, 'second'), theirs],
    ]) {
      const [first = '', ...others] = vias
      const add = others.map((value) => ['Via', value] as const)
      const forged = bytesOf({ start: 'SIP/2.0 200 OK', with: { Via: first, CSeq: '1 CANCEL' }, add })
      await rig.carrier.send(forged, rig.trunkAt)
      await rig.carrier.send(rig.sign(forged), rig.trunkAt)
      await rig.carrier.send(Buffer.from(forged.toString().replace('200 OK', '100 Trying')), rig.trunkAt)
    }
    expect(await rig.settle()).toEqual({ carrier: [], upstream: [] })
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-not-ours': 6 })
    expect(moved(rig.metrics.signatures)).not.toHaveProperty('trunk-b,other,response,ok')
  })
})
