/** Every edit of keyrings as people write them: the model of the keyring is edited beside the text, and both must agree. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import {
  appendKey,
  removeKey,
  removeKeySetting,
  setKeySetting,
  tomlString,
} from '../../src/keyring/edit-toml.ts'
import { foldGroup } from '../../src/keyring/keyring.ts'
import {
  commentsOf,
  end,
  inOrder,
  key,
  linesOf,
  meaningOf,
  placeOf,
  start,
  written,
  type Meant,
} from './keyrings.ts'
import { RUNS } from './messages.ts'

const index = fc.nat({ max: 1000 })
const timed = fc.oneof(
  fc.tuple(fc.constant('active_from' as const), start),
  fc.tuple(fc.constant('expires' as const), end),
  fc.tuple(fc.constant('revoked' as const), fc.oneof(end, fc.constant('true'))),
)
const withKeys = written.filter(({ keys }) => keys.length > 0)

describe('editing a keyring', { timeout: 90_000 }, () => {
  it('is of texts that are keyrings, and mean what they were written to', () => {
    fc.assert(
      fc.property(written, ({ keys, text }) => {
        expect(meaningOf(text)).toEqual(inOrder(keys))
      }),
      RUNS,
    )
  })

  it('appends exactly the key that was meant', () => {
    fc.assert(
      fc.property(written, key, ({ keys, text }, fresh) => {
        const twin = keys.find((one) => foldGroup(one.group) === foldGroup(fresh.group))
        const added = { ...fresh, group: twin?.group ?? fresh.group, name: `${fresh.name} new` }
        const times = (['active_from', 'expires', 'revoked'] as const).flatMap((name) => {
          const value = added[name]
          return value === undefined ? [] : [[name, value] as const]
        })
        const settings = [['value', tomlString(added.secret)] as const, ...times]
        const after = appendKey(text, fresh.group, { name: added.name, settings })
        expect(meaningOf(after)).toEqual(inOrder([...keys, added]))
        // Nothing of what was there is touched.
        expect(after.startsWith(text)).toBe(true)
      }),
      RUNS,
    )
  })

  it('sets exactly the setting that was meant, and touches one line', () => {
    fc.assert(
      fc.property(withKeys, index, timed, ({ keys, text }, i, [setting, value]) => {
        const chosen = keys[i % keys.length]!
        const after = setKeySetting(text, chosen, setting, value)
        expect(meaningOf(after)).toEqual(
          inOrder(keys.map((one) => (one === chosen ? { ...one, [setting]: value } : one))),
        )
        expect(commentsOf(after)).toEqual(commentsOf(text))
        const [old, now] = [linesOf(text), linesOf(after)]
        const isNew = chosen[setting] === undefined
        expect(now.length - old.length).toBe(isNew ? 1 : 0)
        const at = now.findIndex((line, i) => line !== old[i])
        expect(isNew || at >= 0 ? now.toSpliced(at, 1) : now).toEqual(
          isNew || at < 0 ? old : old.toSpliced(at, 1),
        )
      }),
      RUNS,
    )
  })

  it('removes exactly the setting that was meant', () => {
    fc.assert(
      fc.property(
        withKeys,
        index,
        fc.constantFrom('active_from' as const, 'expires' as const, 'revoked' as const),
        ({ keys, text }, i, setting) => {
          const chosen = keys[i % keys.length]!
          const after = removeKeySetting(text, chosen, setting)
          expect(meaningOf(after)).toEqual(
            inOrder(keys.map((one) => (one === chosen ? { ...one, [setting]: undefined } : one))),
          )
          expect(commentsOf(after)).toEqual(commentsOf(text))
        },
      ),
      RUNS,
    )
  })

  it('removes exactly the key that was meant, with what is inside of its block', () => {
    fc.assert(
      fc.property(withKeys, index, ({ keys, text }, i) => {
        const chosen = keys[i % keys.length]!
        const [first, last] = placeOf(text, chosen)
        const after = removeKey(text, chosen)
        expect(meaningOf(after)).toEqual(inOrder(keys.filter((one) => one !== chosen)))
        const around = linesOf(text).toSpliced(first - 1, last - first + 1)
        const left = around.filter((line) => line.trim() !== '')
        expect(linesOf(after).filter((line) => line.trim() !== '')).toEqual(left)
      }),
      RUNS,
    )
  })

  it('back and forth gives the meaning back, whatever was edited in between', () => {
    fc.assert(
      fc.property(withKeys, index, end, ({ keys, text }, i, time) => {
        const chosen = keys[i % keys.length]!
        const revoked = setKeySetting(text, chosen, 'revoked', time)
        const undone =
          chosen.revoked === undefined
            ? removeKeySetting(revoked, chosen, 'revoked')
            : setKeySetting(revoked, chosen, 'revoked', chosen.revoked)
        expect(meaningOf(undone)).toEqual(inOrder(keys))
      }),
      RUNS,
    )
  })

  it('takes any value text, and either means one value or refuses', () => {
    fc.assert(
      fc.property(withKeys, index, fc.string({ maxLength: 20 }), ({ keys, text }, i, value) => {
        const chosen = keys[i % keys.length]!
        const after = orRefused(() => setKeySetting(text, chosen, 'expires', value))
        const others = (told: readonly Meant[]): readonly Meant[] =>
          told.filter((one) => one.group !== chosen.group || one.name !== chosen.name)
        expect(others(meaningOf(after ?? text))).toEqual(others(inOrder(keys)))
      }),
      RUNS,
    )
  })
})

const MARKS = `" ' """ ''' [ ] { } , # = . \\ keys groups [groups.gw] [[groups.gw.keys]]`.split(' ')
const LINES = ['[[groups.gw.keys]]', 'name = "x"', 'value = "x"', '# note', '[groups.gw]', ''].map(
  (line) => `${line}\n`,
)
const snippet = fc.constantFrom(...MARKS, ...LINES, ' ', '\t', '\r', '\r\n', '\u2028', '\u0085')
/** Something put in the place of up to some characters. */
const slip = fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.oneof(snippet, fc.constant('')))

describe('a keyring with slips of the hand that is one all the same', { timeout: 90_000 }, () => {
  it('is edited exactly as was meant, or refused', () => {
    let edited = 0
    fc.assert(
      fc.property(withKeys, fc.array(slip, { minLength: 1, maxLength: 3 }), index, ({ text }, slips, i) => {
        const slipped = slips.reduce((before, [place, length, put]) => {
          const at = place % (before.length + 1)
          return before.slice(0, at) + put + before.slice(at + length)
        }, text)
        const keys = orRefused(() => meaningOf(slipped)) ?? []
        const chosen = keys[i % keys.length]
        fc.pre(chosen !== undefined)
        const set = orRefused(() => setKeySetting(slipped, chosen, 'revoked', 'true'))
        const removed = orRefused(() => removeKey(slipped, chosen))
        edited += set === undefined ? 0 : 1
        const revoked = keys.map((one) => (one === chosen ? { ...one, revoked: 'true' } : one))
        expect(set === undefined ? revoked : meaningOf(set)).toEqual(revoked)
        const left = keys.filter((one) => one !== chosen)
        expect(removed === undefined ? left : meaningOf(removed)).toEqual(left)
        const comments = commentsOf(slipped)
        expect(set === undefined ? comments : commentsOf(set)).toEqual(comments)
      }),
      RUNS,
    )
    // Most slips that are keyrings are small ones.
    expect(edited).toBeGreaterThan(RUNS.numRuns / 2)
  })
})

function orRefused<T>(edit: () => T): T | undefined {
  try {
    return edit()
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}
