import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'

const read = (file: string): string =>
  readFileSync(new URL(`../../keyrings/${file}`, import.meta.url), 'utf8')

const day = (n: number, ms = 0): Date => new Date(Date.UTC(2030, 0, n) + ms)
const from = (first: Date, last: Date): Date[] => {
  const step = (last.getTime() - first.getTime()) / 200
  return Array.from({ length: 201 }, (_, i) => new Date(first.getTime() + i * step))
}

describe('keyrings/README.md', () => {
  const blocks = [...read('README.md').matchAll(/^```toml\n([^]*?)^```/gm)].map((match) => match[1]!)

  it('has examples', () => {
    expect(blocks.length).toBeGreaterThan(1)
  })

  it.each(blocks)('example %# is a keyring', (block) => {
    expect(parseKeyring(block, { resolve: () => Buffer.from('fetched') }).groups.length).toBeGreaterThan(0)
  })

  it.each([
    'value',
    'value_base64',
    'value_hex',
    'value_env',
    'value_file',
    'sealed',
    'active_from',
    'expires',
    'revoked',
  ])('describes %s', (setting) => {
    expect(read('README.md')).toContain(`\n| \`${setting}\` |`)
  })

  it.each([
    [
      'a then b',
      'a = expires 12:00, b = active_from 11:00, expires 13:00',
      [
        ['expires = 2026-10-01T12:00:00Z'],
        ['active_from = 2026-10-01T11:00:00Z', 'expires = 2026-10-01T13:00:00Z'],
      ],
      {
        '10:59:59': 'active pending',
        '11:00:00': 'overlapping active',
        '12:00:00': 'expired active',
        '13:00:00': 'expired expired',
      },
    ],
    [
      'c then a',
      'c = no dates, a = expires 12:00',
      [[], ['expires = 2026-10-01T12:00:00Z']],
      { '11:59:54': 'overlapping active', '11:59:55': 'active overlapping', '12:00:00': 'active expired' },
    ],
  ])('its table of states is true: %s (%s)', (_, __, keys, states) => {
    const toml = keys.map((more, i) =>
      ['[[groups.g.keys]]', `name = "${i}"`, 'value = "x"', ...more].join('\n'),
    )
    const keyring = parseKeyring(toml.join('\n'))
    for (const [time, expected] of Object.entries(states)) {
      const list = keyring.list(new Date(`2026-10-01T${time}Z`))
      expect(`${time} ${list.map(({ state }) => state).join(' ')}`).toBe(`${time} ${expected}`)
    }
  })
})

describe('keyrings/demo.toml', () => {
  it('has an active and an overlapping key for trunk-a, and one key for trunk-b', () => {
    const states = parseKeyring(read('demo.toml')).list(new Date('2026-11-21T12:00:00Z'))
    expect(states.map(({ group, name, state }) => `${group} ${name} ${state}`)).toEqual([
      'trunk-a 2026-q3 overlapping',
      'trunk-a 2026-q4 active',
      'trunk-b 2026-q4 active',
    ])
  })
})

describe('keyrings/rotation', () => {
  const [before, overlap, after] = ['1-before', '2-overlap', '3-after'].map((name) =>
    parseKeyring(read(`rotation/${name}.toml`)),
  )
  const accepts = (receiver: typeof before, sender: typeof before, now: Date): boolean => {
    const key = sender!.activeKey('trunk-a', now)
    return receiver!
      .verificationKeys('trunk-a', now)
      .some(({ fingerprint }) => fingerprint === key?.fingerprint)
  }

  // Every node goes 1, 2, 3 at its own pace: 2 is everywhere before the new key signs, 3 comes only then.
  it.each([
    ['files 1 and 2 until the new key signs', [before, overlap], day(1), day(10, -1)],
    ['files 2 and 3 from then to long after the old key has ended', [overlap, after], day(10), day(31)],
  ])('%s: any sender is accepted by any receiver', (_, keyrings, first, last) => {
    for (const now of from(first, last)) {
      for (const sender of keyrings) {
        for (const receiver of keyrings) expect(accepts(receiver, sender, now)).toBe(true)
      }
    }
  })

  it('a sender that missed it is accepted until the old key ends', () => {
    for (const now of from(day(10), day(20, -1))) expect(accepts(overlap, before, now)).toBe(true)
    expect(accepts(overlap, before, day(20))).toBe(false)
  })

  it('clocks that differ by less than five seconds change nothing', () => {
    for (const [sender, receiver] of [
      [4_999, 0],
      [0, 4_999],
    ] as const) {
      for (const instant of [day(10), day(20)]) {
        for (let ms = -10_000; ms <= 10_000; ms += 500) {
          const key = overlap!.activeKey('trunk-a', new Date(instant.getTime() + ms + sender))
          const known = overlap!.verificationKeys('trunk-a', new Date(instant.getTime() + ms + receiver))
          expect(known).toContain(key)
        }
      }
    }
  })

  it('files 1 and 3 must not be mixed, which the README says', () => {
    expect(accepts(after, before, day(5))).toBe(false)
    expect(accepts(before, after, day(15))).toBe(false)
    expect(read('README.md')).toContain('1 and 3 never')
  })
})
