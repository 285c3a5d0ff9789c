import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { toSipMessage } from '../../src/adapters/sip-message.ts'
import { stringify } from '../../src/adapters/sip-package.ts'
import type { SipRemote, SipRequest, SipResponse } from '../../src/adapters/sip-types.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, outcome, parsed, responseBytes, type Parts } from '../support/messages.ts'

/** The stock parser, beside ours on messages that do it no harm. */
const stock = createRequire(import.meta.url)('sip') as { parse(bytes: Buffer): SipRequest | SipResponse }

const REMOTE: SipRemote = {
  protocol: 'UDP',
  address: '192.0.2.9',
  port: 5099,
  local: { address: '198.51.100.7', port: 5080 },
}

function ours(bytes: Buffer, remove: readonly string[] = []): SipRequest | SipResponse {
  const result = toSipMessage(viewOf(parsed(bytes)), REMOTE, new Set(remove))
  if (!result.ok) throw new Error(`refused: ${result.reason}`)
  return result.message
}

function theirs(bytes: Buffer): SipRequest | SipResponse {
  const message = stock.parse(bytes)
  if (message.method !== undefined) {
    // What its UDP transport does before it hands the request on.
    const { params } = message.headers.via[0]!
    params['received'] = REMOTE.address
    if ('rport' in params) params['rport'] = REMOTE.port
  }
  return message
}

const fault = (parts: Parts): string => {
  const result = toSipMessage(viewOf(parsed(bytesOf(parts))), REMOTE, new Set())
  return result.ok ? 'taken' : result.reason
}

describe('credentials that were ours', () => {
  it('are not seen by the app, those of others are', () => {
    const add = [
      ['Authorization', 'Digest realm="ours"'],
      ['Authorization', 'Digest realm="theirs"'],
      ['X-A', 'one, two'],
    ] as const
    const edit = [
      { name: 'authorization', value: 'Digest realm="ours"', left: '' },
      { name: 'X-A', value: 'one, two', left: 'two' },
    ]
    const result = toSipMessage(viewOf(parsed(bytesOf({ add }))), REMOTE, new Set(), edit)
    if (!result.ok) throw new Error(result.reason)
    expect(result.message.headers).toMatchObject({
      authorization: [{ scheme: 'Digest', realm: '"theirs"' }],
      'x-a': 'two',
    })
  })
})

describe('the object is the one that the package makes', () => {
  it.each<[string, Buffer]>([
    ['of a plain request', bytesOf()],
    ['with a body', bytesOf({ add: ['Content-Type: text/plain', 'Content-Length: 5'], body: 'hell\xf6' })],
    ['of a response', responseBytes('180 Ringing', { with: { To: '<sip:bob@b.example>;tag=1;x="y z"' } })],
    ['of a response without a phrase', responseBytes('486 ')],
    [
      'with contacts',
      bytesOf({
        add: ['Contact: <sip:a@b:5070;transport=tcp>;expires=60, "C, D" <sip:c@d>', 'm: sip:e@f;q=0.5'],
      }),
    ],
    [
      'with words for a name',
      bytesOf({ with: { From: 'Alice  Smith <sip:alice@a.example>;tag=1;Foo=Bar;lr' } }),
    ],
    ['with a bare URI', bytesOf({ with: { From: 'sip:alice@a.example;tag=1' } })],
    [
      'with routes',
      bytesOf({
        add: [
          'Route: <sip:p1.example;lr>,<sip:u:pw@p2.example:5070;lr;x=1?a=b&c=d>',
          'Route: "N" <sips:p3.example>;r=1',
        ],
      }),
    ],
    [
      'with record routes and path',
      bytesOf({ add: ['Record-Route: <sip:p1;lr>, <sip:p2;lr>', 'Path: <sip:p@p3;lr;ob>'] }),
    ],
    [
      'with several Vias',
      bytesOf({
        with: {
          Via: 'SIP/2.0/UDP a.example:5060;branch=z9hG4bKa;rport, SIP/2.0/TCP b.example ; branch=z9hG4bKb;received=192.0.2.1',
        },
        add: ['v: SIP/2.0/TLS c;branch=z9hG4bKc'],
      }),
    ],
    [
      'with credentials',
      bytesOf({
        add: [
          'Authorization: Digest username="a", realm="b \\" c",nonce="n", uri="sip:a@b", response="r", qop=auth, nc=00000001',
          'Proxy-Authorization: Digest username="p",realm="q"',
        ],
      }),
    ],
    [
      'with challenges',
      responseBytes('401 Unauthorized', {
        add: [
          'WWW-Authenticate: Digest realm="a", nonce="b", stale=FALSE',
          'WWW-Authenticate: Digest realm="c", algorithm=SHA-256, nonce="d"',
        ],
      }),
    ],
    [
      'with Authentication-Info',
      responseBytes('200 OK', { add: ['Authentication-Info: nextnonce="n", qop=auth'] }),
    ],
    ['with Refer-To', bytesOf({ add: ['Refer-To: <sip:c@d?Replaces=x>;p'] })],
    [
      'with headers it does not know',
      bytesOf({ add: ['X-A: 1 ', 'X-a: two,  three', 'Subject:  a\r\n  b', 'k: 100rel'] }),
    ],
  ])('%s', (_what, bytes) => {
    expect(ours(bytes)).toEqual(theirs(bytes))
  })

  it('a header that was removed is not seen, whatever its case', () => {
    expect(ours(bytesOf({ add: ['X-AUTH: 1', 'X-Other: 2'] }), ['x-auth']).headers).not.toHaveProperty(
      'x-auth',
    )
  })
})

const there = (parts: Parts): SipRequest => ours(bytesOf(parts)) as SipRequest

const back = (parts: Parts): string => stringify(ours(bytesOf(parts)))

describe('what the package loses or breaks is kept', () => {
  it('S02 routes with tel:, an IPv6 literal or an empty parameter', () => {
    const add = ['Route: <tel:+1;lr>, <sip:[2001:db8::1]:5070;lr>, <sip:a;x=;lr>;y=']
    expect(there({ add }).headers.route).toMatchObject([
      { uri: 'tel:+1;lr' },
      { uri: { host: '[2001:db8::1]', port: 5070, params: { lr: null } } },
      { uri: { host: 'a', params: { x: null, lr: null } }, params: { y: null } },
    ])
    expect(back({ add })).toContain('Route:  <tel:+1;lr>,  <sip:[2001:db8::1]:5070;lr>,  <sip:a;x;lr>;y\r\n')
  })

  it('S44 compact names are the registered ones', () => {
    expect(there({ add: ['e: gzip', 'o: presence', 'u: x'] }).headers).toMatchObject({
      'content-encoding': 'gzip',
      event: 'presence',
      'allow-events': 'x',
    })
  })

  it('S46 Contact: *', () => {
    expect(back({ add: ['Contact: * '] })).toContain('\r\nContact: *\r\n')
  })

  it('S47 two bare contacts, and a display name in UTF-8', () => {
    const { contact } = there({ add: ['Contact: sip:a@b, J\xc3\xb6rg <sip:c@d>'] }).headers
    expect(contact).toMatchObject([{ uri: 'sip:a@b' }, { name: 'J\xc3\xb6rg', uri: 'sip:c@d' }])
  })

  it('S48 IPv6 in a Via', () => {
    const Via = 'SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bKa;received=2001:db8::2'
    expect(there({ with: { Via } }).headers.via[0]).toMatchObject({
      host: '[2001:db8::1]',
      port: 5070,
      params: { branch: 'z9hG4bKa', received: '192.0.2.9' },
    })
  })

  it('S50 credentials that are no list, and a parameter called scheme', () => {
    expect(there({ add: ['Authorization: Bearer abc.def='] }).headers.authorization).toBe('Bearer abc.def=')
    expect(there({ add: ['Authorization: Digest scheme="x", realm="y"'] }).headers.authorization).toEqual([
      { scheme: 'Digest', realm: '"y"' },
    ])
  })

  it.each(['__proto__', 'constructor'])('S51 a header or parameter called %s harms nothing', (name) => {
    const { headers } = there({
      with: { Via: `SIP/2.0/UDP a;branch=b;${name}=x;${name}` },
      add: [
        `${name}: v`,
        `Contact: <sip:a@b;${name}=x>;${name}`,
        `Authorization: Digest ${name}="x", realm="y"`,
      ],
    })
    expect(Object.keys(headers)).not.toContain(name)
    for (const one of [headers, headers.via[0]!.params])
      expect(Object.getPrototypeOf(one)).toBe(Object.prototype)
    expect(Object.prototype).not.toHaveProperty('x')
  })
})

it('L7 NBSP is no blank', () => {
  expect(there({ with: { To: 'sip:bob@b.example\xa0' } }).headers.to.uri).toBe('sip:bob@b.example\xa0')
  expect(there({ add: ['Authorization: \xa0Bearer x\xa0 '] }).headers.authorization).toBe('\xa0Bearer x\xa0')
})

describe('what no object can be made of', () => {
  it.each<[string, Parts, string]>([
    ['From without an address', { with: { From: `<${' '.repeat(1400)}` } }, 'address-malformed'],
    ['a To that is none', { with: { To: '"' } }, 'address-malformed'],
    ['a Contact that is none', { add: ['Contact: <sip:a@b'] }, 'address-malformed'],
    ['a Route of commas', { add: [`Route: ${','.repeat(60_000)}`] }, 'address-malformed'],
    ['a Via that is none', { with: { Via: 'UDP' } }, 'via-malformed'],
    ['a second Via that is none', { add: ['Via: x'] }, 'via-malformed'],
    [
      '501 routes on one line',
      { add: [`Route: ${'<sip:a;lr>,'.repeat(500)}<sip:a;lr>`] },
      'address-malformed',
    ],
    ['501 contacts on many', { add: Array.from({ length: 501 }, () => 'm: <sip:a>') }, 'address-malformed'],
    ['M4 two Refer-To', { add: ['Refer-To: <sip:a@b>', 'r: <sip:c@d>'] }, 'header-repeated'],
    [
      'M4 two Authentication-Info',
      { add: ['Authentication-Info: qop=auth', 'Authentication-Info: nextnonce="n"'] },
      'header-repeated',
    ],
    ['M4 a Contact behind *', { add: ['Contact: *', 'm: <sip:a@b>'] }, 'address-malformed'],
    ['M4 * behind a Contact', { add: ['m: <sip:a@b>', 'Contact: *'] }, 'address-malformed'],
    [
      'M4 Bearer, then Digest',
      { add: ['Authorization: Bearer first', 'Authorization: Digest realm="r"'] },
      'header-repeated',
    ],
    [
      'M4 Digest, then Bearer',
      { add: ['Authorization: Digest realm="r"', 'Authorization: Bearer last'] },
      'header-repeated',
    ],
    [
      'M4 two that are text',
      { add: ['Authorization: Bearer first', 'Authorization: Bearer last'] },
      'header-repeated',
    ],
    ['L7 a quoted tag', { with: { From: '<sip:a@b>;tag="1"' } }, 'address-malformed'],
    ['L7 a tag with a comma', { with: { From: '<sip:a@b>;tag=,1' } }, 'address-malformed'],
    ['a CSeq that no number holds', { with: { CSeq: '99999999999999999999 INVITE' } }, 'cseq-too-large'],
  ])('%s', (_what, parts, reason) => {
    expect(outcome(bytesOf(parts))).toBe('accepted')
    expect(fault(parts)).toBe(reason)
  })
})

it('500 entries are taken', () => {
  expect(fault({ add: [`Route: ${'<sip:a;lr>,'.repeat(499)}<sip:a;lr>`] })).toBe('taken')
  expect(fault({ add: [`Via: ${'SIP/2.0/UDP a,'.repeat(498)}SIP/2.0/UDP a`] })).toBe('taken')
  expect(fault({ add: [`Via: ${'SIP/2.0/UDP a,'.repeat(500)}SIP/2.0/UDP a`] })).toBe('via-malformed')
})

describe('time', () => {
  // No clock is asked: at this size work that grows with the square runs into the time limit of the test.
  const SIZE = 55_000
  it.each<[string, Parts]>([
    ['From: < and spaces', { with: { From: `<${' '.repeat(SIZE)}` } }],
    ['From and spaces', { with: { From: `${' '.repeat(SIZE)}x` } }],
    ['From: words', { with: { From: 'a '.repeat(SIZE / 2) } }],
    ['From: parameters', { with: { From: `<sip:a>${';a'.repeat(SIZE / 2)}` } }],
    ['From: blanks in parameters', { with: { From: `<sip:a>;a=b${' '.repeat(SIZE)};c` } }],
    ['Contacts on one line', { add: [`Contact: ${'sip:a,'.repeat(SIZE / 6)}sip:b`] }],
    ['Contacts on many', { add: Array.from({ length: SIZE / 6 }, () => 'm:x') }],
    ['Vias', { add: [`Via: ${'SIP/2.0/UDP a;b=c,'.repeat(SIZE / 18)}SIP/2.0/UDP b`] }],
    ['Routes', { add: [`Route: ${'<sip:a;lr>,'.repeat(SIZE / 11)}<sip:b>`] }],
    ['Authorization: letters', { add: [`Authorization: ${'a'.repeat(SIZE)}`] }],
    ['Authorization: Digest and letters', { add: [`Authorization: Digest ${'a'.repeat(SIZE)}`] }],
    ['Authorization: pairs', { add: [`Authorization: Digest ${'a=b,'.repeat(SIZE / 4)}`] }],
    ['Authorizations', { add: Array.from({ length: SIZE / 25 }, () => 'Authorization: Digest a=b') }],
    ['Authorization: quotes', { add: [`Authorization: Digest ${'a="\\"'.repeat(SIZE / 6)}`] }],
    ['a text header on many lines', { add: Array.from({ length: SIZE / 6 }, () => 'X-A:b') }],
    ['folds', { add: [`Contact: <sip:a@b>${'\r\n '.repeat(SIZE / 3)};x`] }],
    ['URI parameters', { add: [`Route: <sip:a${';a=b'.repeat(SIZE / 4)}>`] }],
    ['URI headers', { add: [`Route: <sip:a?${'a=b&'.repeat(SIZE / 4)}>`] }],
  ])('%s take linear time', (_what, parts) => {
    const view = viewOf(parsed(bytesOf(parts)))
    for (let i = 0; i < 20; i++) toSipMessage(view, REMOTE, new Set())
    expect(view.kind).toBe('request')
  })
})
