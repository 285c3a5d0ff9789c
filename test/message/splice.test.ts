import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { splice, type Cut } from '../../src/message/splice.ts'

const BYTES = Buffer.from('0123456789', 'latin1')
const cut = (start: number, end: number, text: Cut['text'] = ''): Cut => ({ start, end, text })

describe('splice', () => {
  it.each<[string, Cut[], string]>([
    ['nothing', [], '0123456789'],
    ['a cut', [cut(2, 4)], '01456789'],
    ['text and bytes', [cut(0, 0, 'ab'), cut(10, 10, Buffer.from('cd'))], 'ab0123456789cd'],
    ['cuts out of order', [cut(8, 9, 'x'), cut(1, 3, 'long text')], '0long text34567x9'],
    ['two at one place, in the order given', [cut(5, 5, 'a'), cut(5, 5, 'b'), cut(5, 6)], '01234ab6789'],
    ['more taken than given, then the reverse', [cut(0, 5), cut(6, 6, 'abcdefgh')], '5abcdefgh6789'],
    ['long text', [cut(5, 5, 'x'.repeat(500))], `01234${'x'.repeat(500)}56789`],
  ])('%s', (_, cuts, wanted) => {
    expect(splice(BYTES, 0, 10, cuts).toString('latin1')).toBe(wanted)
  })

  it.each([
    ['overlap', [cut(2, 5), cut(4, 6)]],
    ['are the same', [cut(2, 5), cut(2, 5)]],
    ['lie behind the end', [cut(9, 11)]],
    ['lie before the start', [cut(0, 1)]],
    ['run backwards', [cut(5, 3)]],
  ])('throws where cuts %s', (_, cuts) => {
    expect(() => splice(BYTES, 1, 10, cuts)).toThrow(RangeError)
  })

  it('never touches what it gave before, whatever the cuts', () => {
    const given: { readonly bytes: Buffer; readonly text: string }[] = []
    const cuts = fc
      .uniqueArray(fc.nat({ max: 2000 }), { minLength: 0, maxLength: 12 })
      .chain((places) =>
        fc.tuple(
          fc.constant(places.toSorted((a, b) => a - b)),
          fc.array(fc.string({ maxLength: 300 }), { minLength: 6, maxLength: 6 }),
        ),
      )
    fc.assert(
      fc.property(cuts, fc.nat({ max: 200 }), ([places, texts], from) => {
        const source = Buffer.from(Array.from({ length: 2201 }, (_, i) => 33 + (i % 90)))
        const made: Cut[] = []
        for (let i = 0; i + 1 < places.length; i += 2) {
          const text = Buffer.from(texts[i / 2]!).toString('latin1')
          made.push(cut(from + places[i]!, from + places[i + 1]!, text))
        }
        let wanted = ''
        let at = from
        for (const { start, end, text } of made) {
          wanted += source.toString('latin1', at, start) + String(text)
          at = end
        }
        wanted += source.toString('latin1', at)
        const bytes = splice(source, from, source.length, made)
        expect(bytes.toString('latin1')).toBe(wanted)
        given.push({ bytes, text: wanted })
      }),
      { numRuns: 1000 },
    )
    expect(given.filter(({ bytes, text }) => bytes.toString('latin1') !== text)).toEqual([])
  })
})
