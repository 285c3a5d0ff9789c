import { describe, expect, it } from 'vitest'
import {
  countFleet,
  highestRevision,
  isClockOff,
  keyringFingerprint,
  viewFleet,
} from '../../src/keyring/fleet.ts'
import type { FoundHeartbeat } from '../../src/keyring/keyring-store.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { OTHER_KEK, PLAIN, sealed, SOURCE } from '../support/sealed.ts'
import { kekSourceOf } from '../../src/keyring/seal.ts'

const NOW = new Date('2026-11-21T12:00:00Z')

interface Told {
  readonly revision?: number | undefined
  readonly keyring?: string
  readonly age?: number
  readonly refuses?: string
  readonly stopped?: Date
}

const beat = ({ revision = 3, keyring = 'aaaaaaaa', age = 0, refuses, stopped }: Told): FoundHeartbeat => ({
  report: {
    node: '',
    at: NOW,
    since: NOW,
    keys: [],
    groups: [],
    uses: [],
    revision,
    ...(stopped && { stopped }),
  },
  keyring,
  version: '1',
  age,
  ahead: 0,
  ...(refuses !== undefined && { refuses }),
})
const fleet = (nodes: Readonly<Record<string, Told | 'damaged'>>) =>
  new Map(
    Object.entries(nodes).map(([name, told]) => [name, told === 'damaged' ? told : beat(told)] as const),
  )

describe('a node', () => {
  it.each<readonly [string, Told | 'damaged', string]>([
    ['that has what is stored is current', {}, 'current'],
    ['with an earlier revision is behind', { revision: 2 }, 'behind'],
    ['with a later one, which the store has lost, too', { revision: 4 }, 'behind'],
    ['with another keyring of that revision, too', { keyring: 'bbbbbbbb' }, 'behind'],
    ['that says why not is refusing', { refuses: 'kek' }, 'refusing'],
    [
      'that refuses what is to come, and has what is wanted, too',
      { revision: 3, refuses: 'kek' },
      'refusing',
    ],
    ['is live for ten seconds', { age: 9_999 }, 'current'],
    ['is silent then', { age: 10_000 }, 'silent'],
    ['is silent, whatever it said before', { age: 10_000, refuses: 'kek' }, 'silent'],
    ['that has stopped is silent', { stopped: NOW }, 'silent'],
    ['of which nothing can be read is silent', 'damaged', 'silent'],
  ])('%s', (_, told, status) => {
    const [view] = viewFleet(fleet({ n1: told }), { revision: 3, keyring: 'aaaaaaaa' })
    expect(view).toMatchObject({ node: 'n1', status })
  })

  it('has a clock that is off by more than five seconds either way', () => {
    expect([5000, -5000, 5001, -5001].map((ahead) => isClockOff({ ahead }))).toEqual([
      false,
      false,
      true,
      true,
    ])
    expect(isClockOff({})).toBe(false)
  })
})

describe('a fleet', () => {
  it('is told by name, and counted by status', () => {
    const nodes = viewFleet(fleet({ n2: { revision: 2 }, n10: {}, n1: 'damaged' }), { revision: 3 })
    expect(nodes.map(({ node }) => node)).toEqual(['n1', 'n10', 'n2'])
    expect([...countFleet(nodes)]).toEqual([
      ['current', 1],
      ['behind', 1],
      ['silent', 1],
      ['refusing', 0],
    ])
  })

  it('goes by what most have, where nothing else is known', () => {
    const found = fleet({ n1: { keyring: 'b' }, n2: {}, n3: {}, n4: { revision: 1 } })
    const statuses = viewFleet(found, 'unknown').map(({ node, status }) => `${node} ${status}`)
    expect(statuses).toEqual(['n1 behind', 'n2 current', 'n3 current', 'n4 behind'])
  })

  it('has no revision without nodes', () => {
    expect(highestRevision(fleet({}))).toBe(0)
    expect(highestRevision(fleet({ n1: 'damaged', n2: { revision: 7 } }))).toBe(7)
    expect(viewFleet(fleet({}), 'unknown')).toEqual([])
  })
})

const of = (toml: string, kek = SOURCE): string => keyringFingerprint(parseKeyring(toml, { kek }))

describe('the fingerprint of a keyring', () => {
  it('is that of its keys, whatever they are sealed with', () => {
    expect(of(sealed())).toMatch(/^[0-9a-f]{8}$/)
    expect(of(sealed())).toBe(of(sealed(PLAIN, OTHER_KEK), kekSourceOf(OTHER_KEK)))
    expect(of(sealed())).toBe(of(PLAIN))
  })

  it.each([
    ['a secret', PLAIN.replace('xks_aR7', 'xks_bR7')],
    ['a date', PLAIN.replace('2027-01-01', '2027-01-02')],
    ['a revocation', PLAIN.replace('revoked = true', '')],
    ['the name of a group', PLAIN.replaceAll('gw 1', 'gw 2')],
  ])('is another with another %s', (_, changed) => {
    expect(of(changed)).not.toBe(of(PLAIN))
  })
})
