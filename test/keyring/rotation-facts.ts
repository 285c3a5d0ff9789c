/**
 * Groups in every state of a rotation, and reports about them.
 */
import type { KeyUse, NodeReport } from '../../src/keyring/evidence.ts'
import { describeKeyring } from '../../src/keyring/facts.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import type { RotationEdit } from '../../src/keyring/rotation-plan.ts'
import { HELD_FROM, type RotationState } from '../../src/keyring/rotation-state.ts'
import { describeRotation, type RotationFacts, type RotationStatus } from '../../src/keyring/rotation.ts'

export const GROUP = 'trunk-a'

/** A time of the day, `11:59:55`. */
export const at = (time: string): Date => new Date(`2026-11-21T${time.length === 5 ? `${time}:00` : time}Z`)

export const NOW = at('12:00')

/** One key: its times as they would be written. */
export interface KeySpec {
  readonly name: string
  readonly from?: Date | undefined
  readonly expires?: Date | undefined
  readonly revoked?: Date | undefined
}

export const held = (name: string): KeySpec => ({ name, from: HELD_FROM })

export function ringOf(keys: readonly KeySpec[], group = GROUP): Keyring {
  const made = keys.map(({ name, from, expires, revoked }) =>
    createKey({ name, secret: `secret of ${name}`, activeFrom: from, expires, revoked }),
  )
  return createKeyring([[group, made]])
}

export const fingerprintOf = (name: string): string =>
  createKey({ name, secret: `secret of ${name}` }).fingerprint

/** An example of every state at `NOW`. */
export const EXAMPLES: Readonly<Record<RotationState, readonly KeySpec[]>> = {
  idle: [{ name: 'old' }],
  started: [{ name: 'old' }, held('new')],
  scheduled: [{ name: 'old' }, { name: 'new', from: at('13:00') }],
  promoted: [{ name: 'old' }, { name: 'new', from: at('11:00') }],
  retiring: [
    { name: 'old', expires: at('13:00') },
    { name: 'new', from: at('11:00') },
  ],
  unsigned: [{ name: 'old', expires: at('11:00') }, held('new')],
  crowded: [{ name: 'old' }, held('new'), held('other')],
  empty: [{ name: 'old', expires: at('11:00') }],
}

/** A use, `peer` on `key` last at a time. */
export const use = (peer: string, key: string, last: Date): KeyUse => ({
  group: GROUP,
  key,
  fingerprint: fingerprintOf(key),
  peer,
  firstVerified: last,
  lastVerified: last,
})

/** A fresh report of a node that holds the whole keyring and knows all since the morning. */
export function reportOf(keyring: Keyring, more: Partial<NodeReport> = {}): NodeReport {
  return {
    node: 'n1',
    at: NOW,
    since: at('08:00'),
    keys: keyring
      .keys(GROUP)
      .map(({ name, fingerprint }) => ({ group: GROUP, key: name, fingerprint, since: at('09:00') })),
    groups: describeKeyring(keyring, NOW).groups,
    uses: [],
    ...more,
  }
}

/** The status of a group with one peer and one node, but for what differs. */
export function statusOf(
  keys: readonly KeySpec[],
  more: Partial<RotationFacts> & { readonly report?: Partial<NodeReport> } = {},
): RotationStatus {
  const keyring = ringOf(keys)
  const { report, ...facts } = more
  return describeRotation({
    keyring,
    group: GROUP,
    now: NOW,
    peers: ['carrier'],
    reports: [reportOf(keyring, report)],
    expectedNodes: ['n1'],
    confirmations: [],
    ...facts,
  })
}

/** The keys behind the edits. */
export function edited(keys: readonly KeySpec[], edits: readonly RotationEdit[]): readonly KeySpec[] {
  return edits.reduce<readonly KeySpec[]>((before, edit) => {
    if (edit.edit === 'add') return [...before, { name: edit.key, from: edit.activeFrom }]
    if (!before.some(({ name }) => name === edit.key)) throw new Error(`there is no key ${edit.key}`)
    if (edit.edit === 'remove') return before.filter(({ name }) => name !== edit.key)
    const setting = edit.setting === 'active_from' ? 'from' : 'expires'
    const time = edit.edit === 'set' ? edit.time : undefined
    return before.map((key) => (key.name === edit.key ? { ...key, [setting]: time } : key))
  }, keys)
}
