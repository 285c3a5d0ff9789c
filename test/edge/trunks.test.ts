import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { answerTo, moved, requestOf, startRig, type Rig } from '../support/edge-rig.ts'

const second = (sources: string, header = 'X-Second', rest = ''): string => `
  [agreements.second]
  header = "${header}"
  group = "trunk-b"
  algorithm = "hmac-sha512"
  encoding = "base64url"
  request = "second:$rm:$fu:$ru:$ci:$hdr(CSeq)"
  response = "second:$rs:$ci:$hdr(CSeq)"
  ${rest}
  [trunks.second]
  agreement = "second"
  sources = ["${sources}"]
  target = "{second}"
  domains = ["second.example"]`

describe('two trunks on one address', () => {
  const shared = {
    carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"\ndomains = ["first.example"]',
    more: second('127.0.0.1'),
  }

  it.each([
    ['carrier', 'X-Auth', 'trunk-a', 'new'],
    ['second', 'X-Second', 'trunk-b', 'other'],
  ])('are told apart by the header: %s', async (trunk, header, group, key) => {
    const rig = await startRig(shared)
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier), rig.carrier, trunk), rig.trunkAt)
    const { message } = await rig.upstream.receive()
    expect(message.headers(header)).toEqual([])
    expect(moved(rig.metrics.keyVerifications)).toEqual({ [`${group},${key},${trunk}`]: 1 })
    expect(message.headers('Record-Route')[0]).toMatch(new RegExp(`;xk-trunk=${trunk}\\.[0-9a-f]{20}>`))
  })

  it('T15: the token of one in the header of the other is refused', async () => {
    const rig = await startRig(shared)
    const signed = rig.sign(requestOf('INVITE', rig.carrier), rig.carrier, 'second').toString('latin1')
    await rig.carrier.send(Buffer.from(signed.replace('X-Second', 'X-Auth'), 'latin1'), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,token-malformed': 1 })
  })

  it('a request without a token is refused, once', async () => {
    const rig = await startRig(shared)
    await rig.carrier.send(requestOf('INVITE', rig.carrier), rig.trunkAt)
    expect((await rig.carrier.receive()).message.status).toBe(403)
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,header-missing': 1 })
  })

  it('a response without a token is judged by the trunk that was asked', async () => {
    const rig = await startRig({
      ...shared,
      more: second('127.0.0.1', 'X-Second', 'responses = "if-present"'),
    })
    const call = async (domain: string, to: Rig['carrier']): Promise<void> => {
      const start = `OPTIONS sip:${domain} SIP/2.0`
      await rig.upstream.send(requestOf('OPTIONS', rig.upstream, { start }), rig.upstreamAt)
      await to.send(answerTo((await to.receive()).bytes, '200 OK'), rig.trunkAt)
    }
    await call('second.example', rig.second)
    await call('first.example', rig.carrier)
    const { upstream } = await rig.settle()
    expect(upstream.map(({ message }) => message.status)).toEqual([200])
    expect(moved(rig.metrics.verifications)).toMatchObject({
      'second,trunk-b,response,skipped': 1,
      'carrier,trunk-a,response,reject': 1,
    })
  })

  it('T18: a response cannot choose the laxer trunk by its name in the branch', async () => {
    const rig = await startRig({
      ...shared,
      more: second('127.0.0.1', 'X-Second', 'responses = "if-present"'),
    })
    const start = 'OPTIONS sip:first.example SIP/2.0'
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream, { start }), rig.upstreamAt)
    const answer = answerTo((await rig.carrier.receive()).bytes, '200 OK').toString('latin1')
    expect(answer).toMatch(/-carrier;xk-loop/)
    await rig.carrier.send(Buffer.from(answer.replace('-carrier;', '-second;'), 'latin1'), rig.trunkAt)
    expect((await rig.settle()).upstream).toEqual([])
    expect(moved(rig.metrics.rejections)).toEqual({ 'carrier,trunk-a,header-missing': 1 })
  })

  it('a signed response of either is accepted', async () => {
    const rig = await startRig(shared)
    for (const [domain, trunk] of [
      ['first.example', 'carrier'],
      ['second.example', 'second'],
    ] as const) {
      const start = `OPTIONS sip:${domain} SIP/2.0`
      await rig.upstream.send(requestOf('OPTIONS', rig.upstream, { start }), rig.upstreamAt)
      const { bytes } = await rig[trunk].receive()
      await rig[trunk].send(rig.sign(answerTo(bytes, '200 OK'), rig[trunk], trunk), rig.trunkAt)
      const { message } = await rig.upstream.receive()
      expect(message.status).toBe(200)
      expect([...message.headers('X-Auth'), ...message.headers('X-Second')]).toEqual([])
    }
  })
})

describe('sources', () => {
  it.each([
    ['a network and an address in it', '127.0.0.0/8', '127.0.0.1'],
    ['an address and its port', '127.0.0.1', '{second}'],
    ['a network and an address with port', '127.0.0.0/8', '{second}'],
    ['a wide and a narrow network', '127.0.0.0/8', '127.0.0.0/24'],
  ])('%s: the most specific is first', async (_, wide, narrow) => {
    const rig = await startRig({
      carrier: `sources = ["${wide}"]\ntarget = "{carrier}"`,
      more: second(narrow, 'X-Auth'),
    })
    await rig.second.send(rig.sign(requestOf('OPTIONS', rig.second), rig.second, 'second'), rig.trunkAt)
    await rig.upstream.receive()
    expect(moved(rig.metrics.keyVerifications)).toEqual({ 'trunk-b,other,second': 1 })
  })
})

const ask = async (rig: Rig, uri: string, route?: string): Promise<void> => {
  const add = route === undefined ? [] : [['Route', route] as const]
  const bytes = requestOf('BYE', rig.upstream, { start: `BYE ${uri} SIP/2.0`, add })
  await rig.upstream.send(bytes, rig.upstreamAt)
}

describe('which trunk a request of the upstream goes to', () => {
  const separate = {
    carrier: 'sources = ["{carrier}"]\ntarget = "{carrier}"\ndomains = ["First.example", "192.0.2.55"]',
    more: second('{second}'),
  }
  it.each([
    ['a domain', 'sip:bob@second.example', 'second'],
    ['a domain in capitals', 'sip:bob@SECOND.Example:5060', 'second'],
    ['a domain written in capitals', 'sip:bob@first.example;transport=udp', 'carrier'],
    ['an address as domain', 'sip:192.0.2.55', 'carrier'],
    ['the target', 'sip:bob@{second}', 'second'],
  ] as const)('by its Request-URI: %s', async (_, uri, trunk) => {
    const rig = await startRig(separate)
    await ask(rig, uri.replace('{second}', rig.second.at))
    const { message } = await rig[trunk].receive()
    expect(rig.verify(message, rig[trunk], trunk).ok).toBe(true)
  })

  it('by the Record-Route of its dialog, whatever the Request-URI', async () => {
    const rig = await startRig(separate)
    for (const trunk of ['second', 'carrier'] as const) {
      await rig[trunk].send(rig.sign(requestOf('INVITE', rig[trunk]), rig[trunk], trunk), rig.trunkAt)
      const route = (await rig.upstream.receive()).message.headers('Record-Route')
      // The upstream is called: its route set is the Record-Route as it stands.
      await ask(rig, 'sip:bob@198.51.100.1', route.join(', '))
      const { message } = await rig[trunk].receive()
      expect(message.headers('Route')).toEqual([])
    }
  })

  it.each([
    ['nobody', 'sip:bob@elsewhere.example', undefined],
    ['the target’s address with another port', 'sip:bob@127.0.0.1:1', undefined],
    ['a telephone number', 'tel:+15550100', undefined],
    ['a trunk that there is not', 'sip:bob@elsewhere.example', '<sip:{edge};lr;xk-trunk=third>'],
    ['a trunk named by another proxy', 'sip:bob@elsewhere.example', '<sip:192.0.2.77;lr;xk-trunk=second>'],
    ['a property of Object', 'sip:bob@elsewhere.example', '<sip:{edge};lr;xk-trunk=constructor>'],
  ])('404 where it names %s', async (_, uri, route) => {
    const rig = await startRig(separate)
    await ask(rig, uri, route?.replace('{edge}', `127.0.0.1:${rig.upstreamAt.port}`))
    expect((await rig.upstream.receive()).message.status).toBe(404)
  })

  it('ACK to nobody is met with silence', async () => {
    const rig = await startRig(separate)
    const bytes = requestOf('ACK', rig.upstream, { start: 'ACK sip:elsewhere.example SIP/2.0' })
    await rig.upstream.send(bytes, rig.upstreamAt)
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
  })

  it('the only one, where there is one', async () => {
    const rig = await startRig()
    await ask(rig, 'sip:bob@elsewhere.example')
    expect((await rig.carrier.receive()).message.method).toBe('BYE')
  })

  it('no request goes from trunk to trunk', async () => {
    const rig = await startRig(separate)
    const start = 'OPTIONS sip:second.example SIP/2.0'
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier, { start })), rig.trunkAt)
    expect((await rig.upstream.receive()).message.requestUri).toBe('sip:second.example')
  })

  it('the token header of another trunk is none of this one', async () => {
    const rig = await startRig(separate)
    const bytes = editHeaders(
      requestOf('OPTIONS', rig.upstream, { start: 'OPTIONS sip:second.example SIP/2.0' }),
      {
        add: [['X-Second', 'stale']],
      },
    )
    await rig.upstream.send(bytes, rig.upstreamAt)
    const { message } = await rig.second.receive()
    expect(message.headers('X-Second')).toHaveLength(1)
    expect(rig.verify(message, rig.second, 'second').ok).toBe(true)
  })
})
