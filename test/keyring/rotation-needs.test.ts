import { describe, expect, it } from 'vitest'
import type { NodeReport } from '../../src/keyring/evidence.ts'
import { planPromote, planRetire } from '../../src/keyring/rotation-plan.ts'
import type { Missing } from '../../src/keyring/rotation-evidence.ts'
import type { Confirmation, RotationFacts, RotationStatus } from '../../src/keyring/rotation.ts'
import { at, EXAMPLES, fingerprintOf, GROUP, NOW, reportOf, ringOf, statusOf, use } from './rotation-facts.ts'

const later = (seconds: number): Date => new Date(NOW.getTime() + seconds * 1000)

/** What is missing, as `kind who`. */
const kinds = (missing: readonly Missing[]): readonly string[] =>
  missing.map(({ kind, node, peer }) => [kind, peer, node].filter((word) => word !== undefined).join(' '))

const confirmation: Confirmation = {
  group: GROUP,
  key: 'new',
  fingerprint: fingerprintOf('new'),
  peer: 'carrier',
  at: at('11:00'),
  by: 'ann',
}

const on = (key: string, time: string, peer = 'carrier') => use(peer, key, at(time))

/** Every refusal says why and what would satisfy it. */
function explains(status: RotationStatus): void {
  const all = [
    ...status.promote.missing,
    ...status.abort.missing,
    ...status.retire.flatMap((one) => one.missing),
  ]
  for (const { message, remedy } of all) {
    expect(message).toMatch(/\w+ .*\w/)
    expect(remedy).toMatch(/\w+ .*\w/)
    expect(`${message} ${remedy}`).not.toMatch(/undefined|null|NaN|Invalid/)
  }
}

describe('promote needs', () => {
  type More = Partial<RotationFacts> & { readonly report?: Partial<NodeReport> }
  const ring = ringOf(EXAMPLES.started)
  const seen = { uses: [use('carrier', 'new', at('11:00'))] }
  const [oldOnly] = ring.keys(GROUP)
  const lacking = {
    keys: [{ group: GROUP, key: 'old', fingerprint: oldOnly!.fingerprint, since: at('09:00') }],
  }
  const second = (more: Partial<NodeReport>): Partial<RotationFacts> => ({
    reports: [reportOf(ring, seen), reportOf(ring, { node: 'n2', ...more })],
    expectedNodes: ['n1', 'n2'],
  })

  it.each<readonly [what: string, missing: readonly string[], more: More]>([
    ['nothing, where the peer verified with it', [], { report: seen }],
    ['nothing, where its operator confirmed', [], { confirmations: [confirmation] }],
    ['the peer', ['peer-unknown carrier'], {}],
    [
      'the peer, where it is only seen on the old key',
      ['peer-unknown carrier'],
      { report: { uses: [use('carrier', 'old', at('11:00'))] } },
    ],
    [
      'the peer, where another was confirmed',
      ['peer-unknown carrier'],
      { confirmations: [{ ...confirmation, peer: 'branch' }] },
    ],
    [
      'the peer, where another secret of that name was',
      ['peer-unknown carrier'],
      { confirmations: [{ ...confirmation, fingerprint: '00000000' }] },
    ],
    [
      'the peer, where it was in another group',
      ['peer-unknown carrier'],
      { confirmations: [{ ...confirmation, group: 'trunk-b' }] },
    ],
    ['every peer', ['peer-unknown branch'], { report: seen, peers: ['carrier', 'branch'] }],
    ['a node that has never reported', ['node-missing n1', 'peer-unknown carrier'], { reports: [] }],
    ['a node that holds it', ['node-lacks-key n1'], { report: { ...seen, ...lacking } }],
    ['every node that holds it', ['node-lacks-key n2'], second(lacking)],
    ['every node that was named', ['node-missing n3'], { report: seen, expectedNodes: ['n1', 'n3'] }],
    [
      'every node that has a report, named or not',
      ['node-lacks-key n2'],
      { ...second(lacking), expectedNodes: [] },
    ],
    ['a node that reports', ['node-silent n1'], { report: { ...seen, at: later(-31) } }],
    ['a node that runs', ['node-silent n1'], { report: { ...seen, at: later(-31), stopped: later(-31) } }],
    ['a node whose clock is not ahead', ['node-silent n1'], { report: { ...seen, at: later(31) } }],
    ['no more, a report of 30 seconds ago is good', [], { report: { ...seen, at: later(-30) } }],
    [
      'no more, letter case of the group does not matter',
      [],
      { confirmations: [{ ...confirmation, group: 'Trunk-A' }] },
    ],
    ['no more, any node may have seen the peer', [], second({ uses: seen.uses })],
  ])('%s', (_, missing, more) => {
    const status = statusOf(EXAMPLES.started, more)
    expect(kinds(status.promote.missing)).toEqual(missing)
    expect(status.promote.safe).toBe(missing.length === 0)
    explains(status)
    expect(planPromote(status, NOW, 'by-evidence').ok).toBe(missing.length === 0)
    expect(planPromote(status, NOW, 'force')).toMatchObject({ ok: true, forced: status.promote.missing })
  })
})

describe('retire needs', () => {
  type More = Partial<RotationFacts> & { readonly report?: Partial<NodeReport> }
  const ring = ringOf(EXAMPLES.promoted)
  const moved = { uses: [on('old', '11:10:00'), on('new', '11:10:01')] }
  const two = (first: Partial<NodeReport>, second: Partial<NodeReport>): Partial<RotationFacts> => ({
    reports: [reportOf(ring, first), reportOf(ring, { node: 'n2', ...second })],
    expectedNodes: ['n1', 'n2'],
  })

  it.each<readonly [what: string, missing: readonly string[], more: More]>([
    ['nothing, where the peer moved', [], { report: moved }],
    ['nothing, where the peer was never on the old key', [], { report: { uses: [on('new', '11:10:00')] } }],
    ['the peer: silence is unknown', ['peer-silent carrier'], {}],
    [
      'the peer, seen on the old key only',
      ['peer-on-old carrier'],
      { report: { uses: [on('old', '11:10:00')] } },
    ],
    [
      'the peer, later on the old key',
      ['peer-on-old carrier'],
      { report: { uses: [on('new', '11:10:00'), on('old', '11:10:01')] } },
    ],
    [
      'the peer, on both in the same second',
      ['peer-on-old carrier'],
      { report: { uses: [on('new', '11:10:00'), on('old', '11:10:00')] } },
    ],
    ['every peer', ['peer-silent branch'], { report: moved, peers: ['carrier', 'branch'] }],
    [
      'the peer itself, not another',
      ['peer-silent carrier'],
      { report: { uses: [on('new', '11:10:00', 'branch')] } },
    ],
    [
      'evidence: it begins after the peer was seen',
      ['evidence-lost carrier n1'],
      { report: { ...moved, since: at('11:10:01') } },
    ],
    [
      'no more, evidence that begins before the peer was seen',
      [],
      { report: { ...moved, since: at('11:10:00') } },
    ],
    ['evidence of every node', ['evidence-lost carrier n2'], two(moved, { since: at('11:30') })],
    [
      'evidence of every node, clocks apart',
      ['evidence-lost carrier n2'],
      two(moved, { since: at('11:09:56') }),
    ],
    [
      'no more, one node has seen the move and the other knows of nothing else',
      [],
      two(moved, { since: at('11:09:55') }),
    ],
    [
      'every node: the peer is on the old key at another',
      ['peer-on-old carrier'],
      two(moved, { uses: [on('old', '11:20:00')] }),
    ],
    [
      'the move to be later than clocks may differ, between nodes',
      ['peer-on-old carrier'],
      two(moved, { uses: [on('old', '11:09:56')] }),
    ],
    ['no more, it is later', [], two(moved, { uses: [on('old', '11:09:55')] })],
    ['a node that reports', ['node-silent n1'], { report: { ...moved, at: later(-31) } }],
    ['a node that has reported', ['node-missing n1', 'peer-silent carrier'], { reports: [] }],
    [
      'a node with this keyring',
      ['node-behind n1'],
      { report: { ...moved, groups: [{ group: GROUP, fingerprint: '00000000' }] } },
    ],
    ['a node with this group', ['node-behind n1'], { report: { ...moved, groups: [] } }],
    ['more than a confirmation', ['peer-silent carrier'], { confirmations: [confirmation] }],
  ])('%s', (_, missing, more) => {
    const status = statusOf(EXAMPLES.promoted, more)
    const [step] = status.retire
    expect(kinds(step!.missing)).toEqual(missing)
    expect(step!.safe).toBe(missing.length === 0)
    explains(status)
    expect(planRetire(status, 'old', at('13:00'), 'by-evidence').ok).toBe(missing.length === 0)
    expect(planRetire(status, 'old', at('13:00'), 'force')).toMatchObject({ ok: true, forced: step!.missing })
  })

  it('the move to a newer key, whichever', () => {
    const keys = [{ name: 'oldest' }, { name: 'old', from: at('10:00') }, { name: 'new', from: at('11:00') }]
    const status = statusOf(keys, {
      report: { uses: [on('oldest', '10:30:00'), on('old', '11:10:00')] },
    })
    expect(status.retire.map(({ key, safe }) => `${key} ${safe}`)).toEqual(['oldest true', 'old false'])
    const back = statusOf(keys, { report: { uses: [on('old', '11:10:00'), on('oldest', '11:20:00')] } })
    expect(back.retire.map(({ key, safe }) => `${key} ${safe}`)).toEqual(['oldest false', 'old false'])
  })
})

describe('abort needs, before the promotion', () => {
  const ring = ringOf(EXAMPLES.started)
  const keys = (since: Date) =>
    ring.keys(GROUP).map(({ name, fingerprint }) => ({ group: GROUP, key: name, fingerprint, since }))

  it.each<readonly [what: string, missing: readonly string[], report: Partial<NodeReport>]>([
    ['nothing, where no peer was seen on it', [], {}],
    ['evidence since the key came', ['peer-silent carrier'], { since: at('09:00:01') }],
    [
      'no more, a message with the old key since',
      [],
      { since: at('09:00:01'), uses: [use('carrier', 'old', at('09:00:02'))] },
    ],
    [
      'a message with the old key, later than that',
      ['evidence-lost carrier n1'],
      { since: at('09:00:01'), uses: [use('carrier', 'old', at('09:00:01'))] },
    ],
    ['the peer to be back', ['peer-on-old carrier'], { uses: [use('carrier', 'new', at('11:00'))] }],
    [
      'no more, it is back',
      [],
      { uses: [use('carrier', 'new', at('11:00')), use('carrier', 'old', at('11:00:01'))] },
    ],
    ['a node that reports', ['node-silent n1'], { at: later(-31) }],
  ])('%s', (_, missing, report) => {
    const status = statusOf(EXAMPLES.started, { report: { keys: keys(at('09:00')), ...report } })
    expect(kinds(status.abort.missing)).toEqual(missing)
    explains(status)
  })
})

describe('the view', () => {
  it('shows nodes, keys and peers', () => {
    const status = statusOf(EXAMPLES.started, {
      report: { uses: [use('carrier', 'old', at('11:00'))] },
      expectedNodes: ['n1', 'n2'],
      confirmations: [confirmation],
    })
    expect(status).toMatchObject({
      keys: [
        { key: 'old', state: 'active' },
        { key: 'new', state: 'held' },
      ],
      nodes: [
        { node: 'n1', status: 'current', holds: ['old', 'new'] },
        { node: 'n2', status: 'missing' },
      ],
      peers: [
        { peer: 'carrier', seen: [{ key: 'old', at: at('11:00'), node: 'n1' }], confirmed: { by: 'ann' } },
      ],
    })
  })
})
