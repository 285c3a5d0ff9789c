import { describe, expect, it } from 'vitest'
import { parseMessage } from '../../src/message/parse.ts'
import { bytesOf, outcome, parsed, responseBytes, type Parts } from '../support/messages.ts'

const wire = (...lines: readonly string[]): Buffer => Buffer.from(lines.join('\r\n'), 'latin1')

/** A header in the middle of the block, as it stands on the wire. */
const withLine = (line: string): Buffer => bytesOf({ add: [line, ['Date', 'x']] })

describe('what a message is', () => {
  it('a request shows method, Request-URI, headers and body', () => {
    const message = parsed(bytesOf({ add: [['Content-Length', '5']], body: 'hello' }))
    expect(message.kind).toBe('request')
    expect(message.method).toBe('INVITE')
    expect(message.requestUri).toBe('sip:bob@biloxi.example')
    expect(message.status).toBeUndefined()
    expect(message.headers('call-id')).toEqual(['a84b4c76e66710@pc33.atlanta.example'])
    expect(message.headers('Nope')).toEqual([])
    expect(Buffer.from(message.body).toString()).toBe('hello')
  })

  it('a response shows status and the method of its CSeq', () => {
    const message = parsed(responseBytes('486 Busy Here'))
    expect(message.kind).toBe('response')
    expect(message.status).toBe(486)
    expect(message.method).toBe('INVITE')
    expect(message.requestUri).toBeUndefined()
  })

  it('a Uint8Array that is no Buffer is taken, also one that begins inside its memory', () => {
    const bytes = bytesOf()
    const memory = new Uint8Array(bytes.length + 7)
    memory.set(bytes, 7)
    const result = parseMessage(memory.subarray(7))
    expect(result.ok && result.message.method).toBe('INVITE')
  })

  it('earlier messages stay readable when later ones have been parsed', () => {
    const messages = Array.from({ length: 500 }, (_, i) => parsed(bytesOf({ add: [['X-Number', `${i}`]] })))
    expect(messages.map((message) => message.headers('X-Number')[0])).toEqual(
      Array.from({ length: 500 }, (_, i) => `${i}`),
    )
  })

  it('a refused message leaves no trace in the next one', () => {
    const first = parsed(bytesOf({ add: [['X-A', '1']] }))
    expect(outcome(withLine('broken'))).toBe('header-name-malformed')
    const second = parsed(bytesOf({ add: [['X-B', '2']] }))
    expect([first.headers('X-A'), first.headers('X-B')]).toEqual([['1'], []])
    expect([second.headers('X-A'), second.headers('X-B')]).toEqual([[], ['2']])
  })

  it('CRLF before the start line is passed over (RFC 3261 §7.5)', () => {
    expect(parsed(Buffer.concat([Buffer.from('\r\n\r\n'), bytesOf()])).method).toBe('INVITE')
  })

  it('a message of 4000 headers is taken', () => {
    const add = Array.from({ length: 4000 }, (_, i) => [`X-${i}`, `${i}`] as const)
    expect(parsed(bytesOf({ add })).headers('X-3999')).toEqual(['3999'])
  })

  it('a body may be longer than the longest header block', () => {
    const body = 'b'.repeat(200_000)
    expect(parsed(bytesOf({ add: [['l', '200000']], body })).body).toHaveLength(200_000)
  })
})

describe('header values keep their bytes', () => {
  it.each([
    ['white space in front is no part', 'X-A:  \t value', 'value'],
    ['none is needed', 'X-A:value', 'value'],
    ['white space behind stays', 'X-A: value \t', 'value \t'],
    ['blanks before the colon belong to neither', 'X-A \t: value', 'value'],
    ['folds inside stay', 'X-A: one\r\n  two\r\n\tthree', 'one\r\n  two\r\n\tthree'],
    ['a fold in front is white space in front', 'X-A:\r\n \r\n\t value', 'value'],
    ['a fold behind stays', 'X-A: value\r\n ', 'value\r\n '],
    ['an empty value', 'X-A:', ''],
    ['bytes above 0x7f', 'X-A: cl\xc3\xa9\xff', 'cl\xc3\xa9\xff'],
    ['controls that are no line ends', 'X-A: a\x01\x0b\x7fb', 'a\x01\x0b\x7fb'],
    ['colons and commas', 'X-A: a: b, c', 'a: b, c'],
  ])('%s', (_what, line, value) => {
    expect(parsed(withLine(line)).headers('X-A')).toEqual([value])
  })

  it('repeated headers come in wire order and are never joined', () => {
    const message = parsed(bytesOf({ add: ['X-A: 1, 2', 'X-B: -', 'x-a: 3', 'X-A:'] }))
    expect(message.headers('X-A')).toEqual(['1, 2', '3', ''])
  })

  it('compact and long names are one, in any case', () => {
    const message = parsed(bytesOf({ with: { From: null }, add: ['F: <sip:f@x>', 'S: hi', 'subject: ho'] }))
    expect(message.headers('from')).toEqual(['<sip:f@x>'])
    expect(message.headers('f')).toEqual(['<sip:f@x>'])
    expect(message.headers('Subject')).toEqual(['hi', 'ho'])
    expect(message.headers('s')).toEqual(['hi', 'ho'])
  })

  it('T09: names that share length, first and last letter are told apart', () => {
    const message = parsed(
      bytesOf({ add: ['Form: <', 'Coooooo-Length: x', 'Vxa: ?', 'X-Axe: 1', 'X-Aye: 2'] }),
    )
    expect(message.headers('From')).toEqual(['"Alice" <sip:alice@atlanta.example>;tag=1928301774'])
    expect(message.headers('X-Axe')).toEqual(['1'])
  })

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('a header may be called %s', (name) => {
    expect(parsed(bytesOf()).headers(name)).toEqual([])
    expect(parsed(bytesOf({ add: [[name, 'v']] })).headers(name)).toEqual(['v'])
  })
})

const start = (line: string): string => outcome(bytesOf({ start: line }))

describe('start lines', () => {
  it.each([
    'INVITE nothing-we-know:... sip/2.0',
    'SIP/2.0 200 OK',
    'SIP/2.0 100 ',
    'SIP/2.0 699  \xd0\xbd\xd0\xb5\xd1\x82',
    'sIp/2.0 200 = 2**3 * 5**2',
  ])('%j is one', (line) => {
    expect(start(line)).toBe('accepted')
  })

  it.each([
    ['', 'start-line-malformed'],
    ['INVITE', 'start-line-malformed'],
    ['INVITE sip:a', 'start-line-malformed'],
    [' INVITE sip:a SIP/2.0', 'start-line-malformed'],
    ['INVITE  sip:a SIP/2.0', 'start-line-malformed'],
    ['INVITE\tsip:a SIP/2.0', 'start-line-malformed'],
    ['INVITE sip:a  SIP/2.0', 'start-line-malformed'],
    ['INVITE sip:a SIP/2.0 ', 'start-line-malformed'],
    ['INVITE sip:a SIP/2.0 and more', 'start-line-malformed'],
    ['INVITE sip:a; lr SIP/2.0', 'start-line-malformed'],
    ['INVITE <sip:a> SIP/2.0', 'start-line-malformed'],
    ['INVITE sip:"a" SIP/2.0', 'start-line-malformed'],
    ['INVITE sip:\x7f SIP/2.0', 'start-line-malformed'],
    ['INVITE sip:\x01 SIP/2.0', 'start-line-malformed'],
    ['IN%56ITE sip:a SIP/2.0', 'start-line-malformed'],
    ['INV(TE sip:a SIP/2.0', 'start-line-malformed'],
    ['INVITE sip:a HTTP/1.1', 'start-line-malformed'],
    ['INVITE sip:a SIP/2.1', 'version-unsupported'],
    ['INVITE sip:a SIP/3.0', 'version-unsupported'],
    ['INVITE sip:a SIP/9.9', 'version-unsupported'],
    ['SIP/3.0 200 OK', 'version-unsupported'],
    ['SIP/2.0200 OK', 'start-line-malformed'],
    ['SIP/2.0 200', 'start-line-malformed'],
    ['SIP/2.0 20 OK', 'start-line-malformed'],
    ['SIP/2.0 2000 OK', 'start-line-malformed'],
    ['SIP/2.0 abc OK', 'start-line-malformed'],
    ['SIP/2.0 099 OK', 'start-line-malformed'],
    ['SIP/2.0 700 OK', 'start-line-malformed'],
    ['SIP/2.0 4294967301 OK', 'start-line-malformed'],
    ['INVITE sip:a\0 SIP/2.0', 'nul'],
    ['INV\nITE sip:a SIP/2.0', 'bare-lf'],
    ['INVITE sip:a\r SIP/2.0', 'bare-cr'],
    ['SIP/2.0 200 O\0K', 'nul'],
  ])('%j is none: %s', (line, reason) => {
    expect(start(line)).toBe(reason)
  })
})

describe('T08 T09: what two parsers could read in two ways is refused', () => {
  it.each([
    ['bare LF in a value', withLine('X-A: a\nX-Evil: b'), 'bare-lf'],
    ['bare LF at a line end', withLine('X-A: a\nX-B: b'), 'bare-lf'],
    ['bare LF before a blank', withLine('X-A: a\n b'), 'bare-lf'],
    ['bare CR in a value', withLine('X-A: a\rX-Evil: b'), 'bare-cr'],
    ['bare CR before CRLF', withLine('X-A: a\r'), 'bare-cr'],
    ['bare CR at the start of a line', withLine('\rX-A: a'), 'bare-cr'],
    ['NUL in a value', withLine('X-A: a\0b'), 'nul'],
    ['NUL at the end of a value', withLine('X-A: a\0'), 'nul'],
    ['NUL in a name', withLine('X-\0A: a'), 'nul'],
    ['NUL in a fold', withLine('X-A: a\r\n \0'), 'nul'],
    [
      'LF line ends throughout',
      Buffer.from(bytesOf().toString('latin1').replaceAll('\r\n', '\n')),
      'bare-lf',
    ],
    ['no empty line', bytesOf().subarray(0, -2), 'headers-unterminated'],
    ['a cut in the empty line', bytesOf().subarray(0, -1), 'headers-unterminated'],
    ['a cut in a header', bytesOf().subarray(0, -8), 'headers-unterminated'],
    ['no colon', withLine('X-A a'), 'header-name-malformed'],
    ['no name', withLine(': a'), 'header-name-malformed'],
    ['a blank in a name', withLine('X A: a'), 'header-name-malformed'],
    ['% in a name, which a parser behind us may decode', withLine('X%2DAuth: a'), 'header-name-malformed'],
    ['only CRLF', Buffer.from('\r\n\r\n'), 'empty'],
    ['nothing', Buffer.alloc(0), 'empty'],
  ])('%s', (_what, bytes, reason) => {
    expect(outcome(bytes)).toBe(reason)
  })

  it('a fold directly behind the start line', () => {
    expect(outcome(wire('INVITE sip:a SIP/2.0', ' X-A: a', '', ''))).toBe('header-name-malformed')
  })

  it.each([
    ['From', 'From: <sip:evil@x>'],
    ['From', 'f: <sip:evil@x>'],
    ['From', 'FROM : <sip:evil@x>'],
    ['To', 't: <sip:evil@x>'],
    ['Call-ID', 'i: evil'],
    ['CSeq', 'cseq: 1 INVITE'],
    ['Max-Forwards', 'Max-Forwards: 70'],
  ])('%s is repeated by %j', (_name, line) => {
    expect(outcome(bytesOf({ add: [line] }))).toBe('header-repeated')
  })

  it('Content-Length is repeated, though with one value', () => {
    expect(outcome(bytesOf({ add: ['Content-Length: 0', 'l: 0'] }))).toBe('header-repeated')
  })

  it.each(['Via', 'From', 'To', 'Call-ID', 'CSeq'])('%s is missing', (name) => {
    expect(outcome(bytesOf({ with: { [name]: null } }))).toBe('header-missing')
  })

  it('the offset tells where', () => {
    const bytes = bytesOf({ add: ['X-A: a\nX-Evil: b'] })
    const result = parseMessage(bytes)
    expect(result).toEqual({ ok: false, reason: 'bare-lf', offset: bytes.indexOf('\nX-Evil') })
    const repeated = parseMessage(bytesOf({ add: ['f: x'] }))
    expect(repeated).toEqual({ ok: false, reason: 'header-repeated', offset: bytesOf().length - 2 })
  })

  it('a header block over 65535 bytes is refused', () => {
    expect(outcome(bytesOf({ add: [['X-A', 'a'.repeat(65_000)]] }))).toBe('accepted')
    expect(outcome(bytesOf({ add: [['X-A', 'a'.repeat(65_600)]] }))).not.toBe('accepted')
    expect(outcome(bytesOf({ add: [['X-A', 'a'.repeat(200_000)]] }))).not.toBe('accepted')
  })
})

const cseq = (value: string): string => outcome(bytesOf({ with: { CSeq: value } }))

const of = (method: string, CSeq: string): string =>
  outcome(bytesOf({ start: `${method} sip:a@[::1]:5060;x=%20?y SIP/2.0`, with: { CSeq } }))

describe('CSeq', () => {
  it.each(['1 INVITE', '0009   INVITE', '1 INVITE ', '1\tINVITE', '1\r\n INVITE', '99999999999999 INVITE'])(
    '%j is one',
    (value) => {
      expect(cseq(value)).toBe('accepted')
    },
  )

  it('T04: names the method of the start line, in the same case', () => {
    expect(of('OPTIONS', '1 OPTIONS')).toBe('accepted')
    expect(of("x-!.*_+`'~", "1 x-!.*_+`'~")).toBe('accepted')
    expect(of('BYE', '1 INVITE')).toBe('cseq-mismatch')
    expect(of('INVITE', '1 INVITEX')).toBe('cseq-mismatch')
    expect(of('INVITE', '1 invite')).toBe('cseq-mismatch')
  })

  it.each([
    '',
    'INVITE',
    '1',
    '1INVITE',
    '-1 INVITE',
    '1 INVITE x',
    '1 IN%56ITE',
    '0x1 INVITE',
    '1,2 INVITE',
  ])('%j is none', (value) => {
    expect(cseq(value)).toBe('cseq-malformed')
  })
})

const length = (value: string): string =>
  outcome(bytesOf({ add: [['Content-Length', value]], body: 'hello' }))

describe('Content-Length', () => {
  it.each(['5', '0', '0005', '5 ', '5\r\n '])('%j is one', (value) => {
    expect(length(value)).toBe('accepted')
  })

  it.each(['', 'abc', '0x5', '2.5', '-5', '+5', '5 5', '5,5', '5;x'])('%j is none', (value) => {
    expect(length(value)).toBe('content-length-malformed')
  })

  it.each(['6', '65536', '99999999999999999999999', '4294967301', `${2 ** 53 + 1}`])(
    '%j is more than there is',
    (value) => {
      expect(length(value)).toBe('content-length-exceeds')
    },
  )

  it('what lies past it is outside the message', () => {
    const parts: Parts = { add: [['Content-Length', '5']], body: 'helloINVITE sip:smuggled' }
    expect(Buffer.from(parsed(bytesOf(parts)).body).toString()).toBe('hello')
  })

  it('without it the body goes to the end', () => {
    expect(Buffer.from(parsed(bytesOf({ body: 'hello' })).body).toString()).toBe('hello')
  })
})
