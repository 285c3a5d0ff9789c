import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseMessage } from '../../src/message/parse.ts'
import type { SipMessage } from '../../src/message/types.ts'
import { isViaHeader } from '../../src/message/via.ts'
import { viewOf } from '../../src/message/view.ts'
import { judge } from '../support/judge.ts'
import { CORPUS, RUNS, anything, mutated } from './messages.ts'

const headerNames = (message: SipMessage): string[] => {
  const view = viewOf(message)
  return Array.from({ length: view.layout.rows }, (_, row) =>
    view.text(view.nameStart(row), view.nameEnd(row)),
  )
}

/** Why Kamailio may refuse, or leave unread, what the strict parser takes. */
const STRICT_ONLY: readonly (readonly [
  why: string,
  applies: (bytes: Buffer, message: SipMessage) => boolean,
])[] = [
  ['its shortest datagram is 32 bytes', (bytes) => bytes.length < 32],
  [
    "names of RFC 3261 may hold !*`'",
    (_bytes, message) => headerNames(message).some((name) => /[!*`']/.test(name)),
  ],
  [
    'it reads every Via at once',
    (_bytes, message) =>
      message.headers('Via').some((text) => !isViaHeader(Buffer.from(text, 'latin1'), 0, text.length)),
  ],
  ['it reads To at once', (_bytes, message) => viewOf(message).to === null],
  [
    'it knows no fold between number and method of CSeq',
    (_bytes, message) => /\r\n/.test(message.headers('CSeq')[0]!),
  ],
]

describe('T08 T21: the parsers and all that reads a message', () => {
  it.each(['strict', 'kamailio'] as const)(
    '%s: no bytes make them throw, with every template there is',
    (tolerance) => {
      fc.assert(
        fc.property(anything, (bytes) => {
          expect(judge(bytes, tolerance)).toBeTypeOf('string')
        }),
        RUNS,
      )
    },
  )

  it.each(['strict', 'kamailio'] as const)('%s: a message cut at any byte ends in a result', (tolerance) => {
    for (const bytes of CORPUS.filter((_, i) => i % 20 === 0)) {
      const beyond: number[] = []
      for (let end = 0; end < bytes.length; end++) {
        const result = parseMessage(bytes.subarray(0, end), { tolerance })
        if (!result.ok && !(result.offset <= end)) beyond.push(end)
      }
      expect(beyond).toEqual([])
    }
  })

  it('the bytes given are left as they are', () => {
    fc.assert(
      fc.property(anything, (bytes) => {
        const before = Buffer.from(bytes)
        judge(bytes, 'strict')
        judge(bytes, 'kamailio')
        expect(bytes.equals(before)).toBe(true)
      }),
      { ...RUNS, numRuns: 100 },
    )
  })
})

describe('T10: strict and Kamailio', () => {
  it('what is accepted strictly is accepted as Kamailio does, but for reasons that are listed', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.constantFrom(...CORPUS)), (bytes) => {
        const strict = parseMessage(bytes)
        fc.pre(strict.ok)
        if (!strict.ok) return
        const kamailio = parseMessage(bytes, { tolerance: 'kamailio' })
        if (kamailio.ok && viewOf(kamailio.message).layout.complete) return
        expect(STRICT_ONLY.filter(([, applies]) => applies(bytes, strict.message))).not.toEqual([])
      }),
      { ...RUNS, numRuns: 3000 },
    )
  })

  it('where both accept, every header has the same values, and so have method, URI and status', () => {
    let both = 0
    fc.assert(
      fc.property(fc.oneof(mutated, fc.constantFrom(...CORPUS)), (bytes) => {
        const strict = parseMessage(bytes)
        const kamailio = parseMessage(bytes, { tolerance: 'kamailio' })
        if (!strict.ok || !kamailio.ok || !viewOf(kamailio.message).layout.complete) return
        both++
        const names = headerNames(strict.message)
        expect(headerNames(kamailio.message)).toEqual(names)
        for (const name of names) expect(kamailio.message.headers(name)).toEqual(strict.message.headers(name))
        for (const part of ['kind', 'method', 'requestUri', 'status'] as const) {
          expect(kamailio.message[part]).toBe(strict.message[part])
        }
        // Strictly, Content-Length ends the body.
        const whole = Buffer.from(kamailio.message.body)
        expect(whole.subarray(0, strict.message.body.length).equals(strict.message.body)).toBe(true)
      }),
      { ...RUNS, numRuns: 3000 },
    )
    expect(both).toBeGreaterThan(500)
  })
})
