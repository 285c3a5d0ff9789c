import { array, assert, constantFrom, nat, property, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toSipMessage } from '../../src/adapters/sip-message.ts'
import { copyMessage, makeResponse, stringify } from '../../src/adapters/sip-package.ts'
import { parseMessage } from '../../src/message/parse.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, responseBytes } from '../support/messages.ts'

const REMOTE = {
  protocol: 'UDP',
  address: '192.0.2.9',
  port: 5099,
  local: { address: 'a', port: 1 },
} as const

const LINES = [
  'Contact: <sip:a@b:5070;transport=tcp>;expires=60, "C, D" <sip:c@d>',
  'Route: <sip:p.example;lr>, "N" <tel:+1;phone-context=x>;a="b"',
  'Record-Route: <sip:[2001:db8::1]:5060;lr;x=>',
  'Authorization: Digest username="a \\" b", realm="c", nc=00000001',
  'Proxy-Authorization: Basic dXNlcg==',
  'v: SIP/2.0/TCP [::1]:5060;branch=z9hG4bKb;received=::1',
  'Refer-To: <sip:c@d?Replaces=x%40y&a=b>;p',
  'Authentication-Info: nextnonce="n", qop=auth',
  'Content-Length: 0',
  'Subject:  folded\r\n  text',
]
const SEEDS = [
  bytesOf({ add: LINES }),
  responseBytes('401 Unauthorized', { add: ['WWW-Authenticate: Digest realm="a", nonce="b"', ...LINES] }),
]
const PIECES =
  '< > " \\ ; , = : ? @ [ ] % * \t   \r\n  ;; == <> "" sip: tel: ;lr ;tag=x \xc3\xa9 \x01 __proto__ constructor'.split(
    ' ',
  )

/** Messages with pieces laid in, cut out and doubled. */
const mutants = tuple(
  constantFrom(...SEEDS),
  array(tuple(nat(2000), nat(12), constantFrom(...PIECES, ' ')), { maxLength: 8 }),
).map(([seed, edits]) => {
  let text = seed.toString('latin1')
  for (const [at, cut, piece] of edits) {
    const place = at % text.length
    text = text.slice(0, place) + piece + text.slice(place + cut)
  }
  return Buffer.from(text, 'latin1')
})

describe('of whatever the strict parser takes', () => {
  it('an object is made or refused, and what is made can be copied, answered and written', () => {
    let made = 0
    assert(
      property(mutants, (bytes) => {
        const parsed = parseMessage(bytes)
        if (!parsed.ok) return
        const result = toSipMessage(viewOf(parsed.message), REMOTE, new Set())
        if (!result.ok) return
        made++
        const { message } = result
        expect(Object.getPrototypeOf(message.headers)).toBe(Object.prototype)
        for (const one of [message, copyMessage(message, true)]) stringify(one)
        if (message.method !== undefined) stringify(makeResponse(message, 200, 'OK'))
      }),
      { numRuns: 4000 },
    )
    expect(made).toBeGreaterThan(200)
    expect(Object.prototype).not.toHaveProperty('x')
  })

  it('what is written says of whom and to whom, and which call, what was read', () => {
    assert(
      property(mutants, (bytes) => {
        const parsed = parseMessage(bytes)
        const result = parsed.ok ? toSipMessage(viewOf(parsed.message), REMOTE, new Set()) : undefined
        if (!parsed.ok || result?.ok !== true) return
        const again = parseMessage(Buffer.from(stringify(result.message), 'latin1'))
        // What cannot be written as one message is not sent; what can must be the same one.
        if (!again.ok) return
        const facts = ({ message }: typeof parsed) => {
          const { from, to } = viewOf(message)
          const view = viewOf(message)
          const uri = (part: typeof from): string | null => part && view.text(part.uriStart, part.uriEnd)
          return [
            message.method,
            message.requestUri,
            uri(from),
            uri(to),
            message.headers('CSeq')[0]!.split(/\s+/)[0],
          ]
        }
        const [read, written] = [facts(parsed), facts(again)]
        expect([...written.slice(0, 4), Number(written[4])]).toEqual([...read.slice(0, 4), Number(read[4])])
      }),
      { numRuns: 4000 },
    )
  })
})
