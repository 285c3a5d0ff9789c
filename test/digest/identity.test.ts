import { describe, expect, it } from 'vitest'
import type { Account } from '../../src/digest/credential-store.ts'
import { fitsAccount, IDENTITY_FIELDS, type IdentityField } from '../../src/digest/identity.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, parsed, type Line } from '../support/messages.ts'

const alice: Account = { username: 'alice', ha1: undefined, status: 'active' }

interface Given {
  readonly method?: string
  readonly from?: string
  readonly to?: string
  readonly uri?: string
  readonly add?: readonly Line[]
}

function fits(given: Given, account: Partial<Account> = {}, fields?: readonly IdentityField[]): boolean {
  const { method = 'INVITE', from = '<sip:alice@example.org>', to = '<sip:alice@example.org>' } = given
  const bytes = bytesOf({
    start: `${method} ${given.uri ?? 'sip:alice@example.org'} SIP/2.0`,
    with: { From: `${from};tag=1`, To: to, CSeq: `1 ${method}` },
    add: given.add ?? [],
  })
  const wanted = fields ?? IDENTITY_FIELDS[method] ?? ['from']
  return fitsAccount(
    viewOf(parsed(bytes)),
    { ...alice, ...account },
    wanted,
    (host) => host === 'example.org',
  )
}

const BOB = '<sip:bob@example.org>'

describe('T31, I1: the account', () => {
  it.each([
    ['REGISTER of its own', { method: 'REGISTER' }, true],
    ['REGISTER of another AoR', { method: 'REGISTER', to: BOB }, false],
    ['REGISTER from another', { method: 'REGISTER', from: BOB }, false],
    ['PUBLISH of its own', { method: 'PUBLISH' }, true],
    ['PUBLISH of another', { method: 'PUBLISH', uri: 'sip:bob@example.org' }, false],
    ['INVITE to anybody', { to: BOB, uri: 'sip:bob@elsewhere.example' }, true],
    ['INVITE from another', { from: BOB }, false],
    ['a host of somebody else', { from: '<sip:alice@evil.example>' }, false],
    ['an escaped user', { from: '<sip:al%69ce@example.org>' }, true],
    ['another case of the user', { from: '<sip:Alice@example.org>' }, false],
    ['a display name that lies', { from: '"sip:alice@example.org" <sip:bob@example.org>' }, false],
    ['no user', { from: '<sip:example.org>' }, false],
    ['a user that is no UTF-8', { from: '<sip:%ff@example.org>' }, false],
    ['a user with an escaped line end', { from: '<sip:alice%0d%0a@example.org>' }, false],
    ['a telephone number', { from: '<tel:+49301234>' }, false],
  ] as const)('%s: %s', (_, given, expected) => {
    expect(fits(given)).toBe(expected)
  })

  it('I4: may have other users', () => {
    const account = { identities: ['1001', '+49301234', 'Jürgen'] }
    expect(fits({ from: '<sip:1001@example.org>' }, account)).toBe(true)
    expect(fits({ from: '<sip:1002@example.org>' }, account)).toBe(false)
    expect(fits({ from: '<tel:+49301234>' }, account)).toBe(true)
    expect(fits({ from: '<sip:J%C3%BCrgen@example.org>' }, account)).toBe(true)
    expect(fits({ method: 'REGISTER', to: '<sip:1001@example.org>' }, account)).toBe(true)
  })

  it('is of one domain, where it says so', () => {
    expect(fits({}, { domain: 'Example.ORG' })).toBe(true)
    expect(fits({}, { domain: 'example.net' })).toBe(false)
  })

  it('I6: registers for others only where it is listed', () => {
    const third = { method: 'REGISTER', to: BOB }
    expect(fits(third, { registersFor: ['bob'] })).toBe(true)
    expect(fits(third, { registersFor: ['carol'] })).toBe(false)
    expect(fits(third, { registersFor: ['*'] })).toBe(true)
    expect(fits({ ...third, to: '<sip:bob@evil.example>' }, { registersFor: ['*'] })).toBe(false)
    expect(fits({ from: BOB }, { registersFor: ['*'] })).toBe(false)
    expect(fits({ ...third, from: BOB }, { registersFor: ['*'] })).toBe(false)
  })
})

const preferring = (value: string): Line => ['P-Preferred-Identity', value]

describe('I5: P-Preferred-Identity', () => {
  const anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>'
  const fields: readonly IdentityField[] = ['preferred']

  it('stands for From where it is there', () => {
    expect(fits({ from: anonymous, add: [preferring('<sip:alice@example.org>')] }, {}, fields)).toBe(true)
    expect(fits({ add: [preferring(BOB)] }, {}, fields)).toBe(false)
    expect(fits({}, {}, fields)).toBe(true)
    expect(fits({ from: anonymous }, {}, fields)).toBe(false)
  })

  it('does not stand for it where it is not asked', () => {
    expect(fits({ from: anonymous, add: [preferring('<sip:alice@example.org>')] })).toBe(false)
  })

  it('may be there once', () => {
    const add = [preferring('<sip:alice@example.org>'), preferring(BOB)]
    expect(fits({ add }, {}, fields)).toBe(false)
    expect(fits({ add: [preferring('<sip:alice@example.org>, <tel:+1>')] }, {}, fields)).toBe(false)
    expect(fits({ add: [preferring('')] }, {}, fields)).toBe(false)
  })
})

describe('policy', () => {
  it('I3: no fields, no check', () => {
    expect(fits({ from: BOB }, {}, [])).toBe(true)
  })

  it('may look at To and Request-URI', () => {
    expect(fits({ to: BOB }, {}, ['to'])).toBe(false)
    expect(fits({ uri: 'sip:bob@example.org' }, {}, ['request-uri'])).toBe(false)
    expect(fits({}, {}, ['from', 'to', 'request-uri', 'preferred'])).toBe(true)
  })
})
