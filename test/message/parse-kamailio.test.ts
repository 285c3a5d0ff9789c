import { describe, expect, it } from 'vitest'
import { compileTemplate } from '../../src/template/compile.ts'
import { bytesOf, contextOf, outcome, parsed, responseBytes } from '../support/messages.ts'

const taken = (bytes: Buffer): string => outcome(bytes, 'kamailio')
const expand = (source: string, bytes: Buffer): string => {
  const result = compileTemplate(source).expand(contextOf(bytes, {}, 'kamailio'))
  return result.ok ? result.data.toString('latin1') : result.missing
}

describe('what Kamailio forgives', () => {
  it.each([
    ['LF line ends', Buffer.from(bytesOf().toString('latin1').replaceAll('\r\n', '\n'))],
    ['blanks, NUL and line ends in front', Buffer.concat([Buffer.from(' \t\0\r\n\n'), bytesOf()])],
    ['spaces before the version and behind it', bytesOf({ start: 'INVITE sip:a  \t sip/2.0 \t' })],
    ['more digits of the version', bytesOf({ start: 'INVITE sip:a SIP/2.01' })],
    ['a Request-URI that is none', bytesOf({ start: 'INVITE <"a"> SIP/2.0' })],
    ['an empty Request-URI', bytesOf({ start: 'INVITE  SIP/2.0' })],
    ['any byte in a method', bytesOf({ start: 'IN%56ITE\x01 sip:a SIP/2.0' })],
    ['a From that is none', bytesOf({ with: { From: '"<' } })],
    ['a Content-Length that exceeds', bytesOf({ add: ['l: 99'] })],
    ['status codes below 100', responseBytes('099 ')],
    [
      'repeated single headers in a response',
      responseBytes('200 OK', { add: ['From: <sip:x>', 'CSeq: 2 BYE'] }),
    ],
    [
      'names of the same shape as From, Via or Content-Length',
      bytesOf({ add: ['Form: <', 'Vxa: ?', 'Cxxxxxx-Length: x'] }),
    ],
  ])('%s', (_what, bytes) => {
    expect(taken(bytes)).toBe('accepted')
    expect(expand('$hdrc(To)', bytes)).toBe('1')
  })

  it.each([
    ['a header without colon', ['broken', 'X-Z: 1']],
    ['a name with a character that it does not know', ['X!A: 1']],
    ['a repeated From', ['f: <sip:x>']],
    ['a repeated Content-Length', ['l: 0', 'l: 0']],
    ['a Content-Length that is no number', ['Content-Length: -1']],
    ['a further Via that is none', ['Via: nonsense']],
  ])('%s behind the mandatory ones leaves the headers unread', (_what, add) => {
    const bytes = bytesOf({ add, body: 'body' })
    expect(taken(bytes)).toBe('accepted')
    expect(expand('$hdr(CSeq)|$hdrc(CSeq)|$rb|$fu|$cs', bytes)).toBe(
      '<null>|0|<null>|sip:alice@atlanta.example|314159',
    )
  })

  it('a missing last line end leaves the headers unread', () => {
    expect(expand('$hdr(CSeq)|$fu', bytesOf({ add: ['X-Z: 1'] }).subarray(0, -4))).toBe(
      '<null>|sip:alice@atlanta.example',
    )
  })
})

describe('what Kamailio refuses', () => {
  it.each([
    ['less than 32 bytes', Buffer.from('OPTIONS sip:a SIP/2.0\r\n\r\n'), 'start-line-malformed'],
    ['nothing', Buffer.alloc(0), 'empty'],
    ['only line ends', Buffer.alloc(100, '\r\n'), 'start-line-malformed'],
    ['two spaces behind the method', bytesOf({ start: 'INVITE  sip:a SIP/2.0' }), 'version-unsupported'],
    ['a tab behind the method', bytesOf({ start: 'INVITE\tsip:a SIP/2.0' }), 'start-line-malformed'],
    ['no version', bytesOf({ start: 'INVITE sip:a' }), 'start-line-malformed'],
    ['version 3', bytesOf({ start: 'INVITE sip:a SIP/3.0' }), 'version-unsupported'],
    ['another minor version', bytesOf({ start: 'INVITE sip:a SIP/2.7' }), 'version-unsupported'],
    ['text behind the version', bytesOf({ start: 'INVITE sip:a SIP/2.0 x' }), 'start-line-malformed'],
    ['a status of two digits', responseBytes('20 OK'), 'start-line-malformed'],
    ['a status with nothing behind', responseBytes('200'), 'start-line-malformed'],
    ['a Via that is none', bytesOf({ with: { Via: 'SIP/2.0' } }), 'header-malformed'],
    ['a To that is none', bytesOf({ with: { To: '"<' } }), 'header-malformed'],
    ['a fold between number and method', bytesOf({ with: { CSeq: '1\r\n INVITE' } }), 'cseq-malformed'],
    ['text behind the method of CSeq', bytesOf({ with: { CSeq: '1 INVITE x' } }), 'cseq-malformed'],
    [
      'CR alone as line end',
      Buffer.from(bytesOf().toString('latin1').replaceAll('\r\n', '\r')),
      'start-line-malformed',
    ],
    ['no From', bytesOf({ with: { From: null } }), 'header-missing'],
    ['a bad header before the mandatory ones', bytesOf({ with: { Via: 'x\r\nbroken' } }), 'header-malformed'],
  ])('%s', (_what, bytes, reason) => {
    expect(taken(bytes)).toBe(reason)
  })
})

describe('what differs from the strict view', () => {
  it('the body goes to the end, whatever Content-Length says', () => {
    const bytes = bytesOf({ add: ['l: 2'], body: 'hello' })
    expect(Buffer.from(parsed(bytes, 'kamailio').body).toString()).toBe('hello')
    expect(Buffer.from(parsed(bytes, 'strict').body).toString()).toBe('he')
  })

  it('NULs and line ends behind a value are no part of it, blanks are', () => {
    expect(parsed(bytesOf({ add: ['X-A: a \0'] }), 'kamailio').headers('X-A')).toEqual(['a '])
  })

  it('a message without body and empty line has an empty body', () => {
    expect(parsed(bytesOf({ add: ['X-Z: 1'] }).subarray(0, -4), 'kamailio').body).toHaveLength(0)
  })
})
