import { describe, expect, it } from 'vitest'
import { parseNameAddr } from '../../src/message/name-addr.ts'

interface Parts {
  readonly display?: string
  readonly uri: string
  readonly tag?: string
  readonly params?: string
}

function partsOf(text: string, list: 'single' | 'list' = 'single'): (Parts & { rest?: string }) | null {
  const bytes = Buffer.from(`>;tag=x"${text};tag=y>`, 'latin1')
  const end = 8 + Buffer.byteLength(text, 'latin1')
  const address = parseNameAddr(bytes, 8, end, list)
  if (address === null) return null
  const cut = (from: number, to: number): string => bytes.toString('latin1', from, to)
  const { displayStart, displayEnd, uriStart, uriEnd, tagStart, tagEnd, paramsStart, paramsEnd } = address
  return {
    ...(displayStart >= 0 && { display: cut(displayStart, displayEnd) }),
    uri: cut(uriStart, uriEnd),
    ...(tagStart >= 0 && { tag: cut(tagStart, tagEnd) }),
    ...(paramsEnd > paramsStart && { params: cut(paramsStart, paramsEnd) }),
    ...(address.end < end && { rest: cut(address.end, end) }),
  }
}

describe('From and To are read as Kamailio does', () => {
  it.each<[string, Parts]>([
    ['<sip:a@b>', { uri: 'sip:a@b' }],
    ['sip:a@b', { uri: 'sip:a@b' }],
    ['sip:a@b;tag=1', { uri: 'sip:a@b', tag: '1', params: 'tag=1' }],
    ['<sip:a@b;x=1>;tag=2', { uri: 'sip:a@b;x=1', tag: '2', params: 'tag=2' }],
    ['Alice <sip:a@b>', { display: 'Alice', uri: 'sip:a@b' }],
    ['Alice  van  B. <sip:a@b>', { display: 'Alice  van  B.', uri: 'sip:a@b' }],
    ['"Alice" <sip:a@b>', { display: '"Alice"', uri: 'sip:a@b' }],
    ['"Alice"<sip:a@b>', { display: '"Alice"', uri: 'sip:a@b' }],
    ['"" <sip:a@b>', { display: '""', uri: 'sip:a@b' }],
    [
      '"a \\" <sip:evil>;tag=e" <sip:a@b>;tag=1',
      { display: '"a \\" <sip:evil>;tag=e"', uri: 'sip:a@b', tag: '1', params: 'tag=1' },
    ],
    ['cl\xc3\xa9 <sip:a@b>', { display: 'cl\xc3\xa9', uri: 'sip:a@b' }],
    ['< sip:a@b\t>', { uri: 'sip:a@b' }],
    ['<sip:a@b>;tag=', { uri: 'sip:a@b', params: 'tag=' }],
    ['<sip:a@b>;tag', { uri: 'sip:a@b', params: 'tag' }],
    ['<sip:a@b>;TAG="q;1"', { uri: 'sip:a@b', tag: 'q;1', params: 'TAG="q;1"' }],
    ['<sip:a@b>;tag=1;tag=2', { uri: 'sip:a@b', tag: '2', params: 'tag=1;tag=2' }],
    ['<sip:a@b>;xtag=1;tagx=2', { uri: 'sip:a@b', params: 'xtag=1;tagx=2' }],
    ['<sip:a@b>\r\n ; tag\r\n\t= 1', { uri: 'sip:a@b', tag: '1', params: 'tag\r\n\t= 1' }],
    ['\r\n <sip:a@b>', { uri: 'sip:a@b' }],
    ['<sip:a@b>;tag=1;tag', { uri: 'sip:a@b', params: 'tag=1;tag' }],
    ['<sip:a@b>;tag=1,2', { uri: 'sip:a@b', tag: '1,2', params: 'tag=1,2' }],
    ['<sip:a@b>;x=<y>', { uri: 'sip:a@b', params: 'x=<y>' }],
    ['<,sip:a@b>', { uri: ',sip:a@b' }],
  ])('%j', (text, parts) => {
    expect(partsOf(text)).toEqual(parts)
  })

  it.each([
    '',
    '  ',
    '<>',
    '< >',
    '<;x>',
    '<sip:a@b',
    '<sip:a b>',
    '<sip:a<b>',
    '<sip:"a">',
    '"a <sip:a@b>',
    '"a" sip:a@b',
    '"a\\',
    'a b',
    'a b;tag=1',
    'a"b" <sip:x>',
    '<sip:a@b>, <sip:c@d>',
    '<sip:a@b> x',
    '<sip:a@b>;',
    '<sip:a@b>;=1',
    '<sip:a@b>;x="',
    '<sip:a@b>;x=1=2',
    '<sip:a@b>;x=1,2',
    '<sip:a@b>;x="\\""',
    ';tag=1',
  ])('%j is none', (text) => {
    expect(partsOf(text)).toBeNull()
  })
})

describe('in a list', () => {
  it.each<[string, Parts & { rest?: string }]>([
    ['<sip:a>, <sip:b>', { uri: 'sip:a', rest: ', <sip:b>' }],
    ['sip:a,sip:b', { uri: 'sip:a', rest: ',sip:b' }],
    ['"a, b" <sip:a,c>;x=1,z', { display: '"a, b"', uri: 'sip:a,c', params: 'x=1', rest: ',z' }],
    ['<sip:a>', { uri: 'sip:a' }],
    ['sip:a \t', { uri: 'sip:a \t' }],
    ['sip:a \0,sip:b', { uri: 'sip:a ', rest: '\0,sip:b' }],
  ])('%j ends at the comma or a NUL', (text, parts) => {
    expect(partsOf(text, 'list')).toEqual(parts)
  })
})
