import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { parseMessage } from '../../src/message/parse.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import { judge } from '../support/judge.ts'
import { bytesOf, contextOf, outcome, parsed } from '../support/messages.ts'
import { ACCEPTED, signedBytes, tokenOf, verdict } from '../support/parties.ts'

const SIZE = 60_000
const value = (source: string, bytes: Buffer): string | null =>
  compileTemplate(source).explain(contextOf(bytes))[0]!.value

/**
 * How often an input is judged. No clock is asked: at this size linear work takes milliseconds, while work that grows
 * with the square or the cube runs into the time limit of the test.
 */
const TIMES = 20

/** Judges the bytes again and again. Whatever throws fails the test by itself. */
function survives(bytes: Buffer): true {
  for (let i = 0; i < TIMES; i++) {
    judge(bytes, 'strict')
    judge(bytes, 'kamailio')
  }
  return true
}

const token = 'a'.repeat(64)
const withToken = (...add: readonly string[]): Buffer => bytesOf({ add: [`X-Auth: ${token}`, ...add] })

describe('what ends other programs ends in a result here', () => {
  it.each<[string, Buffer]>([
    [
      'S01 a Request-URI with port 99999',
      bytesOf({ start: 'INVITE sip:a@b:99999 SIP/2.0', add: [`X-Auth: ${token}`] }),
    ],
    ['S02 Route with tel:', withToken('Route: <tel:+1;lr>')],
    ['S02 Record-Route with an IPv6 literal', withToken('Record-Route: <sip:[2001:db8::1];lr>')],
    ['S02 Path with a parameter without value', withToken('Path: <sip:a;x=>;x=')],
    ['S03 a Request-URI tel:', bytesOf({ start: 'INVITE tel:+1 SIP/2.0', add: [`X-Auth: ${token}`] })],
    [
      'S03 a Request-URI with an IPv6 literal',
      bytesOf({ start: 'INVITE sip:[::1] SIP/2.0', add: [`X-Auth: ${token}`] }),
    ],
    [
      'S05 credentials with a foreign nonce',
      withToken('Authorization: Digest username="a", nonce="zz", realm=,uri'),
    ],
    ['S06 no Contact', withToken()],
  ])('%s', (_what, bytes) => {
    expect(survives(bytes)).toBe(true)
    expect(outcome(bytes)).toBe('accepted')
  })

  it('S01 the port that is none leaves the URI without parts', () => {
    expect(value('$rp', bytesOf({ start: 'INVITE sip:a@b:99999 SIP/2.0' }))).toBeNull()
  })
})

describe('T21: what stalls other programs takes linear time here', () => {
  it.each<[string, Buffer]>([
    ...['From', 'To', 'Contact', 'Refer-To', 'P-Asserted-Identity', 'Diversion'].map(
      (name): [string, Buffer] => [
        `S10 ${name}: < and spaces`,
        bytesOf({
          with: { [name]: `<${' '.repeat(SIZE)}` },
          add: [`X-Auth: ${token}`, `${name}: <${' '.repeat(SIZE)}`].slice(
            0,
            name === 'From' || name === 'To' ? 1 : 2,
          ),
        }),
      ],
    ),
    ['S11 line feeds', Buffer.alloc(SIZE, '\n')],
    ['S11 CRLFs', Buffer.alloc(SIZE, '\r\n')],
    ['S11 spaces', Buffer.alloc(SIZE, ' ')],
    ['S11 NULs', Buffer.alloc(SIZE)],
    ['S11 a request and line feeds', Buffer.concat([bytesOf(), Buffer.alloc(SIZE, '\n')])],
    ['S12 From and spaces', bytesOf({ with: { From: `${' '.repeat(SIZE)}x` }, add: [`X-Auth: ${token}`] })],
    [
      'S12 From and folds',
      bytesOf({ with: { From: `${'\r\n '.repeat(SIZE / 3)}x` }, add: [`X-Auth: ${token}`] }),
    ],
    [
      'S12 Via and spaces',
      bytesOf({ with: { Via: `SIP/2.0/UDP${' '.repeat(SIZE)}` }, add: [`X-Auth: ${token}`] }),
    ],
    ['S12 a header name and spaces', withToken(`X-A${' '.repeat(SIZE)}`)],
    ['S12 a value and spaces', withToken(`X-Test: ${' '.repeat(SIZE)}x`)],
    [
      'S12 Contact: spaces, then a letter',
      withToken(`Contact: ${' x'.repeat(SIZE / 4)}${' '.repeat(SIZE / 2)}x`),
    ],
    ['S13 Authorization: letters', withToken(`Authorization: ${'a'.repeat(SIZE)}`)],
    ['S13 Authorization: Digest and letters', withToken(`Authorization: Digest ${'a'.repeat(SIZE)}`)],
    ['S13 Authorization: Digest and commas', withToken(`Authorization: Digest ${',a'.repeat(SIZE / 2)}`)],
    ['S13 Authorization: Digest and quotes', withToken(`Authorization: Digest ${'a="\\"'.repeat(SIZE / 6)}`)],
    ['S14 Route and commas', withToken(`Route: ${','.repeat(SIZE)}`)],
    ['S14 Contact and commas', withToken(`Contact: ${','.repeat(SIZE)}`)],
    ['S14 P-Asserted-Identity and entries', withToken(`P-Asserted-Identity: ${'sip:a,'.repeat(SIZE / 6)}`)],
    ['S14 Via and entries', withToken(`Via: ${'SIP/2.0/UDP a,'.repeat(SIZE / 14)}`)],
    [
      'headers without end',
      bytesOf({ add: [`X-Auth: ${token}`, ...Array.from({ length: 15_000 }, () => 'a:')] }),
    ],
    ['Contacts without end', withToken(...Array.from({ length: 12_000 }, () => 'm:x'))],
    ['quotes', bytesOf({ with: { From: '"'.repeat(SIZE) }, add: [`X-Auth: ${token}`] })],
    ['backslashes', bytesOf({ with: { To: `"${'\\'.repeat(SIZE)}` }, add: [`X-Auth: ${token}`] })],
    ['parameters', bytesOf({ with: { From: `<sip:a>${';a'.repeat(SIZE / 2)}` }, add: [`X-Auth: ${token}`] })],
    [
      'URI parameters',
      bytesOf({ start: `INVITE sip:a${';a'.repeat(SIZE / 2)} SIP/2.0`, add: [`X-Auth: ${token}`] }),
    ],
    [
      'a Request-URI of @',
      bytesOf({ start: `INVITE sip:${'@'.repeat(SIZE)} SIP/2.0`, add: [`X-Auth: ${token}`] }),
    ],
    ['digits in CSeq', bytesOf({ with: { CSeq: `${'9'.repeat(SIZE)} INVITE` }, add: [`X-Auth: ${token}`] })],
    ['digits in Content-Length', withToken(`Content-Length: ${'9'.repeat(SIZE)}`)],
    ['a token of digits', bytesOf({ add: [`X-Auth: ${'a'.repeat(SIZE)}`] })],
    [
      'spaces around a token',
      bytesOf({ add: [`X-Auth: ${' '.repeat(SIZE / 2)}${token}${' '.repeat(SIZE / 2)}`] }),
    ],
  ])('%s', (_what, bytes) => {
    expect(survives(bytes)).toBe(true)
  })
})

const length = (...values: readonly string[]): string =>
  outcome(bytesOf({ add: values.map((text) => `Content-Length: ${text}`), body: 'hello' }))

describe('framing', () => {
  it.each(['abc', '0x5', '2.5', '-5', ''])('S20 S21 Content-Length %j is refused', (text) => {
    expect(length(text)).toBe('content-length-malformed')
  })

  it('S21 two of them are refused, equal or not', () => {
    expect(length('5', '5')).toBe('header-repeated')
    expect(length('5', '0')).toBe('header-repeated')
  })

  it('S22 bytes past it are neither body nor covered', () => {
    const setup = { agreement: { request: '$fu:$rb' } }
    const good = tokenOf(bytesOf({ add: ['l: 0'] }), setup)
    const bytes = bytesOf({ add: ['l: 0', `X-Auth: ${good}`], body: 'INVITE sip:smuggled SIP/2.0\r\n\r\n' })
    expect(parsed(bytes).body).toHaveLength(0)
    expect(verdict(bytes, setup)).toBe(ACCEPTED)
  })

  it('S23 one that is longer than the datagram is refused', () => {
    expect(length('6')).toBe('content-length-exceeds')
  })

  it('S25 one bad header line is told with its offset', () => {
    const bytes = bytesOf({ add: ['broken line', 'X-A: 1'] })
    expect(parseMessage(bytes)).toEqual({
      ok: false,
      reason: 'header-name-malformed',
      offset: bytes.indexOf('line'),
    })
  })
})

describe('what parsers read in two ways', () => {
  it.each(['From: <sip:e>', 'To: <sip:e>', 'CSeq: 1 INVITE', 'Call-ID: e', 'Max-Forwards: 1'])(
    'S40 a second %s is refused',
    (line) => {
      expect(outcome(withToken(line))).toBe('header-repeated')
    },
  )

  it.each(['%46rom: <sip:e>', 'X%2DAuth: a', 'Via%20: x'])('S41 %s is refused', (line) => {
    expect(outcome(withToken(line))).toBe('header-name-malformed')
  })

  it('S41 the method IN%56ITE is refused', () => {
    expect(outcome(bytesOf({ start: 'IN%56ITE sip:a SIP/2.0' }))).toBe('start-line-malformed')
  })

  it('S42 a bare LF in a value is refused', () => {
    expect(outcome(withToken('Subject: a\nX-Auth: b'))).toBe('bare-lf')
  })

  it('S43 text behind the version, and other versions, are refused', () => {
    expect(outcome(bytesOf({ start: 'INVITE sip:a SIP/2.0 x' }))).toBe('start-line-malformed')
    expect(outcome(bytesOf({ start: 'INVITE sip:a SIP/9.9' }))).toBe('version-unsupported')
  })

  it('S44 the compact name e is Content-Encoding', () => {
    const message = parsed(withToken('e: gzip', 'o: presence', 'x: 90'))
    expect(['Content-Encoding', 'Event', 'Session-Expires'].map((name) => message.headers(name))).toEqual([
      ['gzip'],
      ['presence'],
      ['90'],
    ])
  })

  it('S45 folds are hashed as sent', () => {
    expect(value('$hdr(Subject)', withToken('Subject: a\r\n  b'))).toBe('a\r\n  b')
  })

  it('S46 S47 Contact stays as it is', () => {
    expect(value('$ct', withToken('Contact: *'))).toBe('*')
    expect(value('$ct', withToken('Contact: sip:a, J\xc3\xb6rg <sip:b>'))).toBe('sip:a, J\xc3\xb6rg <sip:b>')
  })

  it('S48 IPv6 in a Via is understood', () => {
    const Via = 'SIP/2.0/UDP [2001:db8::1]:5060;received=::1;branch=z9'
    expect(outcome(bytesOf({ with: { Via } }), 'kamailio')).toBe('accepted')
    expect(value('$hdr(Via)', bytesOf({ with: { Via } }))).toBe(Via)
  })

  it('S49 tel:, urn: and SIP: in capitals are parsed', () => {
    const starts = ['TEL:+1', 'SIP:a@b', 'urn:service:sos'].map((uri) => `INVITE ${uri} SIP/2.0`)
    expect(starts.map((start) => value('$rU', bytesOf({ start })))).toEqual(['+1', 'a', 'service'])
  })

  it('S50 Bearer and Basic stay, and are no digest', () => {
    const bytes = withToken('Authorization: Bearer scheme="Digest", username="u"')
    expect(value('$hdr(Authorization)', bytes)).toBe('Bearer scheme="Digest", username="u"')
    expect(value('$au', bytes)).toBeNull()
  })

  it.each(['__proto__', 'constructor', 'hasOwnProperty'])('S51 a header may be called %s', (name) => {
    const bytes = withToken(`${name}: v`)
    expect(survives(bytes)).toBe(true)
    expect(parsed(bytes).headers(name)).toEqual(['v'])
    expect(value(`$hdr(${name})`, bytes)).toBe('v')
    expect(parsed(editHeaders(bytes, { remove: [name] })).headers(name)).toEqual([])
    expect(Object.prototype).not.toHaveProperty('v')
  })

  it('S52 case, order and spacing of headers stay when a token is added', () => {
    const bytes = bytesOf({ add: ['X-my-UPPER-Id:  1 ', 'b:2'] })
    const signed = signedBytes(bytes).toString('latin1')
    expect(signed.replace(/X-Auth: .*\r\n/, '')).toBe(bytes.toString('latin1'))
  })

  it('S53 Content-Length counts bytes', () => {
    const body = Buffer.from('ééééé').toString('latin1')
    expect(body).toHaveLength(10)
    expect(parsed(bytesOf({ add: ['l: 10'], body })).body).toHaveLength(10)
    expect(parsed(bytesOf({ add: ['l: 6'], body })).body).toHaveLength(6)
  })

  it('S54 a message that grows past 64 KiB is still made, and refused when it comes back', () => {
    const bytes = bytesOf({ add: [`X-A: ${'a'.repeat(65_200)}`] })
    expect(outcome(bytes)).toBe('accepted')
    const grown = editHeaders(bytes, { add: [['Via', 'v'.repeat(400)]], at: 'top' })
    expect(grown.length).toBeGreaterThan(65_535)
    expect(outcome(grown)).not.toBe('accepted')
  })
})
