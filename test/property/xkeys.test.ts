import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { ALGORITHMS } from '../../src/xkeys/algorithm.ts'
import type { AgreementInput } from '../../src/xkeys/agreement.ts'
import { viewOf } from '../../src/message/view.ts'
import { TOO_LONG, compileTemplate } from '../../src/template/compile.ts'
import { bytesOf, contextOf, outcome, responseBytes } from '../support/messages.ts'
import { ACCEPTED, ringOf, signedBytes, tokenOf, verdict } from '../support/parties.ts'
import { readExpressions } from '../support/vectors.ts'
import { RUNS, headerText } from './messages.ts'

const algorithm = fc.constantFrom(...[...ALGORITHMS.values()].map((spec) => spec.name))
const body = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const withoutNul = body.map((text) => text.replaceAll('\0', '0'))
const secret = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes))

const sides: Pick<AgreementInput, 'request' | 'response'> = {
  request: {
    sender: '$Ri:$rm:$ru:$fu:$ci:$hdr(CSeq):$hdr(X-A):$rb',
    receiver: '$si:$rm:$ru:$fu:$ci:$hdr(CSeq):$hdr(X-A):$rb',
  },
  response: {
    sender: '$Ri:$rs:$fu:$ci:$hdr(CSeq):$hdr(X-A):$rb',
    receiver: '$si:$rs:$fu:$ci:$hdr(CSeq):$hdr(X-A):$rb',
  },
}
/** The receiver sees the sender's address as the source. */
const travel = {
  source: { address: '198.51.100.7', port: 5080 },
  local: { address: '192.0.2.1', port: 5060 },
}

/** Covers whatever the plain message says. */
const EVERY_BYTE = '$rm:$ru:$rv:$hdr(Via):$hdr(Max-Forwards):$hdr(From):$hdr(To):$ci:$csb:$rb'

const mask = fc.integer({ min: 1, max: 255 })

/** Of a message, only the case of header names says nothing. */
const withFoldedNames = (bytes: Buffer): string =>
  bytes.toString('latin1').replace(/^[A-Za-z-]+:/gm, (text) => text.toLowerCase())

describe('signing and verifying', () => {
  it('what is signed is accepted: every algorithm, encoding and direction, both sides, any secret and text', () => {
    fc.assert(
      fc.property(
        algorithm,
        fc.constantFrom('hex', 'base64url'),
        fc.constantFrom(bytesOf, (parts: Parameters<typeof bytesOf>[0]) =>
          responseBytes('180 Ringing', parts),
        ),
        secret,
        headerText,
        withoutNul,
        (name, encoding, make, key, text, content) => {
          const hmac = name.startsWith('hmac')
          const agreement = { ...sides, algorithm: name, encoding: hmac ? encoding : ('hex' as const) }
          const setup = { agreement, ring: ringOf([{ name: 'k', secret: key }]) }
          const message = signedBytes(make({ add: [`X-A: ${text}`], body: content }), setup)
          expect(verdict(message, setup, travel)).toBe('accepted by k, active')
        },
      ),
      RUNS,
    )
  })

  it('T04: one changed byte in what is covered refuses', () => {
    fc.assert(
      fc.property(algorithm, withoutNul, fc.nat(), mask, (name, content, at, xor) => {
        const setup = { agreement: { algorithm: name, request: EVERY_BYTE } }
        const plain = bytesOf({ body: content })
        const token = tokenOf(plain, setup)
        const flipped = Buffer.from(plain)
        flipped[at % plain.length]! ^= xor
        const message = editHeaders(flipped, { add: [['X-Auth', token]] })
        fc.pre(outcome(message) === 'accepted')
        fc.pre(withFoldedNames(flipped) !== withFoldedNames(plain))
        expect(verdict(message, setup)).not.toBe(ACCEPTED)
      }),
      { ...RUNS, numRuns: 1500 },
    )
  })

  it('T13: one changed byte of a token refuses, in either encoding', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('hmac-sha256', 'hmac-sha384', 'hmac-sha512'),
        fc.constantFrom('hex', 'base64url'),
        fc.nat(),
        mask,
        (name, encoding, at, xor) => {
          const setup = { agreement: { algorithm: name, encoding } as const }
          const token = Buffer.from(tokenOf(bytesOf(), setup))
          const flipped = Buffer.from(token)
          flipped[at % token.length]! ^= xor
          const text = flipped.toString('latin1')
          // The case of a hex digit says nothing, and a line end would break the header.
          fc.pre(encoding === 'base64url' || text.toLowerCase() !== token.toString())
          const message = bytesOf({ add: [`X-Auth: ${text}`] })
          fc.pre(outcome(message) === 'accepted')
          expect(verdict(message, setup)).toMatch(/^token-/)
        },
      ),
      RUNS,
    )
  })

  it('T13: one changed byte of a secret refuses', () => {
    fc.assert(
      fc.property(algorithm, secret, fc.nat(), mask, (name, key, at, xor) => {
        const agreement = { algorithm: name }
        const other = Buffer.from(key)
        other[at % key.length]! ^= xor
        const message = signedBytes(bytesOf(), { agreement, ring: ringOf([{ name: 'k', secret: key }]) })
        expect(verdict(message, { agreement, ring: ringOf([{ name: 'k', secret: other }]) })).toBe(
          'token-mismatch',
        )
      }),
      RUNS,
    )
  })

  it('no token that was not signed is accepted', () => {
    const hex = fc.stringMatching(/^[0-9a-fA-F]{64}$/)
    const base64url = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/)
    fc.assert(
      fc.property(fc.oneof(hex, base64url, headerText), (text) => {
        expect(verdict(bytesOf({ add: [`X-Auth: ${text}`] }))).toMatch(/^token-/)
      }),
      RUNS,
    )
  })
})

/** What a template becomes for one message; the code of the error where it does not compile. */
function expansionOf(source: string): string {
  try {
    const expanded = compileTemplate(source).expand(context)
    return expanded.ok ? expanded.data.toString() : expanded.missing
  } catch (error) {
    if (error instanceof ConfigError) return error.code
    throw error
  }
}

const context = contextOf(bytesOf({ add: ['X-Test: a@b;x=1', 'Contact: <sip:c>'], body: 'b\xff\0' }))

describe('templates', () => {
  const expressions = readExpressions()
  const piece = fc.oneof(
    fc.constantFrom(...expressions),
    fc.constantFrom('$$', 'a', ':', '(', '{', ' ', 'é', '\xff', '鍵', '|'),
  )
  it('expand, write and explain agree for every row of expressions and text', () => {
    const target = Buffer.alloc(40_000)
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const template = compileTemplate(pieces.join(':'))
        const expanded = template.expand(context)
        const data = expanded.ok ? expanded.data : Buffer.alloc(0)
        const end = template.write(viewOf(context.message), context, target, 3)
        expect(data.equals(target.subarray(3, end))).toBe(true)
        fc.pre(data.length > 0)
        const room = Buffer.alloc(data.length - 1)
        expect(template.write(viewOf(context.message), context, room, 0)).toBe(TOO_LONG)
      }),
      { ...RUNS, numRuns: 300 },
    )
  })

  it('T08: literal text is copied with $$ as $, or refused where it holds a line end or NUL', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '$$', '\r', '\n', '\0', '\r\nX-Evil: 1', '{', ')', 'é', ' '),
      maxLength: 12,
    })
    fc.assert(
      fc.property(text, (source) => {
        const illegal = /[\r\n\0]/.test(source)
        expect(expansionOf(source)).toBe(illegal ? 'ERR_TEMPLATE_INVALID' : source.replaceAll('$$', '$'))
      }),
      RUNS,
    )
  })

  it('T08: whatever a template covers, a token is letters and digits on one line', () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), algorithm, (pieces, name) => {
        const agreement = { algorithm: name, request: pieces.join(':'), whenMissing: 'null-text' } as const
        const message = bytesOf({
          add: ['X-Test: a\r\n b', 'Contact: "\r\n x" <sip:c>'],
          body: '\r\nX-Evil: 1\r\n',
        })
        expect(tokenOf(message, { agreement })).toMatch(/^[0-9a-f]+$/)
      }),
      { ...RUNS, numRuns: 200 },
    )
  })

  it('any text compiles or is told with its faults, and never fails otherwise', () => {
    const part = fc.constantFrom(
      '$',
      '$(',
      ')',
      '{',
      '}',
      '[',
      ']',
      'hdr',
      'fu',
      's.len',
      's.substr',
      ',',
      '1',
      '*',
      '(X)',
      're.subst',
      '/',
      '\\',
      '$$',
      'é',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
        expect(expansionOf(parts.join(''))).toBeTypeOf('string')
      }),
      { ...RUNS, numRuns: 3000 },
    )
  })
})
