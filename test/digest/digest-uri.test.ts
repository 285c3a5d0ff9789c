import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSameUri } from '../../src/digest/digest-uri.ts'

describe('T29: the digest-uri', () => {
  it.each([
    ['the same text', 'sip:bob@example.org', 'sip:bob@example.org'],
    ['the same text that is no URI', '*', '*'],
    ['another case of scheme and host', 'SIP:bob@Example.ORG', 'sip:bob@example.org'],
    ['the default port', 'sip:bob@example.org', 'sip:bob@example.org:5060'],
    ['the default port of sips', 'sips:bob@example.org:5061', 'sips:bob@example.org'],
    ['an escaped user', 'sip:b%6Fb@example.org', 'sip:bob@example.org'],
    ['a parameter left out', 'sip:bob@example.org', 'sip:bob@example.org;user=phone'],
    ['a transport left out', 'sip:bob@example.org', 'sip:bob@example.org;transport=tcp'],
    ['the same maddr', 'sip:a@b;maddr=1.2.3.4;x=y', 'sip:a@b;maddr=1.2.3.4'],
    ['no user', 'sip:example.org', 'sip:example.org:5060'],
    ['a telephone number with separators', 'tel:+1-201-555-0123', 'tel:+12015550123'],
    ['IPv6', 'sip:a@[2001:DB8::1]', 'sip:a@[2001:db8::1]:5060'],
  ])('%s is the same', (_, digestUri, requestUri) => {
    expect(isSameUri(digestUri, requestUri)).toBe(true)
    expect(isSameUri(requestUri, digestUri)).toBe(true)
  })

  it.each([
    ['user', 'sip:alice@example.org', 'sip:bob@example.org'],
    ['case of the user', 'sip:Bob@example.org', 'sip:bob@example.org'],
    ['host', 'sip:bob@example.com', 'sip:bob@example.org'],
    ['port', 'sip:bob@example.org:5062', 'sip:bob@example.org'],
    ['scheme', 'sips:bob@example.org', 'sip:bob@example.org'],
    ['password', 'sip:bob:x@example.org', 'sip:bob@example.org'],
    ['maddr', 'sip:bob@example.org', 'sip:bob@example.org;maddr=192.0.2.66'],
    ['ttl', 'sip:bob@example.org;ttl=1', 'sip:bob@example.org;ttl=2'],
    ['method', 'sip:bob@example.org;method=BYE', 'sip:bob@example.org'],
    ['headers', 'sip:bob@example.org', 'sip:bob@example.org?Route=evil'],
    ['kind of URI', 'tel:+1201', 'sip:+1201@example.org'],
    ['number', 'tel:+1201', 'tel:+1202'],
    ['URN', 'urn:service:sos', 'urn:service:sos.fire'],
    ['a host alone', 'sip:example.org', 'sip:bob@example.org'],
    ['no URI', 'bob', 'sip:bob@example.org'],
    ['empty', '', 'sip:bob@example.org'],
  ])('another %s is another', (_, digestUri, requestUri) => {
    expect(isSameUri(digestUri, requestUri)).toBe(false)
    expect(isSameUri(requestUri, digestUri)).toBe(false)
  })

  it('may be anything', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), fc.string({ unit: 'binary-ascii' }), (a, b) => {
        const [one, other] = [`sip:${a}`, `sip:${b}`]
        expect(isSameUri(one, other)).toBe(isSameUri(other, one))
        expect(isSameUri(one, one)).toBe(true)
      }),
    )
  })
})
