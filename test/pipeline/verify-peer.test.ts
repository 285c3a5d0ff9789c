import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import type { Verdict } from '../../src/pipeline/stage.ts'
import type { Agreement, AgreementInput } from '../../src/xkeys/agreement.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { errorOf } from '../keyring/error-of.ts'
import { bytesOf, contextOf, responseBytes } from '../support/messages.ts'
import { agreementOf, forged, keyringOf, signedBytes } from '../support/signed-messages.ts'

const keyring = keyringOf()
const plain = agreementOf()

function judge(
  bytes: Buffer,
  options: { agreement?: Agreement; source?: readonly string[]; from?: Endpoint } = {},
): Verdict {
  const { agreement = plain, source, from = { address: '192.0.2.1', port: 5060 } } = options
  const verifier = createVerifier({ agreement, keyring })
  const stage = verifyPeer({ peer: 'carrier', verifier, ...(source && { source }) })
  const verdict = stage.judge(contextOf(bytes, { source: from }))
  if (verdict instanceof Promise) throw new Error('the stage must be synchronous')
  return verdict
}

const accepted = (key: string): Verdict => ({
  verdict: 'accept',
  identity: { kind: 'peer', peer: 'carrier', key: { group: 'trunk-a', name: key } },
  remove: ['X-Auth'],
})
const refused = (reason: string): Verdict => ({ verdict: 'reject', status: 403, reason })
const UNSIGNED: Verdict = {
  verdict: 'accept',
  identity: { kind: 'unsigned', peer: 'carrier' },
  remove: ['X-Auth'],
}

const request = signedBytes(bytesOf(), plain)

describe('requests', () => {
  it('names the stage after the peer', () => {
    expect(
      verifyPeer({ peer: 'carrier', verifier: createVerifier({ agreement: plain, keyring }) }).name,
    ).toBe('xkeys:carrier')
  })

  it('accepts a token, and says which key and which header goes', () => {
    expect(judge(request)).toEqual(accepted('new'))
  })

  it.each([
    ['a wrong token', forged(request), 'token-mismatch'],
    ['a token that is none', bytesOf({ add: [['X-Auth', 'zz']] }), 'token-malformed'],
    ['an empty token', bytesOf({ add: [['X-Auth', '']] }), 'token-malformed'],
    [
      'two tokens',
      bytesOf({
        add: [
          ['X-Auth', 'a'],
          ['X-Auth', 'b'],
        ],
      }),
      'header-repeated',
    ],
  ])('refuses %s with 403', (_, bytes, reason) => {
    expect(judge(bytes)).toEqual(refused(reason))
    expect(judge(bytes, { source: ['192.0.2.1'] })).toEqual(refused(reason))
  })

  it('leaves a request without a token to the next stage where it knows no sources', () => {
    expect(judge(bytesOf())).toEqual({ verdict: 'abstain', reason: 'header-missing' })
  })

  it('T18: refuses one without a token from an address that is the peer', () => {
    expect(judge(bytesOf(), { source: ['192.0.2.0/24'] })).toEqual(refused('header-missing'))
  })

  it('refuses what the agreement never signs', () => {
    const agreement = agreementOf({ request: undefined } as unknown as AgreementInput)
    expect(judge(request, { agreement })).toEqual(refused('direction-unsigned'))
  })

  it('T15: refuses the token of another group', () => {
    const other = signedBytes(bytesOf(), agreementOf({ group: 'trunk-b' }))
    expect(judge(other)).toEqual(refused('token-mismatch'))
  })
})

describe('sources', () => {
  const cases: readonly (readonly [string, readonly string[], string, number, 'mine' | 'not mine'])[] = [
    ['the address', ['192.0.2.1'], '192.0.2.1', 9, 'mine'],
    ['another address', ['192.0.2.1'], '192.0.2.2', 9, 'not mine'],
    ['the port', ['192.0.2.1:5060'], '192.0.2.1', 5060, 'mine'],
    ['another port', ['192.0.2.1:5060'], '192.0.2.1', 5061, 'not mine'],
    ['in the network', ['198.51.100.0/24', '192.0.2.0/28'], '192.0.2.15', 9, 'mine'],
    ['outside of the network', ['192.0.2.0/28'], '192.0.2.16', 9, 'not mine'],
    ['IPv6', ['[2001:db8::1]:5060'], '2001:db8::1', 5060, 'mine'],
    ['in the IPv6 network', ['2001:db8::/64'], '2001:db8::ffff', 9, 'mine'],
    ['outside of the IPv6 network', ['2001:db8::/64'], '2001:db8:0:1::1', 9, 'not mine'],
    ['an empty list', [], '192.0.2.1', 9, 'not mine'],
  ]
  it.each(cases)('%s', (_, source, address, port, whose) => {
    const expected = whose === 'mine' ? accepted('new') : { verdict: 'abstain', reason: 'source-not-allowed' }
    expect(judge(request, { source, from: { address, port } })).toEqual(expected)
  })

  it('does not look at the token of a stranger', () => {
    const from = { address: '203.0.113.9', port: 5060 }
    const strange: Verdict = { verdict: 'abstain', reason: 'source-not-allowed' }
    expect(judge(forged(request), { source: ['192.0.2.1'], from })).toEqual(strange)
    expect(judge(responseBytes(), { source: ['192.0.2.1'], from })).toEqual(strange)
  })

  it('are refused at construction where they are none, all at once', () => {
    const error = errorOf(() => judge(request, { source: ['sip.example', '192.0.2.1', '1.2.3.4/99'] }))
    expect(error.code).toBe('ERR_PIPELINE_INVALID')
    expect(error.issues.map(({ path }) => path)).toEqual(['source[0]', 'source[2]'])
  })
})

const response = (status: string, method = 'INVITE'): Buffer =>
  responseBytes(status, { with: { CSeq: `314159 ${method}`, To: '<sip:bob@biloxi.example>;tag=b' } })

const drop = (reason: string): Verdict => ({ verdict: 'drop', reason })

describe('responses', () => {
  type Policy = 'required' | 'if-present' | 'off'
  const table: readonly (readonly [Policy, string, Buffer, Verdict])[] = [
    ['required', 'signed', signedBytes(response('200 OK'), plain), accepted('new')],
    ['required', 'forged', forged(signedBytes(response('200 OK'), plain)), drop('token-mismatch')],
    ['required', 'without a token', response('200 OK'), drop('header-missing')],
    ['required', 'error without a token', response('486 Busy Here'), drop('header-missing')],
    ['required', '180 without a token', response('180 Ringing'), drop('header-missing')],
    ['required', '100 without a token', response('100 Trying'), UNSIGNED],
    ['required', 'to CANCEL without a token', response('200 OK', 'CANCEL'), UNSIGNED],
    [
      'required',
      'to CANCEL, forged',
      forged(signedBytes(response('200 OK', 'CANCEL'), plain)),
      drop('token-mismatch'),
    ],
    ['required', '100, forged', forged(signedBytes(response('100 Trying'), plain)), drop('token-mismatch')],
    ['if-present', 'signed', signedBytes(response('200 OK'), plain), accepted('new')],
    ['if-present', 'without a token', response('200 OK'), UNSIGNED],
    ['if-present', 'forged', forged(signedBytes(response('200 OK'), plain)), drop('token-mismatch')],
    [
      'if-present',
      'with an empty token',
      responseBytes('200 OK', { add: ['X-Auth:'] }),
      drop('token-malformed'),
    ],
    ['off', 'without a token', response('200 OK'), UNSIGNED],
    ['off', 'with any token, which goes', forged(signedBytes(response('200 OK'), plain)), UNSIGNED],
  ]
  it.each(table)('policy %s: %s', (responses, _, bytes, expected) => {
    const agreement = agreementOf({ responses })
    expect(judge(bytes, { agreement, source: ['192.0.2.1'] })).toEqual(expected)
  })

  it.each([
    ['hmac-sha256', drop('header-missing')],
    ['sha256', UNSIGNED],
  ] as const)('default policy of %s', (algorithm, expected) => {
    expect(
      judge(response('200 OK'), { agreement: agreementOf({ algorithm }), source: ['192.0.2.1'] }),
    ).toEqual(expected)
  })

  it('pass unsigned where the agreement has no template for them', () => {
    const agreement = agreementOf({ response: undefined } as unknown as AgreementInput)
    expect(judge(response('200 OK'), { agreement })).toEqual(UNSIGNED)
  })

  it('T16: the token of a request is none of a response', () => {
    const token = /X-Auth: (\w+)/.exec(request.toString('latin1'))![1]!
    const bytes = editHeaders(response('200 OK'), { add: [['X-Auth', token]] })
    expect(judge(bytes)).toEqual(drop('token-mismatch'))
  })
})
