import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { answerTo, moved, requestOf, startRig, type Rig, type RigOptions } from '../support/edge-rig.ts'
import { forged } from '../support/signed-messages.ts'
import type { Received } from '../support/udp-peer.ts'

/** A rig with a request of the upstream that has reached the carrier. */
async function called(options: RigOptions = {}, method = 'INVITE'): Promise<{ rig: Rig; request: Received }> {
  const rig = await startRig(options)
  await rig.upstream.send(requestOf(method, rig.upstream), rig.upstreamAt)
  return { rig, request: await rig.carrier.receive() }
}

describe('a response from the upstream', () => {
  it('goes back by its Via, signed, with our Via gone', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    const request = await rig.upstream.receive()
    const leaked = [
      ['X-Auth', 'leaked'],
      ['Contact', '<sip:up@127.0.0.1>'],
    ] as const
    await rig.upstream.send(answerTo(request.bytes, '200 OK', leaked), rig.upstreamAt)
    const { message, from, text } = await rig.carrier.receive()
    expect(from).toEqual(rig.trunkAt)
    expect(message.headers('Via')).toEqual([request.message.headers('Via')[1]])
    expect(message.headers('X-Auth')).toHaveLength(1)
    expect(text).not.toContain('leaked')
    expect(message.headers('Record-Route')).toEqual([])
    expect(rig.verify(message)).toMatchObject({ ok: true })
    expect(moved(rig.metrics.signatures)).toEqual({ 'trunk-a,new,response,ok': 1 })
    expect(moved(rig.metrics.messages)).toEqual({
      'in,INVITE,udp': 1,
      'out,INVITE,udp': 1,
      'in,2xx,udp': 1,
      'out,2xx,udp': 1,
    })
  })

  it('has our Via cut out of a line that it shares', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const request = await rig.upstream.receive()
    const [own, theirs] = request.message.headers('Via')
    const joined = editHeaders(answerTo(request.bytes, '200 OK'), {
      remove: ['Via'],
      add: [['Via', `${own} , ${theirs}`]],
      at: 'top',
    })
    await rig.upstream.send(joined, rig.upstreamAt)
    expect((await rig.carrier.receive()).message.headers('Via')).toEqual([theirs])
  })

  it('ends at its Content-Length', async () => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    const longer = Buffer.concat([answerTo(bytes, '200 OK'), Buffer.from('SIP/2.0 200 smuggled')])
    await rig.upstream.send(longer, rig.upstreamAt)
    expect((await rig.carrier.receive()).text).not.toContain('smuggled')
  })

  it('to a trunk that signs no responses carries no token', async () => {
    const rig = await startRig({ agreement: 'responses = "off"' })
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    await rig.upstream.send(answerTo(bytes, '200 OK', [['X-Auth', 'leaked']]), rig.upstreamAt)
    expect((await rig.carrier.receive()).message.headers('X-Auth')).toEqual([])
    expect(moved(rig.metrics.signatures)).toEqual({})
  })

  it('goes on where the peer sent from, whatever its Via says', async () => {
    const rig = await startRig()
    const Via = 'SIP/2.0/UDP 203.0.113.1:9;branch=z9hG4bKx;rport'
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier, { with: { Via } })), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    await rig.upstream.send(answerTo(bytes, '200 OK'), rig.upstreamAt)
    expect((await rig.carrier.receive()).message.status).toBe(200)
  })

  it.each([
    ['an address outside of the trunks', 'SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bKx', 'target-unknown'],
    ['another port of theirs', 'SIP/2.0/UDP 127.0.0.1:{second};branch=z9hG4bKx', 'target-unknown'],
    ['received elsewhere', 'SIP/2.0/UDP {carrier};received=203.0.113.1;branch=z9hG4bKx', 'target-unknown'],
    ['a name', 'SIP/2.0/UDP pbx.example:5060;branch=z9hG4bKx', 'via-malformed'],
    ['a name as received', 'SIP/2.0/UDP {carrier};received=localhost;branch=z9hG4bKx', 'via-malformed'],
    ['IPv6 with a zone', 'SIP/2.0/UDP [fe80::1%lo];branch=z9hG4bKx', 'target-unknown'],
    ['nothing that can be parsed', 'nonsense', 'via-malformed'],
    ['no further Via', undefined, 'via-malformed'],
  ] as const)('is never sent to %s', async (_, next, reason) => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const { bytes, message } = await rig.upstream.receive()
    const [own = ''] = message.headers('Via')
    const fill = (text: string): string =>
      text.replace('{carrier}', rig.carrier.at).replace('{second}', String(rig.second.local.port))
    const add = [own, ...(next === undefined ? [] : [fill(next)])].map((value) => ['Via', value] as const)
    const answer = editHeaders(answerTo(bytes, '200 OK'), { remove: ['Via'], add, at: 'top' })
    await rig.upstream.send(answer, rig.upstreamAt)
    const { carrier } = await rig.settle()
    expect(carrier).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ [reason]: 1 })
  })

  it.each([
    ['is not ours', 'SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKxk-0-carrier'],
    ['has another port', 'SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKxk-01234567890123456789-carrier'],
    ['has no branch of ours', 'SIP/2.0/UDP {up};branch=z9hG4bKother'],
    ['has no branch', 'SIP/2.0/UDP {up}'],
    ['names a trunk that is none', 'SIP/2.0/UDP {up};branch=z9hG4bKxk-01234567890123456789-nobody'],
    ['names no trunk', 'SIP/2.0/UDP {up};branch=z9hG4bKxk-'],
    ['names a property of Object', 'SIP/2.0/UDP {up};branch=z9hG4bKxk-01234567890123456789-__proto__'],
  ])('is dropped where its top Via %s', async (_, top) => {
    const rig = await startRig()
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const { bytes, message } = await rig.upstream.receive()
    const up = `127.0.0.1:${rig.upstreamAt.port}`
    const answer = editHeaders(answerTo(bytes, '200 OK'), {
      remove: ['Via'],
      add: [
        ['Via', top.replace('{up}', up)],
        ['Via', message.headers('Via')[1]!],
      ],
      at: 'top',
    })
    await rig.upstream.send(answer, rig.upstreamAt)
    expect((await rig.settle()).carrier).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-not-ours': 1 })
  })

  it('is dropped where it comes from elsewhere', async () => {
    const rig = await startRig({ upstream: 'sources = ["{upstream}"]' })
    await rig.carrier.send(rig.sign(requestOf('OPTIONS', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    await rig.second.send(answerTo(bytes, '200 OK'), rig.upstreamAt)
    expect((await rig.settle()).carrier).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'source-unknown': 1 })
  })
})

describe('a response from a trunk', () => {
  it('passes without a token only where its branch was really made by us, for the Via below it', async () => {
    const rig = await startRig({ agreement: 'responses = "if-present"' })
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream), rig.upstreamAt)
    const genuine = answerTo((await rig.carrier.receive()).bytes, '200 OK').toString('latin1')
    const changes: readonly (readonly [RegExp, string])[] = [
      [/(z9hG4bKxk-)[0-9a-f]{20}/, `$1${'0'.repeat(20)}`],
      [/z9hG4bKpeer-1/, 'z9hG4bKpeer-2'],
      [/Call-ID: /, 'Call-ID: x'],
    ]
    for (const [found, other] of changes) {
      await rig.carrier.send(Buffer.from(genuine.replace(found, other), 'latin1'), rig.trunkAt)
    }
    await rig.carrier.send(Buffer.from(genuine, 'latin1'), rig.trunkAt)
    const { upstream } = await rig.settle()
    expect(upstream.map(({ message }) => message.status)).toEqual([200])
    expect(moved(rig.metrics.dropped)).toEqual({ 'via-not-ours': changes.length })
  })

  type Token = 'signed' | 'forged' | 'none'
  type Fate = 'accept' | 'skipped' | `reject ${string}`
  const table: readonly (readonly [string, string, string, Token, Fate])[] = [
    ['required', 'INVITE', '200 OK', 'signed', 'accept'],
    ['required', 'INVITE', '180 Ringing', 'signed', 'accept'],
    ['required', 'INVITE', '200 OK', 'none', 'reject header-missing'],
    ['required', 'INVITE', '486 Busy Here', 'none', 'reject header-missing'],
    ['required', 'INVITE', '200 OK', 'forged', 'reject token-mismatch'],
    ['required', 'INVITE', '100 Trying', 'none', 'skipped'],
    ['required', 'INVITE', '100 Trying', 'forged', 'reject token-mismatch'],
    ['required', 'CANCEL', '200 OK', 'none', 'skipped'],
    ['required', 'CANCEL', '481 Gone', 'none', 'skipped'],
    ['required', 'CANCEL', '200 OK', 'forged', 'reject token-mismatch'],
    ['if-present', 'INVITE', '200 OK', 'signed', 'accept'],
    ['if-present', 'INVITE', '200 OK', 'none', 'skipped'],
    ['if-present', 'INVITE', '200 OK', 'forged', 'reject token-mismatch'],
    ['off', 'INVITE', '200 OK', 'none', 'skipped'],
    ['off', 'INVITE', '200 OK', 'forged', 'skipped'],
  ]
  it.each(table)('%s: %s %s, token %s: %s', async (policy, method, status, token, fate) => {
    // The templates sign both ways, but under `off` the edge neither signs nor looks.
    const { rig, request } = await called({ agreement: `responses = "${policy}"` }, method)
    const plain = answerTo(request.bytes, status, [['Warning', 'kept']])
    const signing =
      policy === 'off' ? editHeaders(plain, { add: [['X-Auth', '0'.repeat(64)]] }) : rig.sign(plain)
    const bytes = { none: plain, signed: signing, forged: forged(signing) }[token]
    await rig.carrier.send(bytes, rig.trunkAt)
    const { upstream } = await rig.settle()
    const [verdict, reason] = fate.split(' ')
    expect(upstream).toHaveLength(verdict === 'reject' ? 0 : 1)
    for (const { message, from } of upstream) {
      expect(from).toEqual(rig.upstreamAt)
      expect(message.headers('X-Auth')).toEqual([])
      expect(message.headers('Via')).toEqual([request.message.headers('Via')[1]])
      expect(message.headers('Warning')).toEqual(['kept'])
    }
    const response = Object.entries(moved(rig.metrics.verifications)).filter(([labels]) =>
      labels.includes(',response,'),
    )
    expect(response).toEqual([[`carrier,trunk-a,response,${verdict}`, 1]])
    expect(moved(rig.metrics.rejections)).toEqual(
      reason === undefined ? {} : { [`carrier,trunk-a,${reason}`]: 1 },
    )
  })

  it('is never answered, even where it is refused', async () => {
    const { rig, request } = await called()
    await rig.carrier.send(forged(rig.sign(answerTo(request.bytes, '200 OK'))), rig.trunkAt)
    const { carrier, upstream } = await rig.settle()
    expect([...carrier, ...upstream]).toEqual([])
  })

  it.each(['sip.example', '203.0.113.7', '127.0.0.1:{second}'])(
    'is not sent to %s, though signed and its own Via says so',
    async (host) => {
      const { rig, request } = await called({ upstream: 'sources = ["{upstream}"]' })
      const [own = ''] = request.message.headers('Via')
      const next = `SIP/2.0/UDP ${host.replace('{second}', String(rig.second.local.port))};branch=z9hG4bKx`
      const answer = editHeaders(answerTo(request.bytes, '200 OK'), {
        remove: ['Via'],
        add: [
          ['Via', own],
          ['Via', next],
        ],
        at: 'top',
      })
      await rig.carrier.send(rig.sign(answer), rig.trunkAt)
      expect((await rig.settle()).upstream).toEqual([])
      expect(Object.values(moved(rig.metrics.dropped))).toEqual([1])
    },
  )

  it('is dropped and counted where it comes from a stranger', async () => {
    const { rig, request } = await called()
    await rig.second.send(rig.sign(answerTo(request.bytes, '200 OK')), rig.trunkAt)
    expect((await rig.settle()).upstream).toEqual([])
    expect(moved(rig.metrics.dropped)).toEqual({ 'source-unknown': 1 })
    expect(rig.events).toEqual([
      { event: 'dropped', side: 'trunk', reason: 'source-unknown', source: rig.second.local },
    ])
  })
})
