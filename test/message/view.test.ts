import { describe, expect, it } from 'vitest'
import type { SipMessage } from '../../src/message/types.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, parsed } from '../support/messages.ts'

/** RFC 3261 and the registered extensions. */
const COMPACT = {
  a: 'Accept-Contact',
  b: 'Referred-By',
  c: 'Content-Type',
  d: 'Request-Disposition',
  e: 'Content-Encoding',
  j: 'Reject-Contact',
  k: 'Supported',
  m: 'Contact',
  n: 'Identity-Info',
  o: 'Event',
  r: 'Refer-To',
  s: 'Subject',
  u: 'Allow-Events',
  x: 'Session-Expires',
  y: 'Identity',
}

describe('the view of a message', () => {
  it.each(Object.entries(COMPACT))('%s is short for %s', (letter, name) => {
    const message = parsed(
      bytesOf({
        add: [
          [letter, '1'],
          [name, '2'],
          [letter.toUpperCase(), '3'],
        ],
      }),
    )
    expect(message.headers(name)).toEqual(['1', '2', '3'])
    expect(message.headers(letter)).toEqual(['1', '2', '3'])
  })

  it.each(['f From', 't To', 'i Call-ID', 'v Via', 'l Content-Length'])('so are %s', (names) => {
    const [letter, name] = names.split(' ') as [string, string]
    const plain = parsed(bytesOf({ add: ['Content-Length: 0'] }))
    expect(plain.headers(letter)).toEqual(plain.headers(name))
    expect(plain.headers(letter)).toHaveLength(1)
  })

  it('other single letters are names of their own', () => {
    for (const letter of 'ghpqwz') {
      expect(parsed(bytesOf({ add: [[letter, '1']] })).headers(letter)).toEqual(['1'])
    }
  })

  it('a message that parseMessage did not make is a programming error', () => {
    const forged = { ...parsed(bytesOf()) } as SipMessage
    expect(() => viewOf(forged)).toThrow(TypeError)
  })
})
