/**
 * The nodes that share a keyring, as their heartbeats show them: who has the keyring that is stored, who does not, and
 * why. What is not known counts as "no".
 * @module
 */
import { createHash } from 'node:crypto'
import { describeKeyring } from './facts.ts'
import type { FoundHeartbeat } from './keyring-store.ts'
import type { Keyring } from './keyring.ts'
import { MAX_SKEW_MS } from './state.ts'

/** A node is live while its last heartbeat is younger, milliseconds: four in a row may be lost. */
export const LIVE_MS = 10_000

/**
 * `current`: it has what is stored. `behind`: it has something else. `refusing`: it says why it does not use what is
 * stored. `silent`: nothing was heard of it, or nothing that can be read, so what it does is unknown.
 */
export type FleetStatus = 'current' | 'behind' | 'silent' | 'refusing'

/** Every status, in the order in which they are told. */
export const FLEET_STATUSES: readonly FleetStatus[] = ['current', 'behind', 'silent', 'refusing']

/** One node. What its heartbeat does not say, or where it cannot be read, is absent. */
export interface FleetNode {
  readonly node: string
  readonly status: FleetStatus
  /** Of the keyring in force there. */
  readonly revision?: number
  /** Fingerprint of the keyring in force there. */
  readonly keyring?: string
  /** How long ago it was heard of, milliseconds. */
  readonly age?: number
  /** How far its clock is ahead of the store's, milliseconds. */
  readonly ahead?: number
  /** Of the program. */
  readonly version?: string
  /** Why it does not use what is stored. */
  readonly refuses?: string
  /** It ended in order, then. */
  readonly stopped?: Date
}

/** The keyring that nodes should have; without `keyring` any that all of that revision agree on. */
export interface WantedKeyring {
  readonly revision: number
  readonly keyring?: string
}

/** What a store gives of its nodes. */
export type FoundHeartbeats = ReadonlyMap<string, FoundHeartbeat | 'damaged'>

/**
 * 8 hex digits over the groups of a keyring with names, fingerprints and times of their keys: equal on nodes that hold
 * the same, whatever it was sealed with.
 */
export function keyringFingerprint(keyring: Keyring): string {
  const hash = createHash('sha256').update('xkeys keyring fingerprint\0')
  // What is told of groups does not depend on the time.
  for (const { group, fingerprint } of describeKeyring(keyring, new Date(0)).groups)
    hash.update(`${group}\0${fingerprint}\0`)
  return hash.digest('hex').slice(0, 8)
}

/**
 * Looks at every node, by name.
 * @param wanted `unknown`, where the store has no keyring: then the highest revision that a node has in force
 */
export function viewFleet(found: FoundHeartbeats, wanted: WantedKeyring | 'unknown'): readonly FleetNode[] {
  const beats = [...found.values()].filter((beat) => beat !== 'damaged')
  const revision = wanted === 'unknown' ? highestRevision(found) : wanted.revision
  const keyring = (wanted === 'unknown' ? undefined : wanted.keyring) ?? mostHeld(beats, revision)
  return Array.from(found, ([node, beat]): FleetNode => {
    if (beat === 'damaged') return { node, status: 'silent' }
    const { report, age, ahead, version, refuses } = beat
    const holds = (report.revision ?? 0) === revision && beat.keyring === keyring
    const isSilent = age >= LIVE_MS || report.stopped !== undefined
    return {
      node,
      status: isSilent ? 'silent' : refuses !== undefined ? 'refusing' : holds ? 'current' : 'behind',
      keyring: beat.keyring,
      age,
      ahead,
      version,
      ...(report.revision !== undefined && { revision: report.revision }),
      ...(refuses !== undefined && { refuses }),
      ...(report.stopped !== undefined && { stopped: report.stopped }),
    }
  }).toSorted((a, b) => (a.node < b.node ? -1 : 1))
}

/** The highest revision that any node has in force; 0 where none tells one. */
export function highestRevision(found: FoundHeartbeats): number {
  return Math.max(
    0,
    ...Array.from(found.values(), (beat) => (beat === 'damaged' ? 0 : (beat.report.revision ?? 0))),
  )
}

/** How many nodes there are of each status. */
export function countFleet(nodes: readonly FleetNode[]): ReadonlyMap<FleetStatus, number> {
  return new Map(
    FLEET_STATUSES.map((status) => [status, nodes.filter((node) => node.status === status).length]),
  )
}

/**
 * How far a clock that shows `now` is ahead of the store's, milliseconds; 0 where no heartbeat tells.
 * @param found what the store gave just now
 */
export function aheadOfStore(found: FoundHeartbeats, now: number): number {
  const asked = [...found.values()].flatMap((beat) =>
    beat === 'damaged' ? [] : [beat.report.at.getTime() - beat.ahead + beat.age],
  )
  return asked.length === 0 ? 0 : now - Math.min(...asked)
}

/** Whether a node's clock is farther off the store's than clocks may be. */
export function isClockOff({ ahead = 0 }: Pick<FleetNode, 'ahead'>): boolean {
  return Math.abs(ahead) > MAX_SKEW_MS
}

/** The fingerprint that most nodes of a revision hold. */
function mostHeld(beats: readonly FoundHeartbeat[], revision: number): string | undefined {
  const held = new Map<string, number>()
  for (const { keyring, report } of beats) {
    if (report.revision === revision) held.set(keyring, (held.get(keyring) ?? 0) + 1)
  }
  return [...held].toSorted(([, a], [, b]) => b - a)[0]?.[0]
}
