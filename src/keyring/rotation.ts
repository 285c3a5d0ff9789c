/**
 * A guided rotation: where a group stands, what each step needs, and what of it is missing. Pure: keyring, reports of
 * the nodes and confirmations in, one status out.
 * @module
 */
import type { NodeReport } from './evidence.ts'
import { describeKeyring } from './facts.ts'
import type { Key } from './key.ts'
import { foldGroup, type Keyring } from './keyring.ts'
import {
  latest,
  missingNode,
  sightings,
  viewNode,
  type Missing,
  type NodeView,
  type RotationEvidence,
  type Sighting,
} from './rotation-evidence.ts'
import { missingForAbort, missingForPromote, missingForRetire } from './rotation-needs.ts'
import { misfit } from './rotation-fit.ts'
import { isHeld, rotationPosition, type RotationPosition } from './rotation-state.ts'
import { startOf, type KeyState } from './state.ts'

/** What an operator has vouched for: that a peer holds a key. */
export interface Confirmation {
  readonly group: string
  readonly key: string
  /** Bound to the secret: a key of the same name with another one is not confirmed. */
  readonly fingerprint: string
  readonly peer: string
  readonly at: Date
  /** Who said so. */
  readonly by: string
}

/** What a status is made of. */
export interface RotationFacts {
  readonly keyring: Keyring
  readonly group: string
  readonly now: Date
  /** Names of the trunks of this group. */
  readonly peers: readonly string[]
  readonly reports: readonly NodeReport[]
  /** Own nodes, whether or not they have reported. */
  readonly expectedNodes: readonly string[]
  /** Those of them that tell of themselves through a shared store. */
  readonly sharingNodes?: ReadonlySet<string>
  readonly confirmations: readonly Confirmation[]
}

/** Whether a step may be taken, and if not, what it lacks. */
export interface Step {
  readonly safe: boolean
  readonly missing: readonly Missing[]
}

/** A usable key of the group. */
export interface RotationKey {
  readonly key: string
  readonly fingerprint: string
  /** `held`: pending, and without a date. */
  readonly state: KeyState | 'held'
  readonly activeFrom: Date | undefined
  readonly ends: Date | undefined
}

/** What is known of a peer. */
export interface PeerView {
  readonly peer: string
  /** When it was last seen on each usable key. */
  readonly seen: readonly (Sighting & { readonly key: string })[]
  /** That it holds the key which waits to sign. */
  readonly confirmed: Confirmation | undefined
}

/** A group, at a time. */
export interface RotationStatus extends RotationPosition {
  readonly now: Date
  readonly keys: readonly RotationKey[]
  readonly nodes: readonly NodeView[]
  readonly peers: readonly PeerView[]
  /** Letting the waiting key sign. */
  readonly promote: Step
  /** Ending an older key, for each of them. */
  readonly retire: readonly (Step & { readonly key: string })[]
  /** Taking the waiting key out, before anybody has signed with it. */
  readonly abort: Step
}

/** Describes a group. Reads nothing but its argument; the same facts give the same status. */
export function describeRotation(facts: RotationFacts): RotationStatus {
  const { keyring, now } = facts
  const position = rotationPosition(keyring, facts.group, now)
  const { group, active, waiting, overlapping } = position
  const reports = new Map(facts.reports.map((report) => [report.node, report]))
  const evidence: RotationEvidence = {
    position,
    now,
    fingerprint: describeKeyring(keyring, now).groups.find((fact) => fact.group === group)?.fingerprint,
    nodes: [...new Set([...facts.expectedNodes, ...reports.keys()])],
    reports,
  }
  const nodes = evidence.nodes.map((node) => viewNode(evidence, node))
  const usable = keyring
    .keys(group)
    .filter((key) => key === active || waiting.includes(key) || overlapping.includes(key))
  const [candidate] = waiting
  const confirmed = (peer: string): Confirmation | undefined =>
    candidate && facts.confirmations.find((entry) => confirms(entry, group, candidate, peer))
  const peers = facts.peers.map((peer) => ({
    peer,
    seen: usable.flatMap((key) => {
      const sighting = latest(sightings(evidence, peer, key.fingerprint))
      return sighting === undefined ? [] : [{ key: key.name, ...sighting }]
    }),
    confirmed: confirmed(peer),
  }))
  const silent = nodes.flatMap((view) => missingNode(view, facts.sharingNodes?.has(view.node) ?? false))
  const names = facts.peers
  return {
    ...position,
    now,
    keys: usable.map((key) => ({
      key: key.name,
      fingerprint: key.fingerprint,
      state: isHeld(key) ? 'held' : keyring.keyState({ group, name: key.name }, now)!,
      activeFrom: key.activeFrom,
      ends: key.expires ?? key.revoked,
    })),
    nodes,
    peers,
    promote: step(
      misfit(position, 'promote') ?? [
        ...silent,
        ...missingForPromote(evidence, nodes, candidate!, names, (peer) => confirmed(peer) !== undefined),
      ],
    ),
    retire: overlapping.map((key) => ({
      key: key.name,
      ...step([...silent, ...missingForRetire(evidence, nodes, key, newerThan(key, usable), names)]),
    })),
    abort: step(misfit(position, 'abort') ?? (position.state === 'started' ? abortOf() : [])),
  }

  function abortOf(): readonly Missing[] {
    const others = usable.filter((key) => key !== candidate)
    return [...silent, ...missingForAbort(evidence, candidate!, others, names)]
  }
}

/** Puts the reasons of a step together. */
function step(missing: readonly Missing[]): Step {
  return { safe: missing.length === 0, missing }
}

/** Whether a confirmation is about this very key and peer. */
function confirms(entry: Confirmation, group: string, key: Key, peer: string): boolean {
  return (
    entry.peer === peer &&
    entry.fingerprint === key.fingerprint &&
    foldGroup(entry.group) === foldGroup(group)
  )
}

/** The usable keys that sign before `key` does. */
function newerThan(key: Key, usable: readonly Key[]): readonly Key[] {
  return usable.filter((other, i) => {
    const later = startOf(other) - startOf(key)
    // Without a start on either side the difference is no number: as listed.
    return later > 0 || (!(later < 0) && i > usable.indexOf(key))
  })
}
