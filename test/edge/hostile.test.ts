import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseMessage } from '../../src/message/parse.ts'
import { answerTo, moved, requestOf, startRig, type EdgeEvent, type Rig } from '../support/edge-rig.ts'
import { bytesOf, type Parts } from '../support/messages.ts'
import { openPeer } from '../support/udp-peer.ts'

/** Waits until all was dealt with. What a handler throws ends as an event beside those of the system. */
async function bugsOf(rig: Rig): Promise<readonly EdgeEvent[]> {
  await rig.settle()
  return rig.events.filter(
    ({ event, reason }) => event === 'socket-error' && reason?.startsWith('send E') !== true,
  )
}

/** What is above the next Via of a response: the edge's own. */
const own = (port: number): string =>
  `SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKxk-${'0'.repeat(20)}-carrier`

/** Sends from both sides, as it stands and, where it can be signed, signed. */
async function sendFromAll(rig: Rig, bytes: Buffer): Promise<void> {
  await rig.carrier.send(bytes, rig.trunkAt)
  if (parseMessage(bytes).ok) {
    try {
      const signed = rig.sign(bytes)
      if (signed.length < 65_000) await rig.carrier.send(signed, rig.trunkAt)
    } catch {
      // A variable of the template is missing: nobody could sign it.
    }
  }
  await rig.upstream.send(bytes, rig.upstreamAt)
  await rig.second.send(bytes, rig.trunkAt)
}

const invite = (parts: Parts = {}): Buffer => bytesOf(parts)
const header = (name: string, value: string): Buffer => bytesOf({ add: [[name, value]] })
const instead = (name: string, value: string | null): Buffer => bytesOf({ with: { [name]: value } })
const uri = (text: string): Buffer => bytesOf({ start: `INVITE ${text} SIP/2.0` })

describe('the edge survives', () => {
  it.each<readonly [string, Buffer]>([
    ['S01: a Request-URI with port 99999', uri('sip:bob@host:99999')],
    ['S01: a Request-URI with port 0', uri('sip:bob@127.0.0.1:0')],
    ['S02: Route with tel', header('Route', '<tel:+1555>')],
    ['S02: Route with an IPv6 literal', header('Route', '<sip:[2001:db8::1];lr>')],
    ['S02: Route with an open bracket', header('Route', '<sip:[2001:db8::1;lr>')],
    ['S02: Route with an empty parameter', header('Route', '<sip:host;x=;lr=>;;=')],
    ['S02: Record-Route with an empty parameter', header('Record-Route', '<sip:host;x=>')],
    ['S02: Path with tel', header('Path', '<tel:+1555>')],
    ['S03: a Request-URI of tel', uri('tel:+1555')],
    ['S03: a Request-URI of IPv6', uri('sip:[::1]')],
    ['S03: an open bracket', uri('sip:[::1')],
    [
      'S05: credentials with a foreign nonce',
      header('Authorization', 'Digest username="a", nonce="b", realm="c", uri="d", response="e"'),
    ],
    ['S06: an INVITE without Contact', invite()],
    ['S10: From with 1400 spaces', instead('From', `<${' '.repeat(1400)}`)],
    ['S10: Contact with 60000 spaces', header('Contact', `<${' '.repeat(60_000)}`)],
    ['S10: Refer-To with 60000 spaces', header('Refer-To', `<${' '.repeat(60_000)}x`)],
    ['S11: 32000 line feeds', Buffer.alloc(32_000, '\n')],
    ['S11: 32000 CRLF', Buffer.alloc(64_000, '\r\n')],
    ['S11: 65000 spaces', Buffer.alloc(65_000, ' ')],
    ['S12: From and 16000 spaces', instead('From', `a${' '.repeat(16_000)}b`)],
    ['S12: Via and 16000 spaces', instead('Via', `SIP/2.0/UDP${' '.repeat(16_000)}host;branch=x`)],
    ['S13: Authorization of 32 KB', header('Authorization', 'a'.repeat(32_000))],
    ['S13: Digest of 32 KB', header('Authorization', `Digest ${'a'.repeat(32_000)}`)],
    ['S14: Route with 60000 commas', header('Route', ','.repeat(60_000))],
    ['S14: Route with 10000 entries', header('Route', '<sip:a>,'.repeat(7000))],
    ['S14: Via with 60000 commas', instead('Via', ','.repeat(60_000))],
    ['S20: Content-Length that is no number', header('Content-Length', 'abc')],
    ['S21: Content-Length 0x5', header('Content-Length', '0x5')],
    ['S21: Content-Length 2.5', header('Content-Length', '2.5')],
    ['S21: two Content-Length', bytesOf({ add: ['Content-Length: 0', 'Content-Length: 1'] })],
    [
      'S22: bytes past Content-Length',
      bytesOf({ add: ['Content-Length: 0'], body: 'INVITE sip:a SIP/2.0\r\n\r\n' }),
    ],
    ['S23: Content-Length that is too long', header('Content-Length', '500')],
    ['S25: one bad header line', bytesOf({ add: ['no colon here'] })],
    ['S40: two From headers', header('From', '<sip:evil@example>')],
    ['S41: escaped names', bytesOf({ add: ['%46rom: x', 'X%2DKey: y'] })],
    ['S41: an escaped method', bytesOf({ start: 'IN%56ITE sip:a@b SIP/2.0' })],
    ['S42: a bare LF', header('X', 'a\nEvil: 1')],
    ['S43: text behind the version', bytesOf({ start: 'INVITE sip:a@b SIP/2.0 more' })],
    [
      'S45: folds everywhere',
      bytesOf({
        with: { Via: '\r\n SIP/2.0/UDP\r\n 192.0.2.1\r\n ;branch=x', 'Max-Forwards': '\r\n 70\r\n ' },
      }),
    ],
    ['S46: Contact *', header('Contact', '*')],
    [
      'S48: IPv6 in Via',
      instead('Via', 'SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKx;received=[2001:db8::1]'),
    ],
    ['S50: Bearer', header('Authorization', 'Bearer x')],
    ['S51: a header named __proto__', bytesOf({ add: ['__proto__: x', 'constructor: y', 'toString: z'] })],
    ['S54: 64 KB with no room for a Via', bytesOf({ body: 'x'.repeat(64_990) })],
    ['a start line alone', Buffer.from('INVITE sip:a SIP/2.0\r\n')],
    ['a status of 999', bytesOf({ start: 'SIP/2.0 999 x' })],
    ['a CSeq beyond 2^64', instead('CSeq', '99999999999999999999 INVITE')],
    ['another method in CSeq', instead('CSeq', '1 BYE')],
    ['2000 headers', bytesOf({ add: Array.from({ length: 2000 }, (_, i) => `X-${i}: ${i}`) })],
    ['2000 Via headers', bytesOf({ add: Array.from({ length: 1500 }, () => 'v: SIP/2.0/UDP a') })],
  ])('%s', async (_, bytes) => {
    const rig = await startRig({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    await sendFromAll(rig, bytes)
    expect(await bugsOf(rig)).toEqual([])
    // Two valid calls went through behind it.
    expect(moved(rig.metrics.keyVerifications)['trunk-a,new,carrier']).toBeGreaterThanOrEqual(2)
  })

  it.each<readonly [string, 'passed on' | 'dropped']>([
    ['5060.5', 'dropped'],
    ['-1', 'dropped'],
    ['65536', 'dropped'],
    ['99999999999999999999', 'dropped'],
    ['1e3', 'dropped'],
    ['0x10', 'dropped'],
    ['abc', 'dropped'],
    ['Infinity', 'dropped'],
    ['"5060"', 'dropped'],
    ['', 'passed on'],
    ['0', 'passed on'],
    ['{port}', 'passed on'],
    ['0{port}', 'dropped'],
  ])('a response whose next Via has rport=%s: %s', async (rport, fate) => {
    const rig = await startRig({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    const asked = rport.replace('{port}', String(rig.upstream.local.port))
    // From the trunk as a 100, which needs no token: whoever can send from its address can send this.
    await rig.upstream.send(requestOf('OPTIONS', rig.upstream), rig.upstreamAt)
    const answer = answerTo((await rig.carrier.receive()).bytes, '100 Trying').toString('latin1')
    const changed = answer.replace(/;received=[^;\r]*;rport=\d+/, `;rport=${asked}`)
    await rig.carrier.send(Buffer.from(changed, 'latin1'), rig.trunkAt)
    const next = `SIP/2.0/UDP ${rig.carrier.at};branch=z9hG4bKx;rport=${asked}`
    const ok = bytesOf({
      start: 'SIP/2.0 200 OK',
      with: { Via: own(rig.upstreamAt.port) },
      add: [['Via', next]],
    })
    await rig.upstream.send(ok, rig.upstreamAt)
    expect(await bugsOf(rig)).toEqual([])
    const passed = moved(rig.metrics.messages)['out,1xx,udp'] ?? 0
    expect([passed, moved(rig.metrics.dropped)['via-malformed'] ?? 0]).toEqual(
      fate === 'dropped' ? [0, 2] : [1, 0],
    )
  })

  it.each(['[fe80::1%lo]', '[::ffff:127.0.0.1]', '[::1]', '0.0.0.0', '255.255.255.255', '127.0.0.1:65535'])(
    'a response whose next Via is %s',
    async (host) => {
      const rig = await startRig({
        carrier: 'sources = ["127.0.0.1", "0.0.0.0/0", "::/0"]\ntarget = "{carrier}"',
        upstream: 'sources = ["0.0.0.0/0", "::/0"]',
      })
      for (const [peer, at] of [
        [rig.carrier, rig.trunkAt],
        [rig.upstream, rig.upstreamAt],
      ] as const) {
        const add = [['Via', `SIP/2.0/UDP ${host};branch=z9hG4bKx`]] as const
        await peer.send(bytesOf({ start: 'SIP/2.0 100 Trying', with: { Via: own(at.port) }, add }), at)
      }
      expect(await bugsOf(rig)).toEqual([])
    },
  )

  it('S07: peers that have gone', async () => {
    const rig = await startRig({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    const gone = await openPeer()
    const { local } = gone
    await gone.send(requestOf('OPTIONS', gone), rig.trunkAt)
    await gone.close()
    for (let i = 0; i < 20; i++) {
      // A response that goes to the closed port: the kernel answers the edge with ICMP port unreachable.
      const add = [['Via', `SIP/2.0/UDP 127.0.0.1:${local.port};branch=z9hG4bKx`]] as const
      await rig.upstream.send(
        bytesOf({
          start: 'SIP/2.0 200 OK',
          with: { Via: own(rig.upstreamAt.port), To: '<sip:b>;tag=a' },
          add,
        }),
        rig.upstreamAt,
      )
    }
    expect(await bugsOf(rig)).toEqual([])
  })

  it('a target that has gone', async () => {
    const gone = await openPeer()
    await gone.close()
    const rig = await startRig({ carrier: `sources = ["127.0.0.1"]\ntarget = "${gone.at}"` })
    for (let i = 0; i < 20; i++) await rig.upstream.send(requestOf('INVITE', rig.upstream), rig.upstreamAt)
    const { upstream } = await rig.settle()
    expect(upstream).toEqual([])
  })

  it('S54: tells of a message that became too large to send', async () => {
    const rig = await startRig()
    const room = 65_507 - rig.sign(requestOf('MESSAGE', rig.carrier)).length
    await rig.carrier.send(
      rig.sign(requestOf('MESSAGE', rig.carrier, { body: 'x'.repeat(room) })),
      rig.trunkAt,
    )
    expect(await bugsOf(rig)).toEqual([])
    expect(rig.events).toMatchObject([{ event: 'socket-error', side: 'upstream' }])
    expect(rig.events[0]!.reason).toMatch(/EMSGSIZE/)
  })

  it('its own messages sent back to it', async () => {
    const rig = await startRig({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    await rig.carrier.send(rig.sign(requestOf('INVITE', rig.carrier)), rig.trunkAt)
    const { bytes } = await rig.upstream.receive()
    const answer = answerTo(bytes, '200 OK')
    await rig.upstream.send(bytes, rig.upstreamAt)
    await rig.carrier.receive()
    await rig.upstream.send(bytes, rig.trunkAt)
    await rig.carrier.send(answer, rig.trunkAt)
    expect(await bugsOf(rig)).toEqual([])
  })

  it('noise, and messages with a few bytes changed', async () => {
    const rig = await startRig({ carrier: 'sources = ["127.0.0.1"]\ntarget = "{carrier}"' })
    const route = [
      ['Route', `<sip:127.0.0.1:${rig.upstreamAt.port};lr;xk-trunk=carrier>, <sip:a;lr>`],
    ] as const
    const seeds = [
      rig.sign(requestOf('INVITE', rig.carrier, { add: route, body: 'body' })),
      ...[rig.trunkAt, rig.upstreamAt].map(({ port }) =>
        bytesOf({
          start: 'SIP/2.0 100 Trying',
          with: { Via: own(port) },
          add: [['Via', 'SIP/2.0/UDP 127.0.0.1;received=127.0.0.1;rport=5060;branch=z9hG4bKx']],
        }),
      ),
    ]
    const edit = fc.tuple(
      fc.nat(),
      fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from(';=,<>[]:"\r\n %@.'))),
      fc.nat(2),
    )
    const mutated = fc
      .tuple(fc.constantFrom(...seeds), fc.array(edit, { minLength: 1, maxLength: 4 }))
      .map(([seed, edits]) =>
        edits.reduce((bytes, [place, byte, how]) => {
          const at = place % bytes.length
          const middle = how === 1 ? [] : [Buffer.of(byte)]
          return Buffer.concat([bytes.subarray(0, at), ...middle, bytes.subarray(how === 2 ? at : at + 1)])
        }, seed),
      )
    const noise = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))
    for (let round = 0; round < 20; round++) {
      for (const bytes of fc.sample(fc.oneof({ weight: 9, arbitrary: mutated }, noise), {
        numRuns: 100,
        seed: round,
      })) {
        await rig.carrier.send(bytes, rig.trunkAt)
        await rig.upstream.send(bytes, rig.upstreamAt)
      }
      expect(await bugsOf(rig)).toEqual([])
    }
  })
})
