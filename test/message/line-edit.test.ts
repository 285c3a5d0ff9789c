import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editHeaders } from '../../src/message/edit.ts'
import { cutLines, type LineEdit } from '../../src/message/line-edit.ts'
import { splice, type Cut } from '../../src/message/splice.ts'
import { viewOf } from '../../src/message/view.ts'
import { bytesOf, parsed, type Line } from '../support/messages.ts'

/** The edits made, in both ways. */
function edited(bytes: Buffer, edit: readonly LineEdit[]): string {
  const view = viewOf(parsed(bytes))
  const cuts: Cut[] = []
  cutLines(view, edit, cuts)
  const spliced = splice(bytes, 0, bytes.length, cuts).toString('latin1')
  expect(editHeaders(bytes, { edit }).toString('latin1')).toBe(spliced)
  return spliced
}

const withLines = (...add: readonly Line[]): Buffer => bytesOf({ add, body: 'X-A: one\r\n' })
const text = (...add: readonly Line[]): string => withLines(...add).toString('latin1')

describe('a line edit', () => {
  it('changes the line of that name and value, and no other', () => {
    const bytes = withLines(['X-A', 'one'], ['X-B', 'one'], ['X-A', 'two'], ['x-a', 'one'])
    expect(edited(bytes, [{ name: 'X-A', value: 'one', left: 'half' }])).toBe(
      text(['X-A', 'half'], ['X-B', 'one'], ['X-A', 'two'], ['x-a', 'half']),
    )
  })

  it('takes the line out where nothing is left', () => {
    const bytes = withLines(['X-A', 'one'], ['X-A', 'two'])
    expect(edited(bytes, [{ name: 'x-A', value: 'one', left: '' }])).toBe(text(['X-A', 'two']))
  })

  it.each([
    ['a compact name', 'k: one'],
    ['a blank before the colon', 'Supported \t: one'],
    ['a fold in front', 'Supported:\r\n\t one'],
    ['folds', 'Supported: one\r\n two', 'one\r\n two'],
    ['a blank behind', 'Supported:  one  ', 'one  '],
  ])('finds it with %s', (_, line, value = 'one') => {
    const out = edited(withLines('X-Before: 1', line, 'X-After: 2'), [{ name: 'Supported', value, left: '' }])
    expect(out).toBe(text('X-Before: 1', 'X-After: 2'))
  })

  it('may leave a fold, and nothing else that breaks a line', () => {
    const bytes = withLines(['X-A', 'one'])
    const left = (value: string): string => edited(bytes, [{ name: 'X-A', value: 'one', left: value }])
    expect(left('a\r\n b')).toBe(text('X-A: a\r\n b'))
    for (const evil of ['a\r\nX: y', 'a\nX: y', 'a\rb', 'a\0', 'a\r\n', '€'])
      expect(() => left(evil)).toThrow(RangeError)
  })

  it('of a line that is not there changes nothing', () => {
    const bytes = withLines(['X-A', 'one'])
    expect(edited(bytes, [{ name: 'X-A', value: 'ONE', left: '' }])).toBe(text(['X-A', 'one']))
    expect(edited(bytes, [{ name: 'X-C', value: 'one', left: '' }])).toBe(text(['X-A', 'one']))
  })

  it('stands back where the whole header goes', () => {
    const bytes = withLines(['X-A', 'one'])
    const edit = [{ name: 'X-A', value: 'one', left: 'half' }]
    expect(editHeaders(bytes, { remove: ['X-A'], edit }).toString('latin1')).toBe(text())
  })

  it('leaves what headers() gives then', () => {
    const value = fc.string({ unit: fc.constantFrom('a', ' ', ',', '"', '\xe4', ':', '\t'), maxLength: 12 })
    const line = fc.tuple(fc.constantFrom('X-A', 'x-a', 'X-B'), value)
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 8 }),
        fc.nat(7),
        fc.constantFrom('', 'left'),
        (lines, i, left) => {
          const bytes = withLines(...lines)
          const before = parsed(bytes).headers('X-A')
          const value = before[i % Math.max(1, before.length)] ?? 'none'
          const after = parsed(Buffer.from(edited(bytes, [{ name: 'X-A', value, left }]), 'latin1')).headers(
            'X-A',
          )
          expect(after).toEqual(
            before
              .map((one) => (one === value ? left : one))
              .filter((one, k) => before[k] !== value || one !== ''),
          )
        },
      ),
    )
  })
})
