import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { authenticate } from '../../src/pipeline/authenticate.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import { answerTo } from './client.ts'
import { challengeIn, createRig, requestBytes, www } from './stage.ts'

// ── what anybody may send ──

const PAYLOADS: readonly string[] = [
  "' OR 1=1 --",
  "alice'; DROP TABLE subscriber; --",
  String.raw`a\", realm=\"evil`,
  '\r\nX-Evil: 1',
  '%0d%0aX-Evil: 1',
  'a\r\n b',
  '\0',
  '\x1b[31m',
  '\xc3\xa4',
  '\xff\xfe',
  '\xe2\x80\xae',
  '${jndi:ldap://x}',
  '__proto__',
  '{"a":1}',
  '=,=,=',
  '""',
  'x'.repeat(5000),
]
const FIELDS = [
  'username',
  'realm',
  'nonce',
  'uri',
  'response',
  'algorithm',
  'opaque',
  'qop',
  'nc',
  'cnonce',
  'x',
] as const

describe('T8: injection', () => {
  it.each(FIELDS)('through %s ends in a verdict, and in no header of ours', (field) => {
    for (const payload of PAYLOADS) {
      for (const value of [`"${payload}"`, payload]) {
        const rig = createRig()
        const challenge = challengeIn(rig.judge(requestBytes()))
        const bytes = requestBytes({ add: [www(answerTo(challenge, { with: { [field]: value } }))] })
        const from = { transport: 'udp', source: { address: '192.0.2.1', port: 5060 } } as const
        const result = authenticate(bytes, { ...from, local: from.source }, createPipeline([rig.stage]))
        if (result instanceof Promise) throw new Error('a promise')
        const mayPass = ['x', 'opaque'].includes(field)
        expect(mayPass || result.decision.verdict !== 'accept').toBe(true)
        const answer = String(result.respond ?? '')
        expect(answer).not.toMatch(/^X-Evil/m)
        expect(answer).not.toContain('DROP TABLE')
        // What goes to the log stays on its line.
        expect(rig.events.map((event) => ('username' in event ? event.username : '')).join('')).not.toMatch(
          /[\p{Cc}\u2028\u2029]/u,
        )
      }
    }
  })

  it('anything in Authorization ends in a verdict', () => {
    const rig = createRig()
    const challenge = challengeIn(rig.judge(requestBytes()))
    const right = answerTo(challenge)
    const cut = fc.tuple(fc.nat(right.length), fc.nat(20), fc.string({ unit: 'binary-ascii', maxLength: 10 }))
    fc.assert(
      fc.property(fc.array(cut, { minLength: 1, maxLength: 4 }), (cuts) => {
        let value = right
        for (const [at, length, text] of cuts) value = value.slice(0, at) + text + value.slice(at + length)
        if (/[\r\n\0]/.test(value)) return
        const verdict = rig.judge(requestBytes({ add: [www(value)] }))
        expect(['accept', 'challenge', 'reject']).toContain(verdict.verdict)
      }),
      { numRuns: 500 },
    )
  })

  it('64 KB of Authorization end in a verdict', () => {
    const rig = createRig()
    for (const unit of ['a', '"', ',', 'a=b,', '\\"', ' ']) {
      const value = `Digest username="alice", realm="example.org", x=${unit.repeat(60_000 / unit.length)}`
      expect(rig.judge(requestBytes({ add: [www(value)] })).verdict).toBe('reject')
    }
  })
})
