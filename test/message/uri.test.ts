import { describe, expect, it } from 'vitest'
import { findParam, parseUri } from '../../src/message/uri.ts'

/** The parts that are not empty; null where the URI does not parse. */
function partsOf(text: string): Record<string, string | number> | null {
  // Surrounded by text, so that reading past either end shows.
  const bytes = Buffer.from(`sip:@<${text}>;@:;x=y`, 'latin1')
  const start = 6
  const uri = parseUri(bytes, start, start + Buffer.byteLength(text, 'latin1'))
  if (uri === null) return null
  const cut = (from: number, to: number): string => bytes.toString('latin1', from, to)
  const parts = {
    scheme: uri.scheme,
    user: cut(uri.userStart, uri.userEnd),
    password: cut(uri.passwordStart, uri.passwordEnd),
    host: cut(uri.hostStart, uri.hostEnd),
    port: cut(uri.portStart, uri.portEnd),
    params: cut(uri.paramsStart, uri.paramsEnd),
    headers: cut(uri.headersStart, uri.headersEnd),
  }
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== ''))
}

describe('URIs are taken apart as Kamailio does', () => {
  it.each<[string, Record<string, string>]>([
    ['sip:host', { scheme: 'sip', host: 'host' }],
    ['SIP:Host', { scheme: 'sip', host: 'Host' }],
    ['sips:a@b', { scheme: 'sips', user: 'a', host: 'b' }],
    ['sip:a:pw@b:5070', { scheme: 'sip', user: 'a', password: 'pw', host: 'b', port: '5070' }],
    ['sip:a:@b', { scheme: 'sip', user: 'a', host: 'b' }],
    ['sip:a@b:', { scheme: 'sip', user: 'a', host: 'b' }],
    ['sip:b:005060', { scheme: 'sip', host: 'b', port: '005060' }],
    ['sip:a@b:65535', { scheme: 'sip', user: 'a', host: 'b', port: '65535' }],
    ['sip:a@[2001:db8::1]:5061', { scheme: 'sip', user: 'a', host: '[2001:db8::1]', port: '5061' }],
    ['sip:[::1]', { scheme: 'sip', host: '[::1]' }],
    ['sip:a@b;x=1;lr?h=v&i', { scheme: 'sip', user: 'a', host: 'b', params: 'x=1;lr', headers: 'h=v&i' }],
    ['sip:a@b?h', { scheme: 'sip', user: 'a', host: 'b', headers: 'h' }],
    ['sip:+1;phone-context=x@b;y', { scheme: 'sip', user: '+1;phone-context=x', host: 'b', params: 'y' }],
    ['sip:+1;phone-context=x@b;user=phone', { scheme: 'sip', user: '+1', host: 'b', params: 'user=phone' }],
    ['sip:@a@b', { scheme: 'sip', user: '@a', host: 'b' }],
    ['sip:%00%40@b', { scheme: 'sip', user: '%00%40', host: 'b' }],
    ['sip:cl\xc3\xa9@b', { scheme: 'sip', user: 'cl\xc3\xa9', host: 'b' }],
    ['tel:+1-201', { scheme: 'tel', user: '+1-201' }],
    ['TEL:112;phone-context=x', { scheme: 'tel', user: '112' }],
    ['urn:service:sos', { scheme: 'urn', user: 'service', host: 'sos' }],
  ])('%s', (text, parts) => {
    expect(partsOf(text)).toEqual(parts)
  })

  it.each([
    '',
    'sip',
    'sip:',
    'sips:',
    'http://a',
    'mailto:a@b',
    'im:a@b',
    '*',
    'sip:@b',
    'sip::pw@b',
    'sip:a@',
    'sip:a@b@c',
    'sip:a:b:c@d',
    'sip:a@b_c',
    'sip:a@b c',
    'sip:a@b:65536',
    'sip:a@b:99999999999999999999',
    'sip:a@b:5o60',
    'sip:a@[::1',
    'sip:a@[::1]x',
    'sip:a@[;]',
    'sip:a@-b',
    'sip:a@b?x;y',
    'sip:a:b;c@d',
    'sip:a[b@c',
    'sip:;x',
    'urn:service',
    'urn::x',
    'urn:x:',
  ])('%j is none', (text) => {
    expect(partsOf(text)).toBeNull()
  })
})

const find = (params: string, name: string): string | null => {
  const bytes = Buffer.from(params)
  const found = findParam(bytes, 0, bytes.length, name)
  return found && bytes.toString('utf8', ...found)
}

describe('URI parameters', () => {
  it.each([
    ['transport=tcp', 'tcp'],
    ['lr;transport=tcp;x', 'tcp'],
    ['TRANSPORT=Tcp', 'Tcp'],
    ['transport=tcp;transport=udp', 'udp'],
    ['transport="t;cp";x=1', 't;cp'],
    ['transport', ''],
    ['transport=', ''],
    ['xtransport=tcp', null],
    ['transport2=tcp', null],
    ['', null],
    [';;', null],
  ])('transport in %j is %j', (params, value) => {
    expect(find(params, 'transport')).toBe(value)
  })
})
