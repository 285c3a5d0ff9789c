import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKey, type Key } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { isUsable, keyStates, nextStateChange, signingKey } from '../../src/keyring/state.ts'

/** Times of one day, `11:59:55`, to instants. */
const at = (time: string): Date => new Date(`2026-10-01T${time.length === 5 ? `${time}:00` : time}Z`)

type Times = readonly [activeFrom?: string, expires?: string, revoked?: string]

function keysOf(times: readonly Times[]): readonly Key[] {
  return times.map(([activeFrom, expires, revoked], i) =>
    createKey({
      name: `k${i}`,
      secret: `secret ${i}`,
      activeFrom: activeFrom === undefined || activeFrom === '' ? undefined : at(activeFrom),
      expires: expires === undefined || expires === '' ? undefined : at(expires),
      revoked: revoked === undefined ? undefined : at(revoked),
    }),
  )
}

const rows: readonly [what: string, keys: readonly Times[], states: Readonly<Record<string, string>>][] = [
  ['one key without dates', [[]], { '00:00': 'active' }],
  ['a key that starts', [['10:00']], { '09:59:59': 'pending', '10:00': 'active' }],
  ['a lone key signs to its very end', [['', '12:00']], { '11:59:59.999': 'active', '12:00': 'expired' }],
  [
    'a rotation: old without start, new with start and overlap',
    [['', '12:00'], ['11:00']],
    { '00:00': 'active pending', '11:00': 'overlapping active', '12:00': 'expired active' },
  ],
  ['ties go to the last listed', [[], []], { '00:00': 'overlapping active' }],
  [
    'ties of starts go to the last listed',
    [['10:00'], ['10:00'], []],
    { '00:00': 'pending pending active', '10:00': 'overlapping active overlapping' },
  ],
  [
    'a start beats none, wherever it is listed',
    [['10:00'], []],
    { '00:00': 'pending active', '10:00': 'active overlapping' },
  ],
  [
    'a signer with a successor leaves five seconds early',
    [[], ['10:00', '12:00']],
    {
      '10:00': 'overlapping active',
      '11:59:54.999': 'overlapping active',
      '11:59:55': 'active overlapping',
      '12:00': 'active expired',
    },
  ],
  [
    'a key that ends before the signer is no successor',
    [
      ['', '11:59:58'],
      ['10:00', '12:00'],
    ],
    { '11:59:52': 'overlapping active', '11:59:55': 'overlapping active', '11:59:58': 'expired active' },
  ],
  [
    'a successor that ends soon itself does not hand back',
    [
      ['', '12:00:03'],
      ['10:00', '12:00'],
    ],
    {
      '11:59:54.999': 'overlapping active',
      '11:59:55': 'active overlapping',
      '11:59:59': 'active overlapping',
      '12:00': 'active expired',
      '12:00:03': 'expired expired',
    },
  ],
  [
    'a successor hands over in its turn',
    [[], ['08:00', '12:00:03'], ['10:00', '12:00']],
    {
      '11:59:55': 'overlapping active overlapping',
      '11:59:58': 'active overlapping overlapping',
      '12:00:03': 'active expired expired',
    },
  ],
  [
    'a key to be revoked within the five seconds is no successor',
    [
      ['', '', '11:59:58'],
      ['10:00', '12:00'],
    ],
    {
      '11:59:54': 'overlapping active',
      '11:59:55': 'overlapping active',
      '11:59:58': 'revoked active',
      '12:00': 'revoked expired',
    },
  ],
  [
    'a pending key is no successor',
    [['', '12:00'], ['13:00']],
    { '11:59:58': 'active pending', '12:00': 'expired pending', '13:00': 'expired active' },
  ],
  [
    'of several successors the latest start signs',
    [['08:00'], ['09:00'], ['10:00', '12:00']],
    { '11:59:55': 'overlapping active overlapping' },
  ],
  [
    'two keys with one end: the later signs to it',
    [
      ['', '12:00'],
      ['', '12:00'],
    ],
    { '11:59:59': 'overlapping active', '12:00': 'expired expired' },
  ],
  [
    'a revoked signer gives way at once',
    [[], ['10:00', '', '11:00']],
    { '10:59:59.999': 'overlapping active', '11:00': 'active revoked' },
  ],
  [
    'revoked before expired, and says so after',
    [['', '12:00', '11:00']],
    { '10:59:59': 'active', '11:00': 'revoked', '12:00': 'revoked' },
  ],
  [
    'revoked while pending',
    [['12:00', '', '11:00'], []],
    { '10:00': 'pending active', '12:00': 'revoked active' },
  ],
  [
    'a start that comes back after its successor ended',
    [['09:00'], ['10:00', '11:00']],
    { '10:30': 'overlapping active', '11:00': 'active expired' },
  ],
]

describe('key states', () => {
  describe.each(rows)('%s', (_, times, states) => {
    it.each(Object.entries(states))('at %s: %s', (time, expected) => {
      const keys = keysOf(times)
      expect(keyStates(keys, at(time)).join(' ')).toBe(expected)
      expect(signingKey(keys, at(time))?.name).toBe(
        expected.split(' ').includes('active') ? `k${expected.split(' ').indexOf('active')}` : undefined,
      )
    })
  })

  it('takes another skew', () => {
    const keys = keysOf([[], ['10:00', '12:00']])
    expect(keyStates(keys, at('11:59:55'), 0).join(' ')).toBe('overlapping active')
    expect(keyStates(keys, at('11:59'), 60_000).join(' ')).toBe('active overlapping')
  })

  it('an impossible clock uses no key that has an end', () => {
    const [key] = keysOf([['', '12:00']])
    expect(isUsable(key!, new Date(NaN))).toBe(false)
  })
})

describe('properties', () => {
  const second = fc.integer({ min: 0, max: 40 }).map((n) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)))
  const maybe = fc.option(second, { nil: undefined })
  const key = fc
    .record({ activeFrom: maybe, expires: maybe, revoked: maybe })
    .map(({ activeFrom, expires, revoked }) =>
      createKey({
        name: 'n',
        secret: 's',
        activeFrom: activeFrom && expires && activeFrom >= expires ? undefined : activeFrom,
        expires,
        revoked,
      }),
    )
  const keys = fc.array(key, { minLength: 1, maxLength: 5 })
  const skew = fc.constantFrom(0, 1_000, 5_000)
  const everySecond = Array.from({ length: 60 }, (_, n) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)))

  it('states stay until nextChange and differ at it', () => {
    fc.assert(
      fc.property(keys, second, skew, (group, now, skewMs) => {
        const states = keyStates(group, now, skewMs)
        const change = nextStateChange(group, now, skewMs)
        for (const time of everySecond) {
          if (time < now || (change && time >= change)) continue
          expect(keyStates(group, time, skewMs)).toEqual(states)
        }
        expect(change === undefined || change > now).toBe(true)
        expect(change && keyStates(group, change, skewMs)).not.toEqual(states)
      }),
    )
  })

  it('exactly one key signs as long as one that has started is usable, and it is usable itself', () => {
    fc.assert(
      fc.property(keys, second, skew, (group, now, skewMs) => {
        const canSign = group.filter((k) => isUsable(k, now) && !(k.activeFrom && now < k.activeFrom))
        const states = keyStates(group, now, skewMs)
        expect(states.filter((state) => state === 'active')).toHaveLength(canSign.length > 0 ? 1 : 0)
        const signer = signingKey(group, now, skewMs)
        expect(signer === undefined || canSign.includes(signer)).toBe(true)
      }),
    )
  })

  it('a key that signs is verified by a clock less than the skew ahead, if any key is', () => {
    fc.assert(
      fc.property(keys, second, fc.integer({ min: 0, max: 4_999 }), (group, now, ahead) => {
        const withoutRevoked = group.filter((k) => k.revoked === undefined)
        const signer = signingKey(withoutRevoked, now)
        const later = new Date(now.getTime() + 5_000)
        const mayHandOver = withoutRevoked.some(
          (k) => isUsable(k, later) && !(k.activeFrom && now < k.activeFrom),
        )
        expect(!mayHandOver || isUsable(signer!, new Date(now.getTime() + ahead))).toBe(true)
      }),
    )
  })

  it('verification keys are the usable ones, last listed first', () => {
    fc.assert(
      fc.property(keys, second, (group, now) => {
        const named = group.map((k, i) => ({ ...k, name: `k${i}` }))
        const keyring = createKeyring([['g', named]])
        const verifying = keyring
          .list(now)
          .filter(({ state }) => ['pending', 'active', 'overlapping'].includes(state))
        expect(keyring.verificationKeys('g', now).map(({ name }) => name)).toEqual(
          verifying.map(({ name }) => name).toReversed(),
        )
      }),
    )
  })
})
