import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAddressMatcher, createSourceMatcher, parseSource } from '../../src/pipeline/source.ts'
import { errorOf } from '../keyring/error-of.ts'

describe('parseSource', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1', 32, undefined],
    ['192.0.2.1:5060', '192.0.2.1', 32, 5060],
    ['192.0.2.0/28', '192.0.2.0', 28, undefined],
    ['0.0.0.0/0', '0.0.0.0', 0, undefined],
    ['2001:db8::1', '2001:db8::1', 128, undefined],
    ['2001:db8::/64', '2001:db8::', 64, undefined],
    ['[2001:db8::1]', '2001:db8::1', 128, undefined],
    ['[2001:db8::1]:5060', '2001:db8::1', 128, 5060],
    ['::1', '::1', 128, undefined],
  ])('reads %s', (text, address, prefix, port) => {
    expect(parseSource(text)).toEqual({ address, prefix, port })
  })

  it.each([
    ['', /is not an IP address/],
    ['sip.example.com', /is not an IP address/],
    ['192.0.2', /is not an IP address/],
    ['192.0.2.256', /is not an IP address/],
    ['192.0.2.1:', /is not an IP address/],
    ['192.0.2.1/', /is not an IP address/],
    ['192.0.2.1 ', /is not an IP address/],
    ['[192.0.2.1', /is not an IP address/],
    ['2001:db8::1::', /is not an IP address/],
    ['192.0.2.1:0', /port 0 is not in/],
    ['192.0.2.1:65536', /port 65536 is not in/],
    ['192.0.2.0/33', /\/33 is longer than an IPv4 address/],
    ['2001:db8::/129', /\/129 is longer than an IPv6 address/],
    ['192.0.2.0:5060/28', /a network has no port/],
  ])('refuses %j', (text, message) => {
    expect(parseSource(text)).toMatch(message)
  })
})

const dotted = (n: number): string => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.')

describe('createSourceMatcher', () => {
  it.each([
    ['one address, any port', ['192.0.2.1'], ['192.0.2.1:5060', '192.0.2.1:1'], ['192.0.2.2:5060']],
    ['an address with its port', ['192.0.2.1:5060'], ['192.0.2.1:5060'], ['192.0.2.1:5061']],
    ['a network', ['192.0.2.16/28'], ['192.0.2.16:1', '192.0.2.31:1'], ['192.0.2.15:1', '192.0.2.32:1']],
    ['a network written with host bits', ['192.0.2.20/28'], ['192.0.2.16:1'], ['192.0.2.32:1']],
    ['several', ['192.0.2.1', '198.51.100.0/24'], ['192.0.2.1:1', '198.51.100.9:1'], ['203.0.113.1:1']],
    ['IPv6', ['2001:db8::1'], ['[2001:db8:0:0::1]:5060'], ['[2001:db8::2]:5060']],
    ['an IPv6 network', ['2001:db8:1::/48'], ['[2001:db8:1:ffff::9]:1'], ['[2001:db8:2::1]:1']],
    [
      'IPv4 seen through a dual-stack socket',
      ['192.0.2.1'],
      ['[::ffff:192.0.2.1]:1'],
      ['[::ffff:192.0.2.2]:1'],
    ],
    ['an empty list', [], [], ['192.0.2.1:1']],
    ['another family', ['0.0.0.0/0'], ['192.0.2.1:1'], ['[2001:db8::1]:1']],
  ])('%s', (_, sources, inside, outside) => {
    const matches = createSourceMatcher(sources)
    const ask = (text: string): boolean => {
      const [, address = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(text)!
      return matches({ address, port: Number(port) })
    }
    expect(inside.map(ask)).toEqual(inside.map(() => true))
    expect(outside.map(ask)).toEqual(outside.map(() => false))
  })

  it('does not fall over an address that is none', () => {
    const matches = createSourceMatcher(['192.0.2.1', '2001:db8::/32'])
    const odd = ['', 'localhost', 'fe80::1%lo', '1.2.3', ':', '\0']
    expect(odd.map((address) => matches({ address, port: 5060 }))).toEqual(odd.map(() => false))
  })

  it('tells every entry that is no source, with its place', () => {
    const error = errorOf(() => createSourceMatcher(['192.0.2.1', 'trunk.example', '192.0.2.0/40']))
    expect(error.code).toBe('ERR_PIPELINE_INVALID')
    expect(error.issues.map(({ path }) => path)).toEqual(['source[1]', 'source[2]'])
  })

  it('agrees with arithmetic on IPv4 networks', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff })
    fc.assert(
      fc.property(
        word,
        word,
        fc.integer({ min: 1, max: 32 }),
        fc.boolean(),
        (network, other, prefix, near) => {
          const mask = (0xffffffff << (32 - prefix)) >>> 0
          const address = near ? ((network & mask) | (other & ~mask)) >>> 0 : other
          const matches = createAddressMatcher({ address: dotted(network), prefix, port: undefined })
          expect(matches(dotted(address))).toBe((network & mask) >>> 0 === (address & mask) >>> 0)
        },
      ),
    )
  })
})
