import { describe, expect, it } from 'vitest'
import { guardDrachtio } from '../../src/adapters/drachtio.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Decision, Pipeline } from '../../src/pipeline/stage.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { fakeRequest, fakeResponse, hostMessage, type FakeRequest } from '../support/drachtio-host.ts'
import { bytesOf, type Parts } from '../support/messages.ts'
import { NOON, agree, ringOf, signedBytes } from '../support/parties.ts'

const pipelineOf = (request?: string): Pipeline =>
  createPipeline([
    verifyPeer({
      peer: 'carrier',
      verifier: createVerifier({
        agreement: agree(request === undefined ? {} : { request }),
        keyring: ringOf(),
        now: () => NOON,
      }),
    }),
  ])

/** `passed`, or the answer and its reason. */
function outcomeOf(req: FakeRequest, pipeline = pipelineOf()): string {
  const { res, sent } = fakeResponse()
  const decisions: Decision[] = []
  let passed = 0
  const guard = guardDrachtio(pipeline, { onDecision: (decision) => void decisions.push(decision) })
  guard(req, res, () => passed++)
  const [decision] = decisions
  const reason = decision?.verdict === 'reject' ? decision.reason : decision?.verdict
  return passed === 1 && sent.length === 0 ? 'passed' : `${String(sent[0]?.[0])} ${reason}`
}

/** Text as it goes into a message of latin1. */
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')
/** A request with the token of its sender, who means what he signs. */
const signed = (parts: Parts, changes = {}): FakeRequest => fakeRequest(signedBytes(bytesOf(parts)), changes)

describe('a request with a good token that drachtio-srf reads as another one', () => {
  it.each([
    [
      'From, whose display name is an address',
      { with: { From: 'sip:ceo@bank.example <sip:mallory@evil.example>;tag=1' } },
    ],
    ['To, whose display name is an address', { with: { To: 'sip:free@a.example <sip:premium@b.example>' } }],
    [
      'From, whose display name is no tokens',
      { with: { From: utf8('Zoë <sip:mallory@evil.example>;tag=1') } },
    ],
  ])('%s: 400 address-unreadable', (_, parts) => {
    expect(outcomeOf(signed(parts))).toBe('400 address-unreadable')
  })

  it.each([
    [
      'Request-URI with a blank that is none in SIP',
      { start: utf8('INVITE sip:free\u00a0SIP/2.0@premium.example SIP/2.0') },
    ],
    ['body behind an empty line, without Content-Length', { body: 'v=0\r\n\r\nv=1\r\n' }],
    ['From tag behind a parameter', { with: { From: '<sip:a@b>;x=a:b;tag=1' } }],
    ['To tag behind a parameter', { with: { To: '<sip:a@b>;x=[1];tag=2' } }],
    ['To tag without a value', { with: { To: '<sip:a@b>;tag' } }],
    ['From tag in quotes', { with: { From: '<sip:a@b>;tag="1"' } }],
    ['URI with a blank before its end', { with: { From: '<sip:a@b >;tag=1' } }],
    [
      'display name that req.callingNumber reads',
      { with: { From: '"sip:ceo@bank.example" <sip:mallory@evil.example>;tag=1' } },
    ],
  ])('%s: 400 reading-differs', (_, parts) => {
    expect(outcomeOf(signed(parts))).toBe('400 reading-differs')
  })

  it.each([
    ['another method', { method: 'BYE' }],
    ['another Request-URI', { uri: 'sip:premium@biloxi.example' }],
    ['another body', { body: 'v=1' }],
    ['no Request-URI', { uri: undefined }],
    ['no body', { body: undefined }],
    ['no parser', { getParsedHeader: undefined }],
    ['a parser that finds nothing', { getParsedHeader: () => undefined }],
    [
      'a parser that throws',
      {
        getParsedHeader: () => {
          throw new TypeError('r is undefined')
        },
      },
    ],
  ])('the host gives %s: 400', (_, changes) => {
    expect(outcomeOf(signed({}, changes))).toBe('400 reading-differs')
  })

  it.each([
    ['bare URIs', { with: { From: 'sip:a@b;tag=1', To: 'sip:b@c' } }],
    [
      'words as display name',
      { with: { From: 'Alice B. %~ <sip:a@b>;tag=1', To: 'Bob\r\n  <sip:b@c>;tag=2' } },
    ],
    ['a display name in quotes', { with: { From: utf8('"Zoë, \\"Z\\" <x>　" <sip:zoë@b>;x="y,z";tag=1') } }],
    ['its own number as display name', { with: { From: '"sip:100@pbx" <sip:100@pbx.example>;tag=1' } }],
    ['a body of two parts', { add: ['Content-Length: 14'], body: 'v=0\r\n\r\nv=1\r\n\r\n' }],
    ['a body outside ASCII', { add: ['l: 6'], body: utf8('Zoë\r\n') }],
    ['no body', {}],
    [
      'a telephone number',
      { start: 'INVITE tel:+15550100;phone-context=x SIP/2.0', with: { To: '<tel:+15550100>' } },
    ],
  ])('but not one with %s, which both read alike', (_, parts) => {
    expect(outcomeOf(signed(parts))).toBe('passed')
  })
})

const blanks = ' '.repeat(1600)

describe('an address that drachtio-srf would backtrack over, or throw at', () => {
  const headers = [
    'Contact',
    'm',
    'Route',
    'Record-Route',
    'Path',
    'Refer-To',
    'Referred-By',
    'P-Asserted-Identity',
    'Remote-Party-ID',
  ]
  const values = [
    ['an address that never ends', `<${blanks}`],
    ['blanks before a parameter', `<sip:a@b>${blanks};x`],
    ['thousands of entries', `${'<a>,'.repeat(16_000)}<a>`],
    ['a parameter alone', ';'],
    ['a comma at its end', '<sip:a@b>,'],
    ['a bare URI up to a comma', 'sip:a,"b ,;" <sip:c@d>'],
    ['a line end of Unicode in quotes', utf8('"\\\u2028,;" <sip:a@b>')],
    ['white space outside ASCII', utf8('\u3000;x')],
    ['nothing', ''],
  ] as const
  it.each(headers.flatMap((name) => values.map(([what, value]) => [name, what, value] as const)))(
    '%s with %s is 400, and the host is not asked',
    (name, _, value) => {
      let asked = 0
      const req = signed({}, { getParsedHeader: () => asked++ })
      const [head] = signedBytes(bytesOf()).toString('latin1').split('\r\n\r\n')
      // The token does not cover it: anybody on the way can add it.
      const raw = Buffer.from(`${head}\r\n${name}: ${value}\r\n\r\n`, 'latin1').toString()
      expect(outcomeOf({ ...req, raw })).toBe('400 address-unreadable')
      expect(asked).toBe(0)
    },
  )

  it.each([
    ['From', 'an address that never ends', `<${blanks}`],
    ['To', 'a quote that never ends', `"${blanks}`],
    ['To', 'more than 4,096 bytes', `<sip:b@c;${'x'.repeat(5000)}>`],
  ])('%s with %s, which the template does not read, is 400, and the host is not asked', (name, _, value) => {
    const request = '$ru:$ci'
    const text = signedBytes(bytesOf(), { agreement: { request } }).toString('latin1')
    const raw = text.replace(new RegExp(`^${name}: .*$`, 'm'), `${name}: ${value}`)
    let asked = 0
    const req = signed({}, { raw, getParsedHeader: () => asked++ })
    expect(outcomeOf(req, pipelineOf(request))).toBe('400 address-unreadable')
    expect(asked).toBe(0)
  })

  it('a Request-URI of more than 4,096 bytes is 400: req.calledNumber looks for its @ from every sip: on', () => {
    const [long, short] = [5000, 4000].map((length) => `INVITE sip:a@b;x=${'x'.repeat(length)} SIP/2.0`)
    expect(outcomeOf(signed({ start: long! }))).toBe('400 address-unreadable')
    expect(outcomeOf(signed({ start: short! }))).toBe('passed')
  })

  it.each([
    [
      'Contact',
      '<sip:a@192.0.2.1:5060;transport=tcp>;+sip.instance="<urn:uuid:0-1>";q=0.7, sip:b@c;expires=60',
    ],
    ['Contact', '*'],
    ['Contact', '"A, B" <sip:a@my_host>'],
    ['Contact', 'sip:a@b , sip:c@d'],
    ['Record-Route', '<sip:192.0.2.1;lr;did=1.2>,\r\n   <sip:[2001:db8::1]:5060;lr>'],
    ['Refer-To', '<sip:a@b?Replaces=1%40c%3Bto-tag%3Dx>'],
    ['P-Asserted-Identity', '"A" <sip:+1555@b;user=phone>, tel:+1555'],
    ['Remote-Party-ID', '"A" <sip:a@b>;party=calling;privacy=off'],
  ])('%s: %j goes on, and the host takes it apart', (name, value) => {
    const req = signed({ add: [[name, value]] })
    expect(outcomeOf(req)).toBe('passed')
    expect(() => hostMessage(req.raw!)!.getParsedHeader(name)).not.toThrow()
  })

  it.each([
    ['many entries', 'a ,'.repeat(1300) + 'a'],
    ['many parameters', `<sip:a@b>${';a'.repeat(2000)}`],
    ['many parameters of a URI', `<sip:u@h${';a'.repeat(2000)}:;;>`],
    ['many blanks', `<sip:a@b>${`${' '.repeat(31)};a`.repeat(120)}`],
  ])('the longest list that goes on takes the host no time: %s', (_, value) => {
    const req = signed({ add: [['Contact', value]] })
    expect(outcomeOf(req)).toBe('passed')
    const start = performance.now()
    req.getParsedHeader!('contact')
    // 10 ms alone; the bug took seconds.
    expect(performance.now() - start).toBeLessThan(400)
  })
})
