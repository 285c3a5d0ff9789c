import { describe, expect, it } from 'vitest'
import { compileTemplate } from '../../src/template/compile.ts'
import { VARIABLES } from '../../src/template/variables.ts'
import { bytesOf, contextOf, responseBytes, type Parts } from '../support/messages.ts'

type Travel = Parameters<typeof contextOf>[1]

const valueIn = (source: string, bytes: Buffer, travel?: Travel): string | null =>
  compileTemplate(source).explain(contextOf(bytes, travel))[0]!.value
const value = (source: string, parts: Parts = {}, travel?: Travel): string | null =>
  valueIn(source, bytesOf(parts), travel)

describe('where a message came from and arrived', () => {
  it.each([
    ['$si', '192.0.2.1'],
    ['$siz', '192.0.2.1'],
    ['$sp', '5060'],
    ['$Ri', '198.51.100.7'],
    ['$Rp', '5080'],
    ['$proto', 'udp'],
    ['$pr', 'udp'],
    ['$su', 'sip:192.0.2.1:5060'],
    ['$sut', 'sip:192.0.2.1:5060;transport=udp'],
  ])('%s is %s', (source, text) => {
    expect(value(source)).toBe(text)
  })

  it.each(['udp', 'tcp', 'tls', 'ws', 'wss'] as const)('$proto of %s', (transport) => {
    expect(value('$proto', {}, { transport })).toBe(transport)
  })

  it.each([
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8:0000:0001:0000:0000:0000:0001', '2001:db8:0:1::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['[2001:DB8::A]', '2001:db8::a'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('T10: IPv6 %s is written %s, without brackets', (address, text) => {
    const ends = { source: { address, port: 1 }, local: { address, port: 2 } }
    expect(value('$si', {}, ends)).toBe(text)
    expect(value('$Ri', {}, ends)).toBe(text)
    expect(value('$siz', {}, ends)).toBe(`[${text}]`)
    expect(value('$su', {}, ends)).toBe(`sip:[${text}]:1`)
  })

  it.each(['::ffff:192.0.2.9', '::FFFF:192.0.2.9', '::ffff:c000:209', '[::ffff:192.0.2.9]'])(
    'T10: the mapped address %s, as a dual-stack socket shows it, is IPv4',
    (address) => {
      expect(value('$si', {}, { source: { address, port: 1 } })).toBe('192.0.2.9')
      expect(value('$siz', {}, { source: { address, port: 1 } })).toBe('192.0.2.9')
    },
  )

  it('text that is no address stays', () => {
    expect(value('$si', {}, { source: { address: 'x:y', port: 1 } })).toBe('x:y')
  })
})

describe('the start line', () => {
  const start = 'REGISTER sips:bob:pw@Biloxi.example:5071;transport=TCP;user=phone?x=1 SIP/2.0'

  it.each([
    ['$rm', 'REGISTER'],
    ['$rmid', '32'],
    ['$rv', 'SIP/2.0'],
    ['$ru', 'sips:bob:pw@Biloxi.example:5071;transport=TCP;user=phone?x=1'],
    ['$ou', 'sips:bob:pw@Biloxi.example:5071;transport=TCP;user=phone?x=1'],
    ['$rU', 'bob'],
    ['$rUl', '3'],
    ['$rd', 'Biloxi.example'],
    ['$rp', '5071'],
    ['$rP', 'TCP'],
    ['$rz', 'tels'],
    ['$rs', null],
    ['$rr', null],
    ['$mt', '1'],
    ['$mts', 'rq'],
  ])('%s is %s', (source, text) => {
    expect(value(source, { start, with: { CSeq: '1 REGISTER' } })).toBe(text)
  })

  it.each([
    ['sip:a', '5060', 'UDP', null],
    ['sips:a@b', '5060', 'UDP', 'a'],
    ['sip:a@b;transport=tls', '5061', 'tls', 'a'],
    ['sip:a@[2001:DB8::1]', '5060', 'UDP', 'a'],
    ['tel:+1', '5060', 'UDP', '+1'],
    ['http://b', null, null, null],
    ['sip:a@b_c', null, null, null],
  ])('%s has port %s, transport %s, user %s', (uri, port, transport, user) => {
    const parts = { start: `INVITE ${uri} SIP/2.0` }
    expect(['$rp', '$rP', '$rU'].map((source) => value(source, parts))).toEqual([port, transport, user])
    expect(value('$ru', parts)).toBe(port === null ? null : uri)
  })

  it('$rd keeps the brackets of IPv6, $si has none', () => {
    expect(value('$rd', { start: 'INVITE sip:[2001:DB8::1]:5060 SIP/2.0' })).toBe('[2001:DB8::1]')
  })

  it.each([
    ['$rm', 'INVITE'],
    ['$rs', '180'],
    ['$rr', 'Ringing'],
    ['$ru', null],
    ['$rd', null],
    ['$rp', null],
    ['$rU', null],
    ['$fu', 'sip:alice@atlanta.example'],
    ['$mt', '2'],
    ['$mts', 'rp'],
    ['$rv', 'SIP/2.0'],
  ])('of a response %s is %s', (source, text) => {
    expect(valueIn(source, responseBytes('180 Ringing'))).toBe(text)
  })

  it('an empty reason phrase is empty, not missing', () => {
    expect(valueIn('$rr', responseBytes('180 '))).toBe('')
  })
})

const ofFrom = (From: string): (string | null)[] =>
  ['$fu', '$fU', '$fd', '$ft'].map((source) => value(source, { with: { From } }))

describe('From and To', () => {
  it.each([
    ['$fu', 'sip:al%20ice:pw@Atlanta.example;x=1'],
    ['$fU', 'al%20ice'],
    ['$fUl', '8'],
    ['$fd', 'Atlanta.example'],
    ['$fn', '"Al \\" <ice>"'],
    ['$ft', 'a;b'],
    ['$tu', 'sip:bob@biloxi.example'],
    ['$tU', 'bob'],
    ['$td', 'biloxi.example'],
    ['$tn', null],
    ['$tt', null],
    ['$tUl', '3'],
    ['$Au', 'al%20ice@Atlanta.example'],
  ])('%s is %s', (source, text) => {
    const From = '"Al \\" <ice>" <sip:al%20ice:pw@Atlanta.example;x=1 >;tag="a;b"'
    expect(value(source, { with: { From, To: 'sip:bob@biloxi.example;tag=' } })).toBe(text)
  })

  it('a From that is none has no value, one with a URI that is none has only $fu', () => {
    expect(ofFrom('"<')).toEqual([null, null, null, null])
    expect(ofFrom('<http://a_b>;tag=1')).toEqual(['http://a_b', null, null, '1'])
  })
})

describe('headers', () => {
  const add = [
    'X-A: one \t',
    'X-A:',
    'x-a:\r\n fold\r\n ed',
    'User-Agent: u ',
    'Contact: <sip:c>, <sip:d>',
    'Content-Type:',
  ]

  it.each([
    ['$hdr(X-A)', 'one \t'],
    ['$hdr(x-a)', 'one \t'],
    ['$hdr(X-A )', 'one \t'],
    ['$(hdr(X-A)[0])', 'one \t'],
    ['$(hdr(X-A)[1])', ''],
    ['$(hdr(X-A)[2])', 'fold\r\n ed'],
    ['$(hdr(X-A)[3])', null],
    ['$(hdr(X-A)[-1])', 'fold\r\n ed'],
    ['$(hdr(X-A)[-3])', 'one \t'],
    ['$(hdr(X-A)[-4])', null],
    ['$(hdr(X-A)[*])', 'one \t,,fold\r\n ed'],
    ['$(hdr(Nope)[*])', null],
    ['$hdr(Nope)', null],
    ['$hdrc(X-A)', '3'],
    ['$hdrc(Nope)', '0'],
    ['$ci', 'a84b4c76e66710@pc33.atlanta.example'],
    ['$hdr(i)', 'a84b4c76e66710@pc33.atlanta.example'],
    ['$cs', '314159'],
    ['$csb', '314159 INVITE'],
    ['$hdr(CSeq)', '314159 INVITE'],
    ['$ua', 'u '],
    ['$ct', '<sip:c>, <sip:d>'],
    ['$cT', ''],
    ['$cl', null],
    ['$(hfl(Contact)[0])', '<sip:c>'],
    ['$(hfl(Contact)[1])', '<sip:d>'],
    ['$(hfl(Contact)[2])', null],
    ['$(hfl(X-A)[-1])', 'fold\r\n ed'],
    ['$hdr(constructor)', null],
    ['$hdrc(__proto__)', '0'],
  ])('%s is %j', (source, text) => {
    expect(value(source, { add })).toBe(text)
  })

  it('an empty Contact has no $ct', () => {
    expect(value('$ct', { add: ['Contact:'] })).toBeNull()
  })

  it('entries of a list keep UTF-8 letters that end in 0xa0', () => {
    const a = Buffer.from('à').toString('latin1')
    expect(value('$(hfl(X-B)[1])', { add: [`X-B: x, ${a} ,y`] })).toBe(a)
  })

  it('T09: the first header of a name counts', () => {
    expect(value('$hdr(X-B)', { add: ['X-B: first', 'x-b: second'] })).toBe('first')
  })
})

describe('identities and credentials', () => {
  const add = [
    'P-Asserted-Identity: "A, B" <sip:a@x>, tel:+1',
    'P-Asserted-Identity: <sip:c@x>',
    'P-Preferred-Identity: Pat <sip:p@y>',
    'Diversion: <sip:d@z>;reason=busy',
    'Remote-Party-ID: <sip:r@z>;party=calling',
    'Refer-To: <sip:t@z>',
    'Authorization: Digest username="u@dom", realm="r,1", uri="sip:x", nonce=n',
  ]

  it.each([
    ['$ai', 'sip:a@x'],
    ['$(ai[1])', 'tel:+1'],
    ['$(ai[2])', 'sip:c@x'],
    ['$(ai[3])', null],
    ['$(ai[-1])', 'sip:c@x'],
    ['$pu', 'sip:p@y'],
    ['$pU', 'p'],
    ['$pd', 'y'],
    ['$pn', 'Pat'],
    ['$di', 'sip:d@z'],
    ['$re', 'sip:r@z'],
    ['$rt', 'sip:t@z'],
    ['$au', 'u@dom'],
    ['$ad', 'dom'],
    ['$ar', 'r,1'],
    ['$adu', 'sip:x'],
  ])('%s is %s', (source, text) => {
    expect(value(source, { add })).toBe(text)
    expect(value(source)).toBeNull()
  })

  it('one bad entry makes $ai null', () => {
    expect(value('$ai', { add: [...add, 'P-Asserted-Identity: "'] })).toBeNull()
  })
})

describe('the whole message', () => {
  it('$rb is the body and $bs its length', () => {
    const parts = { body: 'a\r\n\r\nb\xff' }
    expect(value('$rb', parts)).toBe('a\r\n\r\nb\xff')
    expect(value('$bs', parts)).toBe('7')
    expect(value('$rb')).toBe('')
  })

  it('strictly, the body ends where Content-Length says', () => {
    expect(value('$rb', { add: ['l: 3'], body: 'hello' })).toBe('hel')
  })

  it('$mb is the message and $ml its length', () => {
    const bytes = bytesOf({ body: 'x' })
    expect(valueIn('$mb', bytes)).toBe(bytes.toString('latin1'))
    expect(valueIn('$ml', bytes)).toBe(String(bytes.length))
  })
})

describe('T08: nothing that a variable holds can become a header', () => {
  it.each([...VARIABLES.keys()])('$%s holds no line end other than a fold', (name) => {
    const evil = 'a\r\nX-Evil: 1'
    const parts: Parts = {
      with: { From: `${evil}\r\n <sip:a>`, To: `<sip:b>;x="${evil}"` },
      add: [`User-Agent: ${evil}`, `Contact: ${evil}`, `X-A: ${evil}`],
    }
    const inner = name === 'hdr' || name === 'hfl' || name === 'hdrc' ? '(X-A)' : ''
    const text = value(`$${name}${inner}`, parts)
    if (name === 'mb') return
    expect(text ?? '').not.toMatch(/[\r\n](?![\r\n \t])/)
    expect(text ?? '').not.toContain('X-Evil')
  })
})
