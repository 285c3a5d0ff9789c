import { describe, expect, it } from 'vitest'
import type { Issue } from '../../src/errors.ts'
import { compileDomains } from '../../src/digest/domains.ts'
import { compileUserDomains, type UserDomainOptions } from '../../src/digest/user-domain.ts'
import { viewOf } from '../../src/message/view.ts'
import { errorOf } from '../keyring/error-of.ts'
import { bytesOf, parsed } from '../support/messages.ts'

describe('domains', () => {
  it.each([
    ['example.org', 'example.org', true],
    ['example.org', 'EXAMPLE.Org', true],
    ['example.org', 'example.org.', true],
    ['example.org', 'sip.example.org', false],
    ['example.org', 'example.org.evil.example', false],
    ['example.org', 'notexample.org', false],
    ['*.example.org', 'a.example.org', true],
    ['*.example.org', 'example.org', false],
    ['*.example.org', '.example.org', false],
    ['*.example.org', 'b.a.example.org', false],
    ['*.example.org', 'a"b.example.org', false],
    ['sip.*.example', 'sip.a.example', true],
    ['sip.*.example', 'sip.a.b.example', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['*.0.2.1', '192.0.2.1', false],
    ['[2001:db8::1]', '[2001:DB8::1]', true],
    ['localhost', 'localhost', true],
  ])('%s fits %s: %s', (domain, host, expected) => {
    const issues: Issue[] = []
    const fits = compileDomains([domain], 'domains', issues)
    expect(issues).toEqual([])
    expect(fits(host)).toBe(expected)
  })

  it.each(['a*.example.org', '*', '*.*', '', 'exam ple', 'a..b', '-a.example'])('%j is refused', (domain) => {
    const issues: Issue[] = []
    compileDomains(['fine.example', domain], 'domains', issues)
    expect(issues.map(({ path }) => path)).toEqual(['domains[1]'])
  })
})

const SERVED = { domains: ['example.org', '*.example.net'] }

/** `user realm`, `stranger`, or the reason of the refusal. */
function locate(
  {
    method = 'INVITE',
    from = 'sip:alice@example.org',
    to = 'sip:bob@example.com',
    uri = 'sip:bob@example.com',
    preferred = '',
  },
  options: Partial<UserDomainOptions> = {},
): string {
  const bytes = bytesOf({
    start: `${method} ${uri} SIP/2.0`,
    with: { From: `<${from}>;tag=1`, To: `<${to}>`, CSeq: `1 ${method}` },
    add: preferred === '' ? [] : [['P-Preferred-Identity', `<${preferred}>`]],
  })
  const place = compileUserDomains({ ...SERVED, ...options }).locate(viewOf(parsed(bytes)), [
    preferred === '' ? 'from' : 'preferred',
  ])
  if (place.kind === 'user') return `user ${place.realm}`
  return place.kind === 'stranger' ? 'stranger' : place.reason
}

describe('requests', () => {
  it.each([
    ['from ours to anybody', {}, 'user example.org'],
    ['from a domain by wildcard', { from: 'sip:a@Sip.Example.NET' }, 'user sip.example.net'],
    ['P3: from nobody’s to nobody’s', { from: 'sip:a@evil.example' }, 'not-relaying'],
    ['from others to ours', { from: 'sip:a@evil.example', uri: 'sip:bob@example.org' }, 'stranger'],
    ['anonymous to nobody’s', { from: 'sip:anonymous@anonymous.invalid' }, 'not-relaying'],
    [
      'anonymous, with a preferred identity of ours',
      { from: 'sip:anonymous@anonymous.invalid', preferred: 'sip:alice@example.org' },
      'user example.org',
    ],
    ['from a telephone number', { from: 'tel:+49301234' }, 'not-relaying'],
  ])('%s: %s', (_, message, expected) => {
    expect(locate(message)).toBe(expected)
  })

  const register = { method: 'REGISTER', uri: 'sip:example.org', to: 'sip:alice@example.org' }
  it.each([
    ['here', register, 'user example.org'],
    ['of a foreign AoR', { ...register, to: 'sip:alice@evil.example' }, 'domain-forbidden'],
    ['elsewhere', { ...register, uri: 'sip:evil.example' }, 'not-relaying'],
    [
      'elsewhere, of a foreign AoR',
      { ...register, uri: 'sip:e.example', to: 'sip:a@e.example' },
      'not-relaying',
    ],
  ])('registration %s: %s', (_, message, expected) => {
    expect(locate(message)).toBe(expected)
  })

  it('P9: registrations may be taken in some domains only', () => {
    const options = { registrarDomains: ['reg.example'] }
    expect(locate(register, options)).toBe('domain-forbidden')
    expect(locate({ method: 'REGISTER', uri: 'sip:reg.example', to: 'sip:a@reg.example' }, options)).toBe(
      'user reg.example',
    )
  })
})

describe('realms', () => {
  it('may be one for all', () => {
    const realm = { kind: 'fixed', realm: 'home' } as const
    expect(locate({}, { realm })).toBe('user home')
    expect(locate({ from: 'sip:a@x.example.net' }, { realm })).toBe('user home')
    expect(locate({ from: 'tel:+49301234' }, { realm })).toBe('user home')
  })

  it('may be the domain without its start', () => {
    const options = {
      domains: ['sip.example.org', 'example.org', 'sip.'].slice(0, 2),
      realm: { kind: 'domain', strip: 'sip.' } as const,
    }
    expect(locate({ from: 'sip:a@SIP.example.org' }, options)).toBe('user example.org')
    expect(locate({ from: 'sip:a@example.org' }, options)).toBe('user example.org')
  })

  it('may come from a pattern', () => {
    const realm = { kind: 'pattern', pattern: '@(?:sip\\.)?(example\\.\\w+)$' } as const
    expect(locate({}, { realm })).toBe('user example.org')
    expect(locate({ from: 'sip:a@sip.example.net' }, { realm })).toBe('user example.net')
    const other = { kind: 'pattern', pattern: '^\\+49.*@(.*)$' } as const
    expect(locate({}, { realm: other })).toBe('realm-unknown')
  })

  it('say which credentials are ours', () => {
    const domains = compileUserDomains({ ...SERVED, realm: { kind: 'domain', strip: 'sip.' } })
    expect(domains.isOurs('example.org', undefined)).toBe(true)
    expect(domains.isOurs('a.example.net', undefined)).toBe(true)
    expect(domains.isOurs('evil.example', undefined)).toBe(false)
    const fixed = compileUserDomains({ ...SERVED, realm: { kind: 'fixed', realm: 'home' } })
    expect(fixed.isOurs('home', undefined)).toBe(true)
    expect(fixed.isOurs('example.org', undefined)).toBe(false)
  })

  it('say which hosts their users have', () => {
    const domains = compileUserDomains(SERVED)
    expect(domains.isHostOf('example.org', 'Example.org')).toBe(true)
    expect(domains.isHostOf('example.org', 'a.example.net')).toBe(false)
    expect(domains.isHostOf('evil.example', 'evil.example')).toBe(false)
  })

  it.each([
    [{ kind: 'fixed', realm: '' }, 'realm.realm'],
    [{ kind: 'fixed', realm: 'a"b' }, 'realm.realm'],
    [{ kind: 'fixed', realm: 'a\r\nX: y' }, 'realm.realm'],
    [{ kind: 'pattern', pattern: 'example' }, 'realm.pattern'],
    [{ kind: 'pattern', pattern: '(' }, 'realm.pattern'],
  ] as const)('are refused where they are none: %j', (realm, path) => {
    const error = errorOf(() => compileUserDomains({ ...SERVED, realm }))
    expect(error.issues.map((issue) => issue.path)).toEqual([path])
  })

  it('need a domain', () => {
    expect(errorOf(() => compileUserDomains({ domains: [] })).issues).toEqual([
      { path: 'domains', message: 'is empty: nobody could be served' },
    ])
  })
})
