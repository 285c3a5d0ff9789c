/**
 * What each step of a rotation needs of the evidence: one reason for every piece that is missing.
 * @module
 */
import type { Key } from './key.ts'
import {
  gapOf,
  holds,
  isBehind,
  isoOf,
  latest,
  sightings,
  type Missing,
  type NodeView,
  type RotationEvidence,
  type Sighting,
} from './rotation-evidence.ts'

/**
 * The new key begins to sign: every own node holds it, or a node would refuse what another's peer answers; and each
 * peer holds it, which it has shown by signing with it, or its operator has confirmed.
 */
export function missingForPromote(
  evidence: RotationEvidence,
  nodes: readonly NodeView[],
  key: Key,
  peers: readonly string[],
  isConfirmed: (peer: string) => boolean,
): readonly Missing[] {
  const { group } = evidence.position
  const lacking = nodes
    .filter(({ node, reported }) => reported !== undefined && !holds(evidence, node, key.fingerprint))
    .map(({ node }): Missing => ({
      kind: 'node-lacks-key',
      node,
      message: `node ${node} does not hold ${key.name}`,
      remedy: 'bring the keyring to it; a running edge reads it by itself',
    }))
  const unknown = peers
    .filter((peer) => sightings(evidence, peer, key.fingerprint).length === 0 && !isConfirmed(peer))
    .map((peer): Missing => ({
      kind: 'peer-unknown',
      peer,
      message: `peer ${peer} is not known to hold ${key.name}: nothing signed with it came from there`,
      remedy: `a message of ${peer} signed with it; or, when its operator says so, xkeys rotate confirm ${peer} --group ${group}`,
    }))
  return [...lacking, ...unknown]
}

/**
 * An older key ends: every node works with this keyring, so none signs with the old key any more; and each peer was
 * seen on a newer key after every use of the old one that there was, or that there may have been.
 */
export function missingForRetire(
  evidence: RotationEvidence,
  nodes: readonly NodeView[],
  key: Key,
  newer: readonly Key[],
  peers: readonly string[],
): readonly Missing[] {
  const behind = nodes
    .filter(({ status }) => status === 'behind')
    .map(({ node }): Missing => ({
      kind: 'node-behind',
      node,
      message: `node ${node} holds another keyring than this: it may still sign with ${key.name}`,
      remedy: 'bring this keyring to it, and look why it was not read',
    }))
  const gaps = evidence.nodes.flatMap((node): readonly Sighting[] => {
    const since = evidence.reports.get(node)?.since
    return since === undefined ? [] : [{ node, at: since }]
  })
  const moved = peers.flatMap((peer) => missingMove(evidence, peer, key, newer, gaps))
  return [...behind, ...moved]
}

/**
 * A held key goes again: no peer was ever seen on it, and the evidence is complete since it came; or the peer was seen
 * on another key since.
 */
export function missingForAbort(
  evidence: RotationEvidence,
  key: Key,
  others: readonly Key[],
  peers: readonly string[],
): readonly Missing[] {
  const gaps = evidence.nodes.flatMap((node): readonly Sighting[] => {
    const since = gapOf(evidence, node, key.fingerprint)
    return since === undefined ? [] : [{ node, at: since }]
  })
  return peers.flatMap((peer) => {
    const unused = gaps.length === 0 && sightings(evidence, peer, key.fingerprint).length === 0
    return unused ? [] : missingMove(evidence, peer, key, others, gaps)
  })
}

/** Why a peer is not known to have left `key` for one of `others`; nothing where it has. */
function missingMove(
  evidence: RotationEvidence,
  peer: string,
  key: Key,
  others: readonly Key[],
  gaps: readonly Sighting[],
): readonly Missing[] {
  const uses = sightings(evidence, peer, key.fingerprint)
  const moves = others.flatMap((other) => sightings(evidence, peer, other.fingerprint))
  const names = others.map(({ name }) => name).join(' or ')
  const remedy = `a message of ${peer} signed with ${names}`
  const used = latest(uses)
  const move = latest(moves)
  if (move === undefined && used === undefined) {
    const message = `peer ${peer} is silent: nothing signed came from there, so which key it uses is unknown`
    return [{ kind: 'peer-silent', peer, message, remedy }]
  }
  if (used !== undefined && !moves.some((one) => uses.every((use) => isBehind(one, use)))) {
    const then = move === undefined ? 'never on another' : `on another at ${isoOf(move.at)}`
    const message = `peer ${peer} was last seen on ${key.name} at ${isoOf(used.at)}, and ${then}`
    return [{ kind: 'peer-on-old', peer, message, remedy: `${remedy}, later than that` }]
  }
  const bounds = [...uses, ...gaps]
  if (moves.some((one) => bounds.every((bound) => isBehind(one, bound)))) return []
  const gap = latest(gaps)!
  const message = `what ${peer} used before ${isoOf(gap.at)} is unknown: the evidence of node ${gap.node} begins there`
  return [{ kind: 'evidence-lost', peer, node: gap.node, message, remedy: `${remedy}, later than that` }]
}
