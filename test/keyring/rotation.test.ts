import { describe, expect, it } from 'vitest'
import {
  defaultEnd,
  planAbort,
  planPromote,
  planRetire,
  planStart,
  type RotationPlan,
} from '../../src/keyring/rotation-plan.ts'
import {
  HELD_FROM,
  ROTATION_STATES,
  rotationPosition,
  type RotationState,
} from '../../src/keyring/rotation-state.ts'
import {
  at,
  edited,
  EXAMPLES,
  GROUP,
  held,
  NOW,
  ringOf,
  statusOf,
  use,
  type KeySpec,
} from './rotation-facts.ts'

const stateAt = (keys: readonly KeySpec[], time: Date): RotationState =>
  rotationPosition(ringOf(keys), GROUP, time).state

/** The state behind a plan that was carried out; the reason of one that was refused. */
const outcome = (keys: readonly KeySpec[], plan: RotationPlan, time = NOW): string =>
  plan.ok ? `→ ${stateAt(edited(keys, plan.edits), time)}` : plan.missing[0]!.message

describe('a state', () => {
  it.each(ROTATION_STATES)('%s has a keyring that is in it', (state) => {
    expect(stateAt(EXAMPLES[state], NOW)).toBe(state)
  })

  it.each<readonly [what: string, keys: readonly KeySpec[], times: Readonly<Record<string, RotationState>>]>([
    ['one key', [{ name: 'a' }], { '00:00': 'idle', '23:59:59': 'idle' }],
    ['one key that ends', [{ name: 'a', expires: at('12:00') }], { '11:59:59': 'idle', '12:00': 'empty' }],
    ['one key that begins', [{ name: 'a', from: at('12:00') }], { '11:59:59': 'unsigned', '12:00': 'idle' }],
    [
      'a date to sign ahead, then an overlap',
      [{ name: 'a' }, { name: 'b', from: at('12:00') }],
      { '11:59:59': 'scheduled', '12:00': 'promoted' },
    ],
    [
      'dates for both: the whole rotation by the clock',
      [
        { name: 'a', expires: at('13:00') },
        { name: 'b', from: at('12:00') },
      ],
      { '11:59:59': 'scheduled', '12:00': 'retiring', '12:59:59': 'retiring', '13:00': 'idle' },
    ],
    [
      'a held key whose elder runs out',
      [{ name: 'a', expires: at('12:00') }, held('b')],
      { '11:59:59': 'started', '12:00': 'unsigned' },
    ],
    [
      'an older key that is revoked later',
      [
        { name: 'a', revoked: at('13:00') },
        { name: 'b', from: at('11:00') },
      ],
      { '10:59:59': 'scheduled', '11:00': 'retiring', '12:59:59': 'retiring', '13:00': 'idle' },
    ],
    [
      'the hand-over five seconds before the end, to the older key',
      [{ name: 'a' }, { name: 'b', from: at('11:00'), expires: at('12:00') }],
      { '11:59:54': 'promoted', '11:59:55': 'retiring', '12:00': 'idle' },
    ],
    [
      'three keys, the oldest with an end',
      [{ name: 'a', expires: at('13:00') }, { name: 'b' }, { name: 'c', from: at('11:00') }],
      { '10:59:59': 'scheduled', '11:00': 'promoted', '13:00': 'promoted' },
    ],
    [
      'a key with a date and a held one',
      [{ name: 'a' }, { name: 'b', from: at('12:00') }, held('c')],
      { '11:59:59': 'crowded', '12:00': 'started' },
    ],
    ['no key that signs, and two that wait', [held('a'), held('b')], { '12:00': 'crowded' }],
  ])('%s', (_, keys, times) => {
    for (const [time, state] of Object.entries(times)) {
      expect(`${time} ${stateAt(keys, at(time))}`).toBe(`${time} ${state}`)
    }
  })

  it('of a group that is not there is empty, and ids compare without case', () => {
    expect(rotationPosition(ringOf(EXAMPLES.idle), 'other', NOW).state).toBe('empty')
    expect(rotationPosition(ringOf(EXAMPLES.idle), 'TRUNK-A', NOW)).toMatchObject({
      state: 'idle',
      group: 'trunk-a',
    })
  })
})

describe('start', () => {
  it('adds a key that verifies and is held', () => {
    const plan = planStart(statusOf(EXAMPLES.idle), 'new')
    expect(plan).toMatchObject({ ok: true, edits: [{ edit: 'add', key: 'new', activeFrom: HELD_FROM }] })
    expect(outcome(EXAMPLES.idle, plan)).toBe('→ started')
  })

  it('may begin while an older key runs out', () => {
    expect(outcome(EXAMPLES.retiring, planStart(statusOf(EXAMPLES.retiring), 'next'))).toBe('→ started')
  })
})

describe('promote', () => {
  it.each([
    ['now', NOW, '→ promoted'],
    ['now, between two seconds', new Date(NOW.getTime() + 999), '→ promoted'],
    ['later', at('12:30'), '→ scheduled'],
  ])('%s', (_, time, expected) => {
    const plan = planPromote(statusOf(EXAMPLES.started), time, 'force')
    expect(outcome(EXAMPLES.started, plan)).toBe(expected)
  })

  it('lets the new key sign in the same second in which the old one began to', () => {
    const keys = [{ name: 'old', from: NOW }, held('new')]
    const plan = planPromote(statusOf(keys), NOW, 'force')
    const position = rotationPosition(ringOf(edited(keys, plan.ok ? plan.edits : [])), GROUP, NOW)
    expect(position.active?.name).toBe('new')
  })
})

describe('retire', () => {
  const moved = { report: { uses: [use('carrier', 'new', at('11:30'))] } }

  it('ends the old key when clocks agree that it is over', () => {
    const status = statusOf(EXAMPLES.promoted, moved)
    const plan = planRetire(status, 'old', defaultEnd(NOW), 'by-evidence')
    expect(plan).toMatchObject({ edits: [{ key: 'old', setting: 'expires', time: at('12:00:05') }] })
    const keys = edited(EXAMPLES.promoted, plan.ok ? plan.edits : [])
    expect([stateAt(keys, at('12:00:04')), stateAt(keys, at('12:00:05'))]).toEqual(['retiring', 'idle'])
  })

  it('brings an end forward, never back', () => {
    const status = statusOf(EXAMPLES.retiring, moved)
    expect(planRetire(status, 'old', at('12:30'), 'by-evidence').ok).toBe(true)
    expect(outcome(EXAMPLES.retiring, planRetire(status, 'old', at('13:00'), 'force'))).toBe(
      'old ends already at 2026-11-21T13:00:00Z',
    )
  })

  it('says what may still be retransmitted', () => {
    const status = statusOf(EXAMPLES.promoted, {
      report: { uses: [use('carrier', 'old', at('11:59:50')), use('carrier', 'new', at('11:59:55'))] },
    })
    expect(planRetire(status, 'old', at('12:00:05'), 'by-evidence')).toMatchObject({
      notes: [
        'what carrier sent with old until 2026-11-21T11:59:50Z may be retransmitted until 2026-11-21T12:00:22Z',
      ],
    })
    expect(planRetire(status, 'old', at('12:00:22'), 'by-evidence')).toMatchObject({ notes: [] })
  })

  it.each([
    ['new', EXAMPLES.promoted, 'new is the key that signs'],
    ['old', EXAMPLES.started, 'old is the key that signs'],
    ['new', EXAMPLES.started, 'new waits to sign'],
    ['nobody', EXAMPLES.promoted, 'group trunk-a has no usable key "nobody"'],
  ])('of %s is refused, force or not', (key, keys, message) => {
    for (const manner of ['by-evidence', 'force'] as const) {
      expect(outcome(keys, planRetire(statusOf(keys, moved), key, at('12:30'), manner))).toBe(message)
    }
  })
})

describe('abort', () => {
  it('before the promotion takes the key out', () => {
    const plan = planAbort(statusOf(EXAMPLES.started), 'by-evidence')
    expect(plan).toMatchObject({ edits: [{ edit: 'remove', key: 'new' }], notes: [] })
    expect(outcome(EXAMPLES.started, plan)).toBe('→ idle')
  })

  it('before the promotion leaves the key verifying where a peer was seen on it', () => {
    const status = statusOf(EXAMPLES.started, { report: { uses: [use('carrier', 'new', at('11:30'))] } })
    expect(outcome(EXAMPLES.started, planAbort(status, 'by-evidence'))).toBe(
      'peer carrier was last seen on new at 2026-11-21T11:30:00Z, and never on another',
    )
    expect(outcome(EXAMPLES.started, planAbort(status, 'force'))).toBe('→ idle')
  })

  it('before the promotion takes the key out once the peer is back', () => {
    const uses = [use('carrier', 'new', at('11:30')), use('carrier', 'old', at('11:30:01'))]
    const status = statusOf(EXAMPLES.started, { report: { uses } })
    expect(outcome(EXAMPLES.started, planAbort(status, 'by-evidence'))).toBe('→ idle')
  })

  it('tells of a peer whose operator has confirmed', () => {
    const [confirmation] = confirmations()
    const plan = planAbort(statusOf(EXAMPLES.started, { confirmations: [confirmation!] }), 'by-evidence')
    expect(plan).toMatchObject({
      ok: true,
      notes: ['carrier was confirmed to hold new: tell its operator not to sign with it'],
    })
  })

  it('of a date ahead holds the key again', () => {
    const plan = planAbort(statusOf(EXAMPLES.scheduled), 'by-evidence')
    expect(plan).toMatchObject({ edits: [{ key: 'new', setting: 'active_from', time: HELD_FROM }] })
    expect(outcome(EXAMPLES.scheduled, plan)).toBe('→ started')
  })

  it('after the promotion holds the key again, and tells which peers have moved', () => {
    const status = statusOf(EXAMPLES.promoted, { report: { uses: [use('carrier', 'new', at('11:30'))] } })
    const plan = planAbort(status, 'by-evidence')
    expect(plan).toMatchObject({
      edits: [{ edit: 'set', key: 'new', setting: 'active_from', time: HELD_FROM }],
      notes: [
        'carrier was seen on new at 2026-11-21T11:30:00Z: it must still hold old; new goes on verifying',
      ],
    })
    expect(outcome(EXAMPLES.promoted, plan)).toBe('→ started')
  })

  it('while the old key runs out takes its end away', () => {
    const plan = planAbort(statusOf(EXAMPLES.retiring), 'by-evidence')
    expect(plan).toMatchObject({
      edits: [
        { edit: 'set', key: 'new', setting: 'active_from' },
        { edit: 'unset', key: 'old', setting: 'expires' },
      ],
      notes: ['the end of old, 2026-11-21T13:00:00Z, is taken away: it signs again'],
    })
    const keys = edited(EXAMPLES.retiring, plan.ok ? plan.edits : [])
    expect([stateAt(keys, NOW), stateAt(keys, at('13:00'))]).toEqual(['started', 'started'])
  })

  it('takes away an end that a held key cannot have', () => {
    const keys = [{ name: 'old' }, { name: 'new', from: at('11:00'), expires: at('18:00') }]
    const plan = planAbort(statusOf(keys), 'by-evidence')
    expect(plan).toMatchObject({ notes: ['the end of new, 2026-11-21T18:00:00Z, is taken away'] })
    expect(outcome(keys, plan)).toBe('→ started')
  })

  it('goes back to the key that signed before, of several', () => {
    const keys = [{ name: 'oldest' }, { name: 'old', from: at('10:00') }, { name: 'new', from: at('11:00') }]
    const plan = planAbort(statusOf(keys), 'by-evidence')
    const ring = ringOf(edited(keys, plan.ok ? plan.edits : []))
    expect(ring.activeKey(GROUP, NOW)?.name).toBe('old')
  })

  it('does not go back to a key that somebody has revoked from later on', () => {
    const keys = [
      { name: 'old', revoked: at('13:00') },
      { name: 'new', from: at('11:00') },
    ]
    expect(outcome(keys, planAbort(statusOf(keys), 'force'))).toBe(
      'old would sign again, and is revoked from 2026-11-21T13:00:00Z',
    )
  })
})

function confirmations() {
  const { fingerprint } = ringOf(EXAMPLES.started).keys(GROUP)[1]!
  return [{ group: GROUP, key: 'new', fingerprint, peer: 'carrier', at: NOW, by: 'ann' }]
}
