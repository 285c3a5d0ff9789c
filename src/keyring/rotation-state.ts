/**
 * Where a group stands in its rotation. It follows from the keyring and the time alone, so whatever a crash leaves has
 * a name. docs/rotation.md has the table of states and commands.
 * @module
 */
import type { Key } from './key.ts'
import { foldGroup, type Keyring } from './keyring.ts'
import { signingKey } from './state.ts'

/** `active_from` of a key that is held: it verifies and waits to be promoted. The last second that TOML can write. */
export const HELD_FROM: Date = Object.freeze(new Date('9999-12-31T23:59:59Z'))

/** Every state, those first that a guided rotation goes through. */
export const ROTATION_STATES = [
  'idle',
  'started',
  'scheduled',
  'promoted',
  'retiring',
  'unsigned',
  'crowded',
  'empty',
] as const

/**
 * `idle` one key signs and no other verifies; `started` a held key beside it; `scheduled` the new key has its time to
 * sign ahead; `promoted` an older key verifies beside the one that signs; `retiring` every older key has its end ahead.
 * By hand, or where a key ran out: `unsigned` no key signs and one waits to; `crowded` several wait to sign; `empty` no
 * key is usable.
 */
export type RotationState = (typeof ROTATION_STATES)[number]

/** A group at one time. */
export interface RotationPosition {
  readonly state: RotationState
  /** The group's id as the keyring writes it. */
  readonly group: string
  /** The key that signs. */
  readonly active: Key | undefined
  /** Keys that verify and do not sign yet, held or with a time to sign ahead, in listed order. */
  readonly waiting: readonly Key[]
  /** Keys that verify and sign no more, in listed order. */
  readonly overlapping: readonly Key[]
  /** The one of them that signs again where the active key is taken back. */
  readonly previous: Key | undefined
}

/** Says where a group stands. A group that the keyring does not have is `empty`. */
export function rotationPosition(keyring: Keyring, group: string, now: Date): RotationPosition {
  const inState = (state: string): readonly Key[] =>
    keyring.keys(group).filter(({ name }) => keyring.keyState({ group, name }, now) === state)
  const overlapping = inState('overlapping')
  const keys = {
    group: keyring.groups.find((id) => foldGroup(id) === foldGroup(group)) ?? group,
    active: keyring.activeKey(group, now),
    waiting: inState('pending'),
    overlapping,
    previous: signingKey(overlapping, now, 0),
  }
  return { ...keys, state: stateOf(keys) }
}

/** Whether a key waits without a date. */
export function isHeld(key: Key): boolean {
  return key.activeFrom !== undefined && key.activeFrom >= HELD_FROM
}

function stateOf({ active, waiting, overlapping }: Omit<RotationPosition, 'state'>): RotationState {
  const [first, second] = waiting
  if (second !== undefined) return 'crowded'
  if (active === undefined) return first === undefined ? 'empty' : 'unsigned'
  if (first !== undefined) return isHeld(first) ? 'started' : 'scheduled'
  if (overlapping.length === 0) return 'idle'
  // One that is revoked at a later time ends as one that expires.
  return overlapping.every((key) => (key.expires ?? key.revoked) !== undefined) ? 'retiring' : 'promoted'
}
