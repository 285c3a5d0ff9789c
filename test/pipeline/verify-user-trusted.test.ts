import { describe, expect, it } from 'vitest'
import { createSourceMatcher } from '../../src/pipeline/source.ts'
import { authenticate } from '../../src/pipeline/authenticate.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Line } from '../support/messages.ts'
import { createRig, proxy, requestBytes, www, type RequestParts } from '../digest/stage.ts'

const GATEWAY = { address: '203.0.113.9', port: 5060 }
const trusted = createSourceMatcher(['203.0.113.9'])
const IDENTITY = { kind: 'unsigned', peer: '203.0.113.9' }
const OURS = 'Digest username="a", realm="example.org", nonce="n", uri="u", response="r"'
const THEIRS = 'Digest username="a", realm="behind.example", nonce="n", uri="u", response="r"'

const judge = (parts: RequestParts, source = GATEWAY) =>
  createRig({ trusted }).judge(requestBytes(parts), { source })

describe('P7: a trusted source', () => {
  it.each([
    ['of a user', { method: 'INVITE' }],
    [
      'from elsewhere to us',
      { method: 'INVITE', from: '<sip:+49@gw.example>', uri: 'sip:alice@example.org' },
    ],
    [
      'in a dialog',
      { method: 'BYE', to: '<sip:a@x.example>;tag=t', from: '<sip:b@y.example>', uri: 'sip:a@10.0.0.1' },
    ],
    ['that ends a call', { method: 'CANCEL' }],
    ['that confirms one', { method: 'ACK', to: '<sip:bob@example.com>;tag=t' }],
  ] as const)('has a request %s accepted without challenge', (_, parts) => {
    expect(judge(parts)).toEqual({ verdict: 'accept', identity: IDENTITY, remove: [] })
  })

  it('is challenged for a registration as anybody is (P1)', () => {
    expect(judge({})).toMatchObject({ verdict: 'challenge', status: 401 })
  })

  it('is no open relay (P3)', () => {
    expect(judge({ method: 'INVITE', from: '<sip:a@x.example>' })).toMatchObject({
      status: 403,
      reason: 'not-relaying',
      phrase: 'Not relaying',
    })
    expect(judge({ method: 'INVITE', from: '<>' })).toMatchObject({ verdict: 'reject' })
  })

  it('is told by its packet alone: no Via, no port, no other address', () => {
    const other = { address: '203.0.113.10', port: 5060 }
    const add: readonly Line[] = [['Via', 'SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx;received=203.0.113.9']]
    expect(judge({ method: 'INVITE', add }, other).verdict).toBe('challenge')
    expect(judge({ method: 'INVITE' }, { address: '203.0.113.9', port: 9 }).verdict).toBe('accept')
  })

  it('may assert an identity, and loses credentials of ours alone', () => {
    const add: readonly Line[] = [
      ['P-Asserted-Identity', '<sip:+49@gw.example>'],
      proxy(THEIRS),
      proxy(OURS),
      www(OURS),
    ]
    const bytes = requestBytes({ method: 'INVITE', add })
    const pipeline = createPipeline([createRig({ trusted }).stage])
    const result = authenticate(bytes, { transport: 'udp', source: GATEWAY, local: GATEWAY }, pipeline)
    if (result instanceof Promise) throw new Error('a promise')
    const forward = String(result.forward)
    expect(forward).toContain('P-Asserted-Identity')
    expect(forward).toContain(THEIRS)
    expect(forward).not.toContain('realm="example.org"')
    expect(forward).not.toMatch(/^Authorization/m)
  })
})
