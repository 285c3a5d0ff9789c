import { describe, expect, it } from 'vitest'
import { moved, requestOf, startRig } from '../support/edge-rig.ts'
import type { Received } from '../support/udp-peer.ts'

const withoutToken = (text: string): string => text.replace(/X-Auth: .*\r\n/g, '')

describe('a request from a trunk', () => {
  it.each(['INVITE', 'OPTIONS', 'REGISTER', 'MESSAGE', 'BYE', 'CANCEL', 'ACK', 'FOO'])(
    '%s goes to the upstream without its token, with one Via more and one hop less',
    async (method) => {
      const rig = await startRig()
      const bytes = requestOf(method, rig.carrier, {
        add: [
          ['X-Odd', ' kept  '],
          ['l', '4'],
        ],
        body: 'v=0\n',
      })
      await rig.carrier.send(rig.sign(bytes), rig.trunkAt)
      const { text, message, from } = await rig.upstream.receive()
      expect(from).toEqual(rig.upstreamAt)
      const [own, theirs, ...others] = message.headers('Via')
      const port = rig.upstreamAt.port
      expect(own).toMatch(
        new RegExp(`^SIP/2\\.0/UDP 127\\.0\\.0\\.1:${port};branch=z9hG4bK[\\w-]+;xk-loop=[0-9a-f]{8}$`),
      )
      const stamp = `received=127.0.0.1;rport=${rig.carrier.local.port}`
      expect(theirs).toBe(`SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKpeer-1;${stamp}`)
      expect(others).toEqual([])
      expect(message.headers('Max-Forwards')).toEqual(['69'])
      expect(message.headers('X-Auth')).toEqual([])
      // Every other byte is as it was.
      const original = bytes
        .toString('latin1')
        .replace('Max-Forwards: 70', 'Max-Forwards: 69')
        .replace(';rport', `;${stamp}`)
      const added = text
        .replace(/^Via: .*;branch=z9hG4bKxk.*\r\n/m, '')
        .replace(/^Record-Route: .*\r\n/gm, '')
      expect(added).toBe(original)
    },
  )

  it('loses tokens of every spelling', async () => {
    const rig = await startRig({ agreement: 'repeated = "first"' })
    const signed = rig.sign(requestOf('OPTIONS', rig.carrier)).toString('latin1')
    const bytes = signed.replace(
      /(X-Auth: (\w+)\r\n)/,
      '$1x-auth : second\r\nX-AUTH:\r\n folded\r\nX-Auth-Other: stays\r\n',
    )
    await rig.carrier.send(Buffer.from(bytes, 'latin1'), rig.trunkAt)
    const { text } = await rig.upstream.receive()
    expect(text).not.toMatch(/^x-auth *:/im)
    expect(text).not.toContain('folded')
    expect(text).toContain('X-Auth-Other: stays')
  })

  it('S22: ends at its Content-Length', async () => {
    const rig = await startRig()
    const bytes = requestOf('MESSAGE', rig.carrier, {
      add: [['Content-Length', '2']],
      body: 'okINVITE smuggled',
    })
    await rig.carrier.send(rig.sign(bytes), rig.trunkAt)
    const { text } = await rig.upstream.receive()
    expect(text).toMatch(/\r\n\r\nok$/)
  })

  it('is counted once: accepted, and by its key', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    await rig.upstream.receive()
    expect(moved(rig.metrics.verifications)).toEqual({ 'carrier,trunk-a,request,accept': 1 })
    expect(moved(rig.metrics.keyVerifications)).toEqual({ 'trunk-a,new,carrier': 1 })
    expect(moved(rig.metrics.rejections)).toEqual({})
    expect(moved(rig.metrics.messages)).toEqual({ 'in,INVITE,udp': 1, 'out,INVITE,udp': 1 })
    expect(rig.decisions).toEqual([
      {
        event: 'decided',
        side: 'trunk',
        source: rig.carrier.local,
        peer: 'carrier',
        method: 'INVITE',
        verdict: 'accept',
        key: 'new',
        callId: 'a84b4c76e66710@pc33.atlanta.example',
      },
    ])
  })
})

describe('Max-Forwards', () => {
  it.each([
    ['70', '69'],
    ['1', '0'],
    ['255', '254'],
    ['007', '6'],
    [' 10 ', '9'],
  ])('%j leaves as %j', async (hops, left) => {
    const rig = await startRig()
    await rig.carrier.send(
      rig.sign(requestOf('OPTIONS', rig.carrier, { with: { 'Max-Forwards': hops } })),
      rig.trunkAt,
    )
    expect((await rig.upstream.receive()).message.headers('Max-Forwards')).toEqual([left])
  })

  it('is added where it is missing', async () => {
    const rig = await startRig()
    await rig.carrier.send(
      rig.sign(requestOf('OPTIONS', rig.carrier, { with: { 'Max-Forwards': null } })),
      rig.trunkAt,
    )
    expect((await rig.upstream.receive()).message.headers('Max-Forwards')).toEqual(['70'])
  })

  it.each([
    ['0', 483],
    ['00', 483],
    ['', 400],
    ['-1', 400],
    ['seventy', 400],
    ['7 0', 400],
    ['256', 400],
    ['1e2', 400],
    ['99999999999999999999', 400],
  ])('%j is answered %d, from either side', async (hops, status) => {
    const rig = await startRig()
    const from = (peer: typeof rig.carrier): Buffer =>
      requestOf('OPTIONS', peer, { with: { 'Max-Forwards': hops } })
    await rig.carrier.send(rig.sign(from(rig.carrier)), rig.trunkAt)
    await rig.upstream.send(from(rig.upstream), rig.upstreamAt)
    const answers = await Promise.all([rig.carrier.receive(), rig.upstream.receive()])
    expect(answers.map(({ message }) => message.status)).toEqual([status, status])
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
  })

  it('0 on an ACK is met with silence', async () => {
    const rig = await startRig()
    await rig.carrier.send(
      rig.sign(requestOf('ACK', rig.carrier, { with: { 'Max-Forwards': '0' } })),
      rig.trunkAt,
    )
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
  })
})

describe('Via', () => {
  it.each([
    ['without rport, sent-by is the source', '{at};branch=z9hG4bKa', '{at};branch=z9hG4bKa'],
    [
      'without rport, sent-by is a name',
      'pbx.example;branch=z9hG4bKa',
      'pbx.example;branch=z9hG4bKa;received=127.0.0.1',
    ],
    ['received forged', '{at};received=203.0.113.1;branch=z9hG4bKa', '{at};branch=z9hG4bKa'],
    ['rport forged', '{at};rport=9;branch=z9hG4bKa', '{at};branch=z9hG4bKa;received=127.0.0.1;rport={port}'],
    ['no branch at all', '{at}', '{at}'],
    [
      'several on one line',
      '{at};branch=z9hG4bKa, SIP/2.0/UDP second.example',
      '{at};branch=z9hG4bKa, SIP/2.0/UDP second.example',
    ],
  ])('is stamped with its source: %s', async (_, via, stamped) => {
    const rig = await startRig()
    const fill = (text: string): string =>
      `SIP/2.0/UDP ${text.replace('{at}', rig.carrier.at).replace('{port}', String(rig.carrier.local.port))}`
    await rig.carrier.send(
      rig.sign(requestOf('OPTIONS', rig.carrier, { with: { Via: fill(via) } })),
      rig.trunkAt,
    )
    expect((await rig.upstream.receive()).message.headers('Via')[1]).toBe(fill(stamped))
  })

  it('that cannot be parsed is dropped', async () => {
    const rig = await startRig()
    await rig.carrier.send(
      rig.sign(requestOf('OPTIONS', rig.carrier, { with: { Via: 'SIP/2.0 nonsense' } })),
      rig.trunkAt,
    )
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-malformed': 1 })
  })
})

/** The mark differs from one Call-ID to the next. */
const recordRoutes = ({ message }: Received): string[] =>
  message.headers('Record-Route').map((value) => value.replace(/\.[0-9a-f]{20}>/, '.MARK>'))

describe('Record-Route and Route', () => {
  it.each(['INVITE', 'SUBSCRIBE', 'NOTIFY', 'REFER'])(
    '%s is recorded on both sides, the far one on top; what the upstream asks is led to the trunk',
    async (method) => {
      const rig = await startRig()
      const [port, back] = [rig.upstreamAt.port, rig.trunkAt.port]
      await rig.carrier.send(
        rig.sign(requestOf(method, rig.carrier, { add: [['Record-Route', '<sip:before.example;lr>']] })),
        rig.trunkAt,
      )
      expect(recordRoutes(await rig.upstream.receive())).toEqual([
        `<sip:127.0.0.1:${port};lr;xk-trunk=carrier.MARK>`,
        `<sip:127.0.0.1:${back};lr>`,
        '<sip:before.example;lr>',
      ])
      await rig.upstream.send(requestOf(method, rig.upstream), rig.upstreamAt)
      expect(recordRoutes(await rig.carrier.receive())).toEqual([
        `<sip:127.0.0.1:${back};lr>`,
        `<sip:127.0.0.1:${port};lr;xk-trunk=carrier.MARK>`,
      ])
    },
  )

  it.each(['OPTIONS', 'REGISTER', 'BYE', 'ACK', 'MESSAGE'])('%s is not recorded', async (method) => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf(method, rig.carrier)), rig.trunkAt)
    expect(recordRoutes(await rig.upstream.receive())).toEqual([])
  })

  it.each([
    ['both of ours, a line each', ['<{trunk};lr;xk-trunk=carrier>', '<{up};lr;xk-trunk=carrier>'], []],
    ['both on one line', ['<{trunk};lr>, <{up};lr>'], []],
    [
      'before a foreign one, a line each',
      ['<{trunk};lr>', '<{up};lr>', '<sip:next.example;lr>'],
      ['<sip:next.example;lr>'],
    ],
    [
      'before a foreign one, on one line',
      ['<{trunk};lr>,<{up};lr> , <sip:next.example;lr>'],
      ['<sip:next.example;lr>'],
    ],
    [
      'a foreign one first: all stay',
      ['<sip:next.example;lr>', '<{trunk};lr>'],
      ['<sip:next.example;lr>', '<{trunk};lr>'],
    ],
    ['another port of ours is not ours', ['<sip:127.0.0.1:1;lr>'], ['<sip:127.0.0.1:1;lr>']],
    ['with display name and blanks', ['"Edge"  <{trunk};lr> ; x=y'], []],
    ['unparsable stays', ['<<>>'], ['<<>>']],
    ['S02: tel stays', ['<tel:+1555>'], ['<tel:+1555>']],
  ])('routes: %s', async (_, routes, left) => {
    const rig = await startRig()
    const fill = (text: string): string =>
      text
        .replaceAll('{trunk}', `sip:127.0.0.1:${rig.trunkAt.port}`)
        .replaceAll('{up}', `sip:127.0.0.1:${rig.upstreamAt.port}`)
    const add = routes.map((route) => ['Route', fill(route)] as const)
    const inDialog = { To: '<sip:bob@biloxi.example>;tag=dialog' }
    await rig.carrier.send(rig.sign(requestOf('BYE', rig.carrier, { add, with: inDialog })), rig.trunkAt)
    const { message, text } = await rig.upstream.receive()
    expect(message.headers('Route')).toEqual(left.map(fill))
    expect(withoutToken(text)).not.toMatch(/\r\n,|: *,/)
  })
})

describe('a request of a trunk that begins something', () => {
  it.each<readonly [string, readonly string[], readonly string[]]>([
    ['more of ours than we record', ['<{trunk};lr>, <{up};lr>, <{up};lr>'], []],
    [
      'ours behind another',
      ['<{trunk};lr>, <sip:p;lr>, <{up};lr>', '<sip:q;lr>'],
      ['<sip:p;lr>', '<sip:q;lr>'],
    ],
    ['none of ours', ['<sip:p;lr>, <sip:q;lr>'], ['<sip:p;lr>, <sip:q;lr>']],
  ])('leads nobody back to us by its Route: %s', async (_, routes, left) => {
    const rig = await startRig()
    const fill = (text: string): string =>
      text
        .replaceAll('{trunk}', `sip:127.0.0.1:${rig.trunkAt.port}`)
        .replaceAll('{up}', `sip:127.0.0.1:${rig.upstreamAt.port}`)
    const add = routes.map((route) => ['Route', fill(route)] as const)
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier, { add })), rig.trunkAt)
    expect((await rig.upstream.receive()).message.headers('Route')).toEqual(left)
  })

  it('420 where it needs an extension of a proxy, as we know none', async () => {
    const rig = await startRig()
    const add = [
      ['Proxy-Require', 'foo,\r\n bar'],
      ['Proxy-Require', 'x'],
    ] as const
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier, { add })), rig.trunkAt)
    const { message } = await rig.carrier.receive()
    expect([message.status, message.headers('Unsupported')]).toEqual([420, ['foo, bar, x']])
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream, { add }), rig.upstreamAt)
    expect((await rig.upstream.receive()).message.status).toBe(420)
    expect(await rig.settle()).toEqual({ carrier: [], upstream: [] })
  })
})

describe('a request from the upstream', () => {
  it('goes to the trunk signed over what the peer will see', async () => {
    const rig = await startRig()
    const bytes = requestOf('INVITE', rig.upstream, { add: [['Content-Length', '2']], body: 'ok-and-more' })
    await rig.upstream.send(bytes, rig.upstreamAt)
    const { message, from, text } = await rig.carrier.receive()
    expect(from).toEqual(rig.trunkAt)
    expect(message.headers('X-Auth')).toHaveLength(1)
    expect(rig.verify(message)).toEqual({ ok: true, key: { group: 'trunk-a', name: 'new' }, state: 'active' })
    expect(message.headers('Max-Forwards')).toEqual(['69'])
    expect(message.headers('Via')[0]).toMatch(
      new RegExp(`^SIP/2\\.0/UDP 127\\.0\\.0\\.1:${rig.trunkAt.port};branch=z9`),
    )
    expect(message.headers('Via')[1]).toMatch(
      new RegExp(`;received=127\\.0\\.0\\.1;rport=${rig.upstream.local.port}$`),
    )
    expect(text).toMatch(/\r\n\r\nok$/)
    expect(moved(rig.metrics.signatures)).toEqual({ 'trunk-a,new,request,ok': 1 })
  })

  it('has tokens removed that were there before', async () => {
    const rig = await startRig()
    const add = [
      ['X-Auth', 'leaked'],
      ['x-auth', 'again'],
    ] as const
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream, { add }), rig.upstreamAt)
    const { message, text } = await rig.carrier.receive()
    expect(message.headers('X-Auth')).toHaveLength(1)
    expect(text).not.toMatch(/leaked|again/)
    expect(rig.verify(message).ok).toBe(true)
  })

  it('is answered 500, and counted, where it cannot be signed', async () => {
    const rig = await startRig({ agreement: 'max_data = 64' })
    await rig.upstream.send(requestOf('INVITE', rig.upstream), rig.upstreamAt)
    expect((await rig.upstream.receive()).message.status).toBe(500)
    expect(rig.events).toEqual([
      { event: 'sign-failed', side: 'trunk', peer: 'carrier', reason: 'data-too-long' },
    ])
    expect(moved(rig.metrics.signatures)).toEqual({ 'trunk-a,,request,error': 1 })
  })

  it('needs no token where the agreement signs no requests', async () => {
    const rig = await startRig({
      carrier: 'sources = ["{second}"]\ntarget = "{second}"',
      more: `
        [agreements.responses-only]
        header = "X-Answer"
        group = "trunk-a"
        algorithm = "hmac-sha256"
        response = "$rs:$ci:$hdr(CSeq)"
        [trunks.answers]
        agreement = "responses-only"
        sources = ["{carrier}"]
        target = "{carrier}"
        domains = ["answers.example"]`,
    })
    await rig.upstream.send(
      requestOf('OPTIONS', rig.upstream, { start: 'OPTIONS sip:answers.example SIP/2.0' }),
      rig.upstreamAt,
    )
    expect((await rig.carrier.receive()).message.headers('X-Answer')).toEqual([])
  })

  it('is dropped and counted where it comes from elsewhere', async () => {
    const rig = await startRig({ upstream: 'sources = ["{upstream}"]' })
    await rig.second.send(requestOf('INVITE', rig.second), rig.upstreamAt)
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'source-unknown': 1 })
    expect(rig.events).toEqual([
      { event: 'dropped', side: 'upstream', reason: 'source-unknown', source: rig.second.local },
    ])
  })

  it.each(['tel:+15550100', 'sip:[2001:db8::1]', 'urn:service:sos', 'SIP:bob@HOST'])(
    'S01, S03: takes the Request-URI %s',
    async (uri) => {
      const rig = await startRig()
      await rig.upstream.send(
        requestOf('OPTIONS', rig.upstream, { start: `OPTIONS ${uri} SIP/2.0` }),
        rig.upstreamAt,
      )
      const { message } = await rig.carrier.receive()
      expect(message.requestUri).toBe(uri)
      expect(rig.verify(message).ok).toBe(true)
    },
  )

  it.each(['sip:bob@host:99999', 'x', '*'])(
    'that has $ru in its token cannot be signed for %s',
    async (uri) => {
      const rig = await startRig()
      await rig.upstream.send(
        requestOf('OPTIONS', rig.upstream, { start: `OPTIONS ${uri} SIP/2.0` }),
        rig.upstreamAt,
      )
      expect((await rig.upstream.receive()).message.status).toBe(500)
      expect(rig.events).toMatchObject([{ event: 'sign-failed', reason: 'variable-missing' }])
    },
  )
})
