import { describe, expect, it } from 'vitest'
import { parseFlow, writeFlow } from '../../src/edge/flow.ts'
import { createFlowTokens, isFlowToken } from '../../src/edge/flow-token.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { viewOf } from '../../src/message/view.ts'
import { parsed } from '../support/messages.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { phoneRequest, usersKeyring } from '../support/users-rig.ts'

describe('a flow', () => {
  it.each([
    ['192.0.2.1', 5060, 'c000020113c4'],
    ['255.255.255.255', 65535, 'ffffffffffff'],
    ['::1', 1, '000000000000000000000000000000010001'],
    ['2001:db8::a:b', 5060, '20010db80000000000000000000a000b13c4'],
    ['2001:db8:1:2:3:4:5:6', 5060, '20010db800010002000300040005000613c4'],
    ['fe80::', 5060, 'fe80000000000000000000000000000013c4'],
  ])('%s, %i is written and read', (address, port, text) => {
    expect(writeFlow({ address, port })).toBe(text)
    expect(parseFlow(text)).toEqual({ address, port })
  })

  it('of an address with a zone cannot be written: another node has other zones', () => {
    expect(writeFlow({ address: 'fe80::1%eth0', port: 5060 })).toBeUndefined()
    expect(writeFlow({ address: 'host.example', port: 5060 })).toBeUndefined()
  })

  it.each(['', 'c0000201', 'c00002010000', 'C000020113C4', 'c000020113c4c4', 'g00002011111', '/../'])(
    'is not read from %j',
    (text) => {
      expect(parseFlow(text)).toBeUndefined()
    },
  )
})

const tokensOf = (keyring = usersKeyring(), now = () => new Date()) =>
  createFlowTokens({ keyring: () => keyring, group: 'nonces', now })
describe('a flow token', () => {
  const flow = { address: '192.0.2.7', port: 5061 }
  const one = viewOf(parsed(phoneRequest('INVITE', { callId: 'one' })))
  const other = viewOf(parsed(phoneRequest('INVITE', { callId: 'two' })))

  it('of a registration holds for every request, on every node', () => {
    const token = tokensOf().forRegistration(flow)!
    expect(isFlowToken(token)).toBe(true)
    expect(tokensOf().read(token, one)).toEqual({ kind: 'registration', flow })
    expect(tokensOf().read(token, other)).toEqual({ kind: 'registration', flow })
  })

  it('of a dialog holds for its Call-ID alone', () => {
    const token = tokensOf().forDialog(flow, one)!
    expect(tokensOf().read(token, one)).toEqual({ kind: 'dialog', flow })
    expect(tokensOf().read(token, other)).toBeUndefined()
  })

  it('is not one of the other kind', () => {
    const dialog = tokensOf().forDialog(flow, one)!
    const registration = tokensOf().forRegistration(flow)!
    expect(tokensOf().read(`p${dialog.slice(1)}`, one)).toBeUndefined()
    expect(tokensOf().read(`d${registration.slice(1)}`, one)).toBeUndefined()
  })

  it('does not hold with any character changed', () => {
    const tokens = tokensOf()
    const token = tokens.forRegistration(flow)!
    for (let i = 0; i < token.length; i++) {
      const changed = `${token.slice(0, i)}${token[i] === '0' ? '1' : '0'}${token.slice(i + 1)}`
      expect(tokens.read(changed, one)).toBeUndefined()
    }
  })

  it('holds under every usable key, is made by the one that signs, and ends with its key', () => {
    const [old, fresh] = [usersKeyring([SECRETS.other]), usersKeyring([SECRETS.other, SECRETS.new])]
    const token = tokensOf(old).forRegistration(flow)!
    expect(tokensOf(fresh).read(token, one)).toBeDefined()
    expect(tokensOf(fresh).forRegistration(flow)).not.toBe(token)
    expect(tokensOf(usersKeyring([SECRETS.new])).read(token, one)).toBeUndefined()

    let now = new Date('2026-01-01')
    const ending = createKeyring([
      ['nonces', [createKey({ name: 'n', secret: SECRETS.other, expires: new Date('2026-02-01') })]],
    ])
    const tokens = tokensOf(ending, () => now)
    const made = tokens.forRegistration(flow)!
    expect(tokens.read(made, one)).toBeDefined()
    now = new Date('2026-02-01')
    expect(tokens.read(made, one)).toBeUndefined()
    expect(tokens.forRegistration(flow)).toBeUndefined()
  })
})
