/**
 * The recorder of evidence: cells for the hot path, times put to them by the sampler, reports.
 * @module
 */
import type { Evidence, EvidenceOptions, HeldKey, KeyUse, NodeReport, UseCell, UseRef } from './evidence.ts'
import { describeKeyring } from './facts.ts'
import { foldGroup } from './keyring.ts'
import { createSeenTokens } from './seen-tokens.ts'

/** How far the clock may go back without a doubt about the order of what was seen, milliseconds. */
const TOLERATED_MS = 5_000

/** One cell with its times, epoch milliseconds, and what it held at the last sample. */
interface Row extends UseRef {
  readonly cell: UseCell
  verified: number
  signed: number
  firstVerified: number | undefined
  lastVerified: number | undefined
  lastSigned: number | undefined
}

/**
 * Begins the evidence of a node, with what an earlier run left.
 *
 * - After an orderly end it goes on as if nothing had been between: nothing was. After any other end some of the last
 *   uses may be lost, so `since` is now; the times that are known stay.
 * - Times never go back. A clock that steps backwards by more than 5 seconds leaves the order of earlier and later uses
 *   open: times ahead of it are dropped, and `since` is now.
 */
export function createEvidence(options: EvidenceOptions): Evidence {
  const { node, earlier } = options
  const peers = new Set(options.peers)
  const rows = new Map<string, Row>()
  const seen = createSeenTokens()
  let held: readonly HeldKey[] = earlier?.keys ?? []
  let groups: NodeReport['groups'] = []
  let revision: number | undefined
  let last = earlier?.at.getTime() ?? -Infinity
  let since = earlier?.stopped === undefined ? options.now.getTime() : earlier.since.getTime()

  const rowOf = ({ group, fingerprint, peer }: UseRef): Row => {
    const id = rowId(group, fingerprint, peer)
    let row = rows.get(id)
    if (row === undefined) {
      const cell = { verified: 0, signed: 0 }
      const times = { firstVerified: undefined, lastVerified: undefined, lastSigned: undefined }
      row = { group, fingerprint, peer, cell, verified: 0, signed: 0, ...times }
      rows.set(id, row)
    }
    return row
  }
  for (const use of earlier?.uses ?? []) {
    if (!peers.has(use.peer)) continue
    const row = rowOf(use)
    row.firstVerified = use.firstVerified?.getTime()
    row.lastVerified = use.lastVerified?.getTime()
    row.lastSigned = use.lastSigned?.getTime()
  }
  tick(options.now)

  /** The time that is put to what is seen now. */
  function tick(now: Date): number {
    const wall = now.getTime()
    if (wall < last - TOLERATED_MS) {
      since = last = wall
      for (const row of rows.values()) {
        row.firstVerified = upTo(wall, row.firstVerified)
        row.lastVerified = upTo(wall, row.lastVerified)
        row.lastSigned = upTo(wall, row.lastSigned)
      }
    }
    // A date that is none compares with nothing and leaves the last time standing.
    if (wall > last) last = wall
    return last
  }

  function sample(now: Date): 'first-use' | 'used' | 'unused' {
    const time = tick(now)
    seen.age(time)
    let found: 'first-use' | 'used' | 'unused' = 'unused'
    for (const row of rows.values()) {
      const { verified, signed } = row.cell
      if (verified === row.verified && signed === row.signed) continue
      if (found === 'unused') found = 'used'
      if (verified !== row.verified) {
        row.verified = verified
        if (row.firstVerified === undefined) found = 'first-use'
        row.firstVerified ??= time
        row.lastVerified = time
      }
      if (signed !== row.signed) {
        row.signed = signed
        if (row.lastSigned === undefined) found = 'first-use'
        row.lastSigned = time
      }
    }
    return found
  }

  return {
    seen,
    cell: (use) => rowOf(use).cell,
    sample,
    adopt(keyring, now) {
      // What the keys that go now did is counted before they go.
      sample(now)
      const before = new Map(held.map((key) => [keyId(key.group, key.fingerprint), key.since.getTime()]))
      held = keyring.groups.flatMap((group) =>
        keyring.keys(group).map(({ name, fingerprint }) => {
          const from = Math.min(before.get(keyId(group, fingerprint)) ?? last, last)
          return { group, key: name, fingerprint, since: new Date(from) }
        }),
      )
      const kept = new Set(held.map((key) => keyId(key.group, key.fingerprint)))
      for (const [id, { group, fingerprint }] of rows)
        if (!kept.has(keyId(group, fingerprint))) rows.delete(id)
      groups = describeKeyring(keyring, now).groups.map(({ group, fingerprint }) => ({ group, fingerprint }))
      revision = keyring.revision
    },
    report(now, end) {
      sample(now)
      const at = new Date(last)
      const byKey = new Map<string, Row[]>()
      for (const row of rows.values()) {
        // Only made ready: it says nothing.
        if (row.lastVerified === undefined && row.lastSigned === undefined) continue
        const id = keyId(row.group, row.fingerprint)
        const known = byKey.get(id)
        if (known === undefined) byKey.set(id, [row])
        else known.push(row)
      }
      return {
        node,
        at,
        since: new Date(since),
        ...(end === 'stopped' && { stopped: at }),
        keys: held,
        groups,
        uses: held.flatMap((key) =>
          (byKey.get(keyId(key.group, key.fingerprint)) ?? []).map((row) => useOf(key, row)),
        ),
        ...(revision !== undefined && { revision }),
      }
    },
    lose(now) {
      since = Math.max(tick(now), since)
    },
  }
}

function useOf({ group, key, fingerprint }: HeldKey, row: Row): KeyUse {
  const { peer, firstVerified, lastVerified, lastSigned } = row
  return {
    group,
    key,
    fingerprint,
    peer,
    ...(firstVerified !== undefined && { firstVerified: new Date(firstVerified) }),
    ...(lastVerified !== undefined && { lastVerified: new Date(lastVerified) }),
    ...(lastSigned !== undefined && { lastSigned: new Date(lastSigned) }),
  }
}

function rowId(group: string, fingerprint: string, peer: string): string {
  return `${peer}\0${keyId(group, fingerprint)}`
}

function keyId(group: string, fingerprint: string): string {
  return `${fingerprint}\0${foldGroup(group)}`
}

function upTo(limit: number, time: number | undefined): number | undefined {
  return time === undefined || time > limit ? undefined : time
}
