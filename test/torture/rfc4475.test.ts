import { describe, expect, it } from 'vitest'
import type { ParseFailure } from '../../src/message/types.ts'
import { parseMessage } from '../../src/message/parse.ts'
import { VARIABLES } from '../../src/template/variables.ts'
import { compileTemplate } from '../../src/template/compile.ts'
import { contextOf, outcome, parsed } from '../support/messages.ts'
import { rawOf, readMessages } from '../support/vectors.ts'

const messages = new Map(
  readMessages()
    .filter(({ id }) => id.startsWith('rfc4475-'))
    .map((vector) => [vector.id.slice('rfc4475-'.length), rawOf(vector)]),
)

/** What RFC 4475 makes of a message. */
type Class = 'valid' | 'invalid' | 'well-formed'

/** Our answer, strictly, and why where it is not that of the RFC. */
const EXPECTED: Readonly<Record<string, readonly [Class, 'accepted' | ParseFailure, difference?: string]>> = {
  // 3.1.1 valid messages
  esc01: ['valid', 'accepted'],
  esc02: ['valid', 'start-line-malformed', '% in a method or header name: a parser behind us may decode it'],
  escnull: ['valid', 'accepted'],
  intmeth: ['valid', 'start-line-malformed', 'as esc02; also a NUL in a quoted string: C code ends there'],
  longreq: ['valid', 'accepted'],
  mpart01: ['valid', 'accepted'],
  noreason: ['valid', 'accepted'],
  transports: ['valid', 'accepted'],
  unreason: ['valid', 'accepted'],
  // 3.1.2 invalid messages
  baddn: ['invalid', 'headers-unterminated'],
  bigcode: ['invalid', 'start-line-malformed'],
  escruri: ['invalid', 'accepted', 'the Request-URI is judged by whoever routes by it'],
  lwsruri: ['invalid', 'start-line-malformed'],
  lwsstart: ['invalid', 'start-line-malformed'],
  quotbal: [
    'invalid',
    'accepted',
    'a To that does not parse has no value: a template that covers it refuses',
  ],
  regbadct: ['invalid', 'accepted', 'Contact is judged by the registrar'],
  scalar02: ['invalid', 'accepted', 'numbers other than Content-Length and the status are text here'],
  trws: ['invalid', 'start-line-malformed'],
  // 3.3 and 3.4: well-formed, left to the application
  cparam01: ['well-formed', 'accepted'],
  insuf: ['well-formed', 'header-missing', 'without From, To and Call-ID there is no message'],
  invut: ['well-formed', 'accepted'],
  novelsc: ['well-formed', 'accepted'],
  regaut01: ['well-formed', 'accepted'],
  regescrt: ['well-formed', 'accepted'],
  sdp01: ['well-formed', 'accepted'],
  unkscm: ['well-formed', 'accepted'],
  unksm2: ['well-formed', 'accepted'],
}

describe('T08: the torture messages of RFC 4475, strictly', () => {
  it('are all expected', () => {
    expect([...messages.keys()].toSorted()).toEqual(Object.keys(EXPECTED).toSorted())
  })

  it.each(Object.entries(EXPECTED))('%s: %j', (name, [kind, answer, difference]) => {
    expect(outcome(messages.get(name)!)).toBe(answer)
    // Whoever changes an answer says why it may differ from the RFC.
    expect(difference !== undefined).toBe((kind === 'invalid') === (answer === 'accepted'))
  })

  it('no answer throws, whatever is then asked of the message', () => {
    const templates = [...VARIABLES.keys()].map((name) =>
      compileTemplate(name === 'hdr' || name === 'hdrc' || name === 'hfl' ? `$${name}(Contact)` : `$${name}`),
    )
    for (const bytes of messages.values()) {
      for (const tolerance of ['strict', 'kamailio'] as const) {
        const result = parseMessage(bytes, { tolerance })
        if (!result.ok) continue
        for (const template of templates) expect(template.expand(contextOf(result.message)).ok).toBe(true)
      }
    }
  })
})

describe('what the differences rest on', () => {
  it('intmeth and esc02 are accepted without their % and NUL', () => {
    for (const name of ['intmeth', 'esc02']) {
      const text = messages.get(name)!.toString('latin1').replaceAll('%', '-')
      expect(outcome(Buffer.from(text, 'latin1'))).toBe(name === 'intmeth' ? 'nul' : 'accepted')
      expect(outcome(Buffer.from(text.replaceAll('\0', '0'), 'latin1'))).toBe('accepted')
    }
  })

  it('baddn lacks its empty line in the copies that are about; with it, it is read as Kamailio reads it', () => {
    const bytes = Buffer.concat([messages.get('baddn')!, Buffer.from('\r\n')])
    const expanded = compileTemplate('$fn|$fu').expand(contextOf(bytes))
    expect(expanded.ok && expanded.data.toString()).toBe('Bell, Alexander|sip:a.g.bell@example.com')
  })

  it('the To of quotbal has no value', () => {
    expect(
      compileTemplate('$tu', { whenMissing: 'fail' }).expand(contextOf(messages.get('quotbal')!)),
    ).toEqual({
      ok: false,
      missing: '$tu',
    })
  })

  it('the parts of unreason, escnull and mpart01 keep their bytes', () => {
    const reason = compileTemplate('$rr').expand(contextOf(messages.get('unreason')!))
    expect(reason.ok && reason.data.toString('utf8')).toBe('= 2**3 * 5**2 но сто девяносто девять - простое')
    expect(parsed(messages.get('escnull')!).headers('m')).toEqual([
      '<sip:%00@host5.example.com>',
      '<sip:%00%00@host5.example.com>',
    ])
    expect(parsed(messages.get('mpart01')!).body).toHaveLength(553)
  })
})
