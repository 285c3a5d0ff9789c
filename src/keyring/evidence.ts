/**
 * Evidence of which key is in use: per key and peer, when it last verified a message and when it last signed one. The
 * hot path adds to plain integers; once a second the sampler looks which of them moved and puts the time to them, so a
 * time is right to a second. What was lost is unknown, never unused: `since` says from when on nothing is missing.
 * @module
 */
import type { Keyring } from './keyring.ts'
import type { SeenTokens } from './seen-tokens.ts'

/** What one key did with one peer. A time that is absent: not seen since the evidence begins. */
export interface KeyUse {
  readonly group: string
  readonly key: string
  readonly fingerprint: string
  /** Name of the trunk. */
  readonly peer: string
  /** When it first verified a message of the peer. */
  readonly firstVerified?: Date
  readonly lastVerified?: Date
  readonly lastSigned?: Date
}

/** A key that a node holds. */
export interface HeldKey {
  readonly group: string
  readonly key: string
  readonly fingerprint: string
  /** Since when. */
  readonly since: Date
}

/** What a node tells of itself. */
export interface NodeReport {
  readonly node: string
  /** When it was written. */
  readonly at: Date
  /** From then on the evidence is complete. */
  readonly since: Date
  /** Set in the last report of an orderly end: nothing was verified or signed from then on. */
  readonly stopped?: Date
  /** Every key of the keyring in force, ended ones too. */
  readonly keys: readonly HeldKey[]
  readonly groups: readonly { readonly group: string; readonly fingerprint: string }[]
  readonly uses: readonly KeyUse[]
  /** Of a sealed keyring. */
  readonly revision?: number
}

/** What the hot path adds to. */
export interface UseCell {
  verified: number
  signed: number
}

/** Which key and peer a cell belongs to. */
export interface UseRef {
  readonly group: string
  readonly fingerprint: string
  readonly peer: string
}

/** Keeps the evidence of one node. */
export interface Evidence {
  /** The cell of a key and a peer; made the first time. Held by whoever counts, until the keyring changes. */
  cell(use: UseRef): UseCell
  /** Accepted tokens that were counted: what was seen before is not counted again. */
  readonly seen: SeenTokens
  /** Puts `now` to the cells that moved since the last call. Called once a second. Says whether a key is new to a peer. */
  sample(now: Date): 'first-use' | 'used' | 'unused'
  /** A keyring came into force: what is not in it any more is dropped. */
  adopt(keyring: Keyring, now: Date): void
  /** What is known at `now`, after sampling. `end`: `stopped` where nothing follows. */
  report(now: Date, end?: 'stopped'): NodeReport
  /** What was kept may lack something: the evidence is complete from `now` on, not before. */
  lose(now: Date): void
}

/** What evidence begins with. */
export interface EvidenceOptions {
  readonly node: string
  readonly now: Date
  /** Names of the trunks: no other peer is kept. */
  readonly peers: readonly string[]
  /** The last report of this node; absent or damaged: what was before is unknown. */
  readonly earlier?: NodeReport | undefined
}

/** The last use of each key by any peer, epoch milliseconds. */
export interface LastUse {
  readonly group: string
  readonly key: string
  readonly verified: number | undefined
  readonly signed: number | undefined
}

/** The latest use of each key by any peer, for the metrics. */
export function lastUses({ keys, uses }: Pick<NodeReport, 'keys' | 'uses'>): readonly LastUse[] {
  const byKey = new Map<string, { verified: number | undefined; signed: number | undefined }>()
  for (const use of uses) {
    const { verified, signed } = byKey.get(idOf(use)) ?? {}
    byKey.set(idOf(use), {
      verified: later(verified, use.lastVerified?.getTime()),
      signed: later(signed, use.lastSigned?.getTime()),
    })
  }
  return keys.map((held) => {
    const { verified, signed } = byKey.get(idOf(held)) ?? {}
    return { group: held.group, key: held.key, verified, signed }
  })
}

function idOf({ group, key }: { readonly group: string; readonly key: string }): string {
  return `${key}\0${group}`
}

function later(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.max(one, other)
}
