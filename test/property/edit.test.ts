import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { parseMessage } from '../../src/message/parse.ts'
import { bytesOf, parsed } from '../support/messages.ts'
import { CORPUS, RUNS, headerText, mutated, name } from './messages.ts'

const COMPACT: Readonly<Record<string, string>> = {
  f: 'from',
  v: 'via',
  m: 'contact',
  s: 'subject',
  l: 'content-length',
}
const longName = (text: string): string => {
  const lower = text.toLowerCase()
  return Object.hasOwn(COMPACT, lower) ? COMPACT[lower]! : lower
}

type Edits = {
  readonly remove: readonly string[]
  readonly add: readonly (readonly [string, string])[]
  readonly at: 'top' | 'end'
}

/** editHeaders again, by lines of text, for messages that parse strictly. */
function edited(bytes: Buffer, { remove, add, at }: Edits): string {
  const text = bytes.toString('latin1')
  const front = /^(?:\r\n)*/.exec(text)![0]
  const end = text.indexOf('\r\n\r\n', front.length) + 2
  const [start, ...headers] = text.slice(front.length, end).split(/(?<=\r\n)(?![ \t])/)
  const gone = new Set(remove.map(longName))
  const kept = headers.filter((line) => !gone.has(longName(/^[^:]*?(?=[ \t]*:)/.exec(line)![0])))
  const added = add.map(([header, value]) => `${header}: ${value}\r\n`)
  const block = at === 'top' ? [start, ...added, ...kept] : [start, ...kept, ...added]
  return front + block.join('') + text.slice(end)
}

const edits: fc.Arbitrary<Edits> = fc.record({
  remove: fc.array(
    fc.oneof(name, fc.constantFrom('X-Test', 'x-auth', 'Via', 'V', 'contact', 's', 'Subject', 'From')),
    {
      maxLength: 3,
    },
  ),
  add: fc.array(fc.tuple(name, headerText), { maxLength: 3 }),
  at: fc.constantFrom('top', 'end'),
})

const strictly = fc.oneof(mutated, fc.constantFrom(...CORPUS)).filter((bytes) => parseMessage(bytes).ok)

/** What a value adds as X-Evil; the error's name where it throws. */
function evilOf(text: string): readonly string[] | string {
  try {
    return parsed(editHeaders(bytesOf(), { add: [['X-A', text]] })).headers('X-Evil')
  } catch (error) {
    return (error as Error).name
  }
}

describe('T08: editing', () => {
  it('leaves every other byte as it is', () => {
    fc.assert(
      fc.property(strictly, edits, (bytes, change) => {
        expect(editHeaders(bytes, change).toString('latin1')).toBe(edited(bytes, change))
      }),
      { ...RUNS, numRuns: 1500 },
    )
  })

  it('then parsing sees exactly the header that was added, and no other one more or less', () => {
    fc.assert(
      fc.property(strictly, name, headerText, fc.constantFrom('top', 'end'), (bytes, header, text, at) => {
        const before = parsed(bytes)
        const after = parsed(editHeaders(bytes, { remove: [header], add: [[header, text]], at }))
        expect(after.headers(header)).toEqual([text.replace(/^[ \t]+/, '')])
        for (const other of [
          'Via',
          'From',
          'To',
          'Call-ID',
          'CSeq',
          'Contact',
          'X-Test',
          'X-Auth',
          'X-Evil',
        ]) {
          expect(after.headers(other)).toEqual(before.headers(other))
        }
        expect(Buffer.from(after.body).equals(before.body)).toBe(true)
      }),
      { ...RUNS, numRuns: 800 },
    )
  })

  it('no value can add a second header, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('a', ' ', '\r', '\n', '\0', ':', 'X-Evil: 1', '\u0100', '\u560d', '\u560a'),
          { maxLength: 12 },
        ),
        (pieces) => {
          const text = pieces.join('')
          const illegal = /[\0\r\n]|[^\0-\xff]/.test(text)
          expect(evilOf(text)).toEqual(illegal ? 'RangeError' : [])
        },
      ),
      RUNS,
    )
  })

  it('bytes that are no message are edited without a throw', () => {
    fc.assert(
      fc.property(mutated, edits, (bytes, change) => {
        expect(editHeaders(bytes, change)).toBeInstanceOf(Buffer)
      }),
      RUNS,
    )
  })
})
