/**
 * What the reports of the own nodes prove about nodes and peers. What they do not prove is unknown, never taken for
 * "no": a step of a rotation waits for it.
 * @module
 */
import type { NodeReport } from './evidence.ts'
import { foldGroup } from './keyring.ts'
import type { RotationPosition } from './rotation-state.ts'
import { MAX_SKEW_MS } from './state.ts'

/** A node whose report is older tells nothing of now, milliseconds. */
export const SILENT_AFTER_MS = 30_000

/** Which piece of evidence a step lacks; `state` is no evidence: the step does not fit, and force does not help. */
export type MissingKind =
  | 'state'
  | 'node-missing'
  | 'node-silent'
  | 'node-lacks-key'
  | 'node-behind'
  | 'peer-unknown'
  | 'peer-silent'
  | 'peer-on-old'
  | 'evidence-lost'

/** One reason why a step is not safe, and what would make it so. */
export interface Missing {
  readonly kind: MissingKind
  readonly node?: string
  readonly peer?: string
  readonly message: string
  readonly remedy: string
}

/** One own node. */
export interface NodeView {
  readonly node: string
  /** `current` it holds the keyring as it is; `behind` another one; `silent` its report is too old; `missing` it has none. */
  readonly status: 'current' | 'behind' | 'silent' | 'missing'
  readonly reported: Date | undefined
  /** Its last report says that it was stopped. */
  readonly stopped: Date | undefined
  /** Names of the group's usable keys that it held when it reported. */
  readonly holds: readonly string[]
}

/** When a peer was seen on a key, by which node. */
export interface Sighting {
  readonly node: string
  readonly at: Date
}

/** The reports of a group, and what to look for in them. */
export interface RotationEvidence {
  readonly position: RotationPosition
  readonly now: Date
  /** The keyring's own fingerprint of the group, as nodes report theirs. */
  readonly fingerprint: string | undefined
  readonly nodes: readonly string[]
  readonly reports: ReadonlyMap<string, NodeReport>
}

/** A time for people: to the second where it has no fraction. */
export function isoOf(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z')
}

/** Looks at one node. */
export function viewNode(evidence: RotationEvidence, node: string): NodeView {
  const { position, now, fingerprint } = evidence
  const report = evidence.reports.get(node)
  if (report === undefined)
    return { node, status: 'missing', reported: undefined, stopped: undefined, holds: [] }
  const { active, waiting, overlapping } = position
  const names = [...overlapping, ...(active ? [active] : []), ...waiting]
    .filter((key) => holds(evidence, node, key.fingerprint))
    .map(({ name }) => name)
  // A report from the future comes from a node whose clock is off: its times cannot be compared.
  const silent = Math.abs(now.getTime() - report.at.getTime()) > SILENT_AFTER_MS
  const theirs = report.groups.find(({ group }) => sameGroup(group, position.group))?.fingerprint
  const status = silent ? 'silent' : theirs === fingerprint ? 'current' : 'behind'
  return { node, status, reported: report.at, stopped: report.stopped, holds: names }
}

/**
 * What is missing where a node cannot be asked; nothing where it can.
 * @param isShared it tells of itself through a shared store
 */
export function missingNode(
  { node, status, reported, stopped }: NodeView,
  isShared: boolean,
): readonly Missing[] {
  const farewell = isShared ? `xkeys fleet forget ${node}` : 'remove its report'
  if (status === 'missing') {
    return [
      {
        kind: 'node-missing',
        node,
        message: `node ${node} has never reported`,
        remedy: isShared
          ? `see that it runs, as what it told cannot be read; where it is gone for good, ${farewell}`
          : 'start it with this state directory; its first report comes within seconds',
      },
    ]
  }
  if (status === 'silent') {
    return [
      {
        kind: 'node-silent',
        node,
        message:
          stopped === undefined
            ? `node ${node} is silent: its report is of ${isoOf(reported!)}, so what it does now is unknown`
            : `node ${node} was stopped at ${isoOf(stopped)}: with which keyring it comes back is unknown`,
        remedy: `see that it runs and that its clock is right; where it is gone for good, ${farewell}`,
      },
    ]
  }
  return []
}

/** Whether the node's report lists a key. */
export function holds({ position, reports }: RotationEvidence, node: string, fingerprint: string): boolean {
  return reports.get(node)?.keys.some((key) => fits(key, position.group, fingerprint)) ?? false
}

/** The latest time at which each node saw the peer on a key. */
export function sightings(
  evidence: RotationEvidence,
  peer: string,
  fingerprint: string,
): readonly Sighting[] {
  return evidence.nodes.flatMap((node) => {
    const uses = evidence.reports.get(node)?.uses ?? []
    const times = uses
      .filter((use) => use.peer === peer && fits(use, evidence.position.group, fingerprint))
      .flatMap(({ lastVerified }) => (lastVerified === undefined ? [] : [lastVerified.getTime()]))
    return times.length === 0 ? [] : [{ node, at: new Date(Math.max(...times)) }]
  })
}

/** The latest of several sightings. */
export function latest(all: readonly Sighting[]): Sighting | undefined {
  return all.reduce<Sighting | undefined>(
    (best, one) => (best === undefined || one.at > best.at ? one : best),
    undefined,
  )
}

/**
 * Since when a node's evidence about a key is complete, where that matters: `undefined` where it has been so since the
 * key came to that node. A node without a report knows nothing; it is told of elsewhere.
 */
export function gapOf(
  { position, reports }: RotationEvidence,
  node: string,
  fingerprint: string,
): Date | undefined {
  const report = reports.get(node)
  const came = report?.keys.find((key) => fits(key, position.group, fingerprint))?.since
  return report === undefined || (came !== undefined && report.since <= came) ? undefined : report.since
}

/**
 * Whether `one` lies surely behind `bound`. Times of one node are compared as they are, those of two allow for clocks
 * that differ by as much as clocks may.
 */
export function isBehind(one: Sighting, bound: Sighting): boolean {
  const skew = one.node === bound.node ? 0 : MAX_SKEW_MS
  return one.at.getTime() > bound.at.getTime() + skew
}

function fits(
  entry: { readonly group: string; readonly fingerprint: string },
  group: string,
  fingerprint: string,
): boolean {
  return entry.fingerprint === fingerprint && sameGroup(entry.group, group)
}

function sameGroup(a: string, b: string): boolean {
  return foldGroup(a) === foldGroup(b)
}
