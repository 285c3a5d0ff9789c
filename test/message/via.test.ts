import { describe, expect, it } from 'vitest'
import { isViaHeader, parseVia } from '../../src/message/via.ts'

function partsOf(text: string): Record<string, string | number> | null {
  const bytes = Buffer.from(`${text};branch=behind`, 'latin1')
  const via = parseVia(bytes, 0, text.length)
  if (via === null) return null
  const parts: Record<string, string | number> = {}
  const cut = (name: string, start: number, end: number): void => {
    if (start >= 0) parts[name] = bytes.toString('latin1', start, end)
  }
  cut('transport', via.transportStart, via.transportEnd)
  cut('host', via.hostStart, via.hostEnd)
  if (via.port !== 0) parts['port'] = via.port
  cut('branch', via.branchStart, via.branchEnd)
  cut('received', via.receivedStart, via.receivedEnd)
  cut('rport', via.rportStart, via.rportEnd)
  cut('sentBy', via.hostStart, via.sentByEnd)
  if (via.end < text.length) cut('rest', via.end, text.length)
  return parts
}

describe('Via', () => {
  it.each<[string, Record<string, string | number>]>([
    ['SIP/2.0/UDP a;branch=z9hG4bK1', { transport: 'UDP', host: 'a', sentBy: 'a', branch: 'z9hG4bK1' }],
    ['SIP/2.0/TCP a.b-c:5061', { transport: 'TCP', host: 'a.b-c', port: 5061, sentBy: 'a.b-c:5061' }],
    [
      'sip/2.0/tls [2001:db8::1]:5061',
      { transport: 'tls', host: '[2001:db8::1]', port: 5061, sentBy: '[2001:db8::1]:5061' },
    ],
    [
      'SIP / 2.0 / UDP a : 5060 ; branch = x',
      { transport: 'UDP', host: 'a', port: 5060, sentBy: 'a : 5060', branch: 'x' },
    ],
    ['SIP/2.0/UDP\r\n a\r\n ;rport', { transport: 'UDP', host: 'a', sentBy: 'a', rport: '' }],
    [
      'SIP/2.0/UDP a;rport=5070;received=[::1];branch=1',
      { transport: 'UDP', host: 'a', sentBy: 'a', rport: '5070', received: '[::1]', branch: '1' },
    ],
    [
      'SIP/2.0/UDP a;x="q;branch=evil\\"";branch=1',
      { transport: 'UDP', host: 'a', sentBy: 'a', branch: '1' },
    ],
    [
      'SIP/2.0/UDP a;branch=1,SIP/2.0/UDP b;branch=2',
      { transport: 'UDP', host: 'a', sentBy: 'a', branch: '1', rest: ',SIP/2.0/UDP b;branch=2' },
    ],
  ])('%j', (text, parts) => {
    expect(partsOf(text)).toEqual(parts)
  })

  it.each([
    '',
    'SIP/2.0',
    'SIP/2.0/UDP',
    'SIP/2.0/UDP ',
    'SIP/2.0/ a',
    'SIP/3.0/UDP a',
    'HTTP/2.0/UDP a',
    'SIP/2.0/UDP a:',
    'SIP/2.0/UDP a:0',
    'SIP/2.0/UDP a:65536',
    'SIP/2.0/UDP a:99999999999',
    'SIP/2.0/UDP [::1',
    'SIP/2.0/UDP a;',
    'SIP/2.0/UDP a;=x',
    'SIP/2.0/UDP a;x="',
    'SIP/2.0/UDP a b',
    'SIP/2.0/UDP :5060',
    'SIP/2.0/UDP %61',
  ])('%j is none', (text) => {
    expect(partsOf(text)).toBeNull()
  })

  it.each([
    ['SIP/2.0/UDP a, SIP/2.0/UDP b', true],
    ['SIP/2.0/UDP a', true],
    ['SIP/2.0/UDP a,', false],
    ['SIP/2.0/UDP a, nonsense', false],
    [',', false],
  ])('%j is a whole Via header: %s', (text, whole) => {
    const bytes = Buffer.from(text)
    expect(isViaHeader(bytes, 0, bytes.length)).toBe(whole)
  })
})

it.each(['branch', 'received', 'rport'])(
  'T08: a repeated %s, of which others may read the first, is no Via',
  (name) => {
    const bytes = Buffer.from(`SIP/2.0/UDP a;${name}=1;x=2;${name.toUpperCase()}=3`)
    expect(parseVia(bytes, 0, bytes.length)).toBeNull()
  },
)
