import { describe, expect, it } from 'vitest'
import { editHeaders, type HeaderEdits } from '../../src/message/edit.ts'
import { bytesOf, parsed } from '../support/messages.ts'

const START = 'OPTIONS sip:a SIP/2.0\r\n'
const edit = (text: string, edits: HeaderEdits): string =>
  editHeaders(Buffer.from(text, 'latin1'), edits).toString('latin1')

describe('removing', () => {
  it.each([
    ['every line of a name', 'X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n', 'X-A', 'X-B: 2\r\n'],
    ['names in any case', 'x-a: 1\r\nX-B: 2\r\n', 'X-A', 'X-B: 2\r\n'],
    ['its folds', 'X-A: 1\r\n 2\r\n\t3\r\nX-B: 2\r\n', 'X-A', 'X-B: 2\r\n'],
    ['compact for long', 's: 1\r\nSubject: 2\r\n', 'Subject', ''],
    ['long for compact', 's: 1\r\nSubject: 2\r\n', 'S', ''],
    ['a name with blanks before the colon', 'X-A \t: 1\r\nX-B: 2\r\n', 'x-a', 'X-B: 2\r\n'],
    ['not a longer name, nor a shorter one', 'X-AA: 1\r\nX-: 2\r\n', 'X-A', 'X-AA: 1\r\nX-: 2\r\n'],
    ['not a name of equal length and ends', 'X-Bad-X: 1\r\n', 'X-Bid-X', 'X-Bad-X: 1\r\n'],
    ['not text in a fold', 'X-B: 1\r\n X-A: 2\r\n', 'X-A', 'X-B: 1\r\n X-A: 2\r\n'],
    ['LF line ends', 'X-A: 1\n 2\nX-B: 2\n', 'X-A', 'X-B: 2\n'],
    ['a header called constructor', 'constructor: 1\r\nX-B: 2\r\n', 'constructor', 'X-B: 2\r\n'],
    ['nothing where it is not', 'X-B: 2\r\n', 'X-A', 'X-B: 2\r\n'],
  ])('%s', (_what, headers, name, left) => {
    expect(edit(`${START}${headers}\r\nX-A: body\r\n`, { remove: [name] })).toBe(
      `${START}${left}\r\nX-A: body\r\n`,
    )
  })

  it('T09: no way of writing a token header survives', () => {
    const ways = ['X-Auth: a', 'x-auth:a', 'X-AUTH\t : a', 'X-Auth:\r\n a\r\n b', 'X-Auth:']
    const bytes = bytesOf({ add: ways })
    expect(parsed(bytes).headers('X-Auth')).toHaveLength(ways.length)
    expect(editHeaders(bytes, { remove: ['X-Auth'] }).equals(bytesOf())).toBe(true)
  })
})

describe('adding', () => {
  it('stands directly before the empty line, in the order given', () => {
    const text = `${START}X-B: 2\r\n\r\nbody`
    expect(
      edit(text, {
        add: [
          ['X-A', '1'],
          ['x-a', '2'],
        ],
      }),
    ).toBe(`${START}X-B: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nbody`)
  })

  it('or directly behind the start line', () => {
    const text = `\r\n${START}X-B: 2\r\n\r\nbody`
    expect(
      edit(text, {
        add: [
          ['Via', 'v'],
          ['Via', 'w'],
        ],
        at: 'top',
      }),
    ).toBe(`\r\n${START}Via: v\r\nVia: w\r\nX-B: 2\r\n\r\nbody`)
  })

  it('what is added is not removed by the same edit', () => {
    const text = `${START}X-A: old\r\nX-B: 2\r\n\r\n`
    for (const at of ['top', 'end'] as const) {
      expect(edit(text, { remove: ['X-A'], add: [['X-A', 'new']], at }).match(/X-A: \w+/g)).toEqual([
        'X-A: new',
      ])
    }
  })

  it('an empty value and bytes above 0x7f are written as they are', () => {
    expect(
      edit(`${START}\r\n`, {
        add: [
          ['X-A', ''],
          ['X-B', 'cl\xc3\xa9'],
        ],
      }),
    ).toBe(`${START}X-A: \r\nX-B: cl\xc3\xa9\r\n\r\n`)
  })

  it('bytes that stop in mid header get its line end first', () => {
    expect(edit(`${START}X-B: 2`, { add: [['X-A', '1']] })).toBe(`${START}X-B: 2\r\nX-A: 1\r\n`)
  })

  it('no edit gives equal bytes in a new buffer', () => {
    const bytes = bytesOf({ body: 'x' })
    const copy = editHeaders(bytes, {})
    expect(copy.equals(bytes)).toBe(true)
    copy.fill(0)
    expect(bytes[0]).not.toBe(0)
  })

  it.each(['a\r\nX-Evil: 1', 'a\nX-Evil: 1', 'a\r', 'a\0', 'a\n b', '鍵'])(
    'T08: the value %j throws',
    (value) => {
      expect(() => editHeaders(bytesOf(), { add: [['X-A', value]] })).toThrow(RangeError)
    },
  )

  it.each(['', 'X A', 'X:A', 'X-A\r\nX-Evil', 'X\0', 'X%2DA', 'Clé', '鍵'])(
    'T08: the name %j throws',
    (name) => {
      expect(() => editHeaders(bytesOf(), { add: [[name, 'v']] })).toThrow(RangeError)
    },
  )
})
