/**
 * A trunk at work: who it is by source, its pipeline, its signer, its counters.
 * @module
 */
import type { Evidence } from '../keyring/evidence.ts'
import type { KeyringSource } from '../keyring/keyring.ts'
import { headerSelector } from '../message/header-names.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { Cell } from '../metrics/counters.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { createInviteTable, type InviteTable } from '../pipeline/invite-table.ts'
import { createPipeline } from '../pipeline/pipeline.ts'
import { createAddressMatcher, matchRanges } from '../pipeline/source.ts'
import type { Decision, Pipeline } from '../pipeline/stage.ts'
import { verifyPeer } from '../pipeline/verify-peer.ts'
import { createSigner, type SignResult } from '../xkeys/sign.ts'
import { VERIFY_FAILURES, createVerifier } from '../xkeys/verify.ts'
import type { TrunkConfig } from './config.ts'
import type { EdgeEvent } from './event.ts'
import { createKeyCounters } from './key-cells.ts'
import type { Path } from './path.ts'
import { createRouteMarks, type RouteMarks } from './route-mark.ts'

/** One trunk. */
export interface Trunk {
  readonly name: string
  readonly config: TrunkConfig
  readonly pipeline: Pipeline
  /** Whether a message from there may be this trunk's. */
  hasSource(source: Endpoint): boolean
  /** Counts one decision, once. */
  count(decision: Decision, message: MessageView): void
  /** Signs, and counts it. */
  sign(context: MessageContext): SignResult
  /** INVITEs that came from it, for what belongs to them and carries no token. */
  readonly invites: InviteTable<Path>
  /** Remembers an accepted INVITE; where there is no room, tells. */
  remember(transaction: string, invite: MessageView, source: Endpoint, path: Path, now: number): void
  /** Whether a request may go without a token where it matches an INVITE: a CANCEL or an ACK that has none. */
  mayMatch(request: MessageView): boolean
  /** What names this trunk in the Record-Route that the upstream sees: see route-mark.ts. */
  readonly marks: RouteMarks
  /** The same in the Record-Route that another trunk sees. */
  marksFor(holder: Trunk): RouteMarks
  /** Counts a request that went without a token. */
  countSkipped(): void
  /** Lays out what is counted for the keys of the keyring that is in force now. */
  refreshKeys(): void
  /** Lets go of the secrets of keys that are in force no more, which else waits for the next message. */
  releaseKeys(): void
}

/** What trunks share. */
export interface TrunkOptions {
  readonly keyring: KeyringSource
  /** The time by which keys begin and end; never goes back. */
  readonly now: () => Date
  readonly metrics: Metrics
  readonly evidence?: Evidence | undefined
  readonly maxInvites: number
  readonly emit: (event: EdgeEvent) => void
}

/** Builds a trunk from its configuration. */
export function createTrunk(config: TrunkConfig, options: TrunkOptions): Trunk {
  const { keyring, now, metrics, evidence, emit } = options
  const { name, agreement } = config
  const { group } = agreement
  const keyCounters = createKeyCounters({ peer: name, group, keyring, metrics, evidence })
  const verifier = createVerifier({
    agreement,
    keyring,
    now,
    ...(evidence && {
      evidence: {
        cell: (key) => keyCounters.of(key.name)?.use ?? { verified: 0, signed: 0 },
        seen: evidence.seen,
      },
    }),
  })
  const signer = createSigner({ agreement, keyring, now })

  const outcome = (direction: string, outcome: string): Cell =>
    metrics.verifications.cell({ peer: name, group, direction, outcome })
  const outcomes = {
    request: {
      accept: outcome('request', 'accept'),
      reject: outcome('request', 'reject'),
      skipped: outcome('request', 'skipped'),
    },
    response: {
      accept: outcome('response', 'accept'),
      reject: outcome('response', 'reject'),
      skipped: outcome('response', 'skipped'),
    },
  }
  const rejection = (reason: string): Cell => metrics.rejections.cell({ peer: name, group, reason })
  for (const reason of VERIFY_FAILURES) rejection(reason)

  const invites = createInviteTable<Path>(options.maxInvites)
  const tokenHeader = headerSelector(agreement.header)
  const markSets = new Map<string, RouteMarks>()
  const marksFor = (holder: string): RouteMarks => {
    let marks = markSets.get(holder)
    if (marks === undefined)
      markSets.set(holder, (marks = createRouteMarks(name, { agreement, keyring, now }, holder)))
    return marks
  }

  return {
    name,
    config,
    invites,
    remember(transaction, invite, source, path, now) {
      if (config.unsigned === 'refuse') return
      if (invites.remember(transaction, invite, source, path, now) === 'full') {
        emit({ event: 'invites-full', side: 'trunk', peer: name })
      }
    },
    mayMatch(request) {
      if (config.unsigned === 'refuse' || request.kind === 'response') return false
      const { method } = request
      const { bodyStart, end } = request.layout
      return (
        (method === 'CANCEL' || method === 'ACK') && bodyStart === end && request.find(tokenHeader, 0) < 0
      )
    },
    marks: marksFor(''),
    marksFor: (holder) => marksFor(holder.name),
    countSkipped() {
      outcomes.request.skipped.value++
    },
    pipeline: createPipeline([verifyPeer({ peer: name, verifier })]),
    hasSource: matchRanges(config.sources),
    count(decision, { kind }) {
      if (decision.verdict !== 'accept') {
        outcomes[kind].reject.value++
        rejection(decision.verdict === 'challenge' ? 'challenged' : decision.reason).value++
      } else if (decision.identity.kind === 'peer') {
        outcomes[kind].accept.value++
        // A stage that waits may answer when its key is gone.
        const cells = keyCounters.of(decision.identity.key.name)
        if (cells !== undefined) cells.verifications.value++
      } else {
        outcomes[kind].skipped.value++
      }
    },
    sign(context) {
      const result = signer.sign(context)
      const { kind } = context.message
      if (result.ok) {
        const cells = keyCounters.of(result.key.name)
        if (cells !== undefined) {
          cells.signatures[kind].value++
          cells.use.signed++
        }
      } else if (result.reason !== 'direction-unsigned') {
        keyCounters.unsigned[kind].value++
      }
      return result
    },
    refreshKeys() {
      keyCounters.refresh()
    },
    releaseKeys() {
      verifier.refresh()
      signer.refresh()
      for (const marks of markSets.values()) marks.refresh()
    },
  }
}

/** Finds the trunks that a source may belong to, the likeliest first: the one whose token header is there. */
export type TrunkFinder = (source: Endpoint, message: MessageContext['message']) => readonly Trunk[]

/** Compiles the sources of all trunks, most specific first. */
export function createTrunkFinder(trunks: readonly Trunk[]): TrunkFinder {
  const entries = trunks
    .flatMap((trunk) =>
      trunk.config.sources.map((range) => ({
        trunk,
        port: range.port,
        prefix: range.prefix,
        matches: createAddressMatcher(range),
        header: headerSelector(trunk.config.agreement.header),
        alone: [trunk],
      })),
    )
    .toSorted((a, b) => b.prefix - a.prefix || Number(b.port !== undefined) - Number(a.port !== undefined))
  return (source, message) => {
    let first: (typeof entries)[number] | undefined
    let more: (typeof entries)[number][] | undefined
    for (const entry of entries) {
      if ((entry.port !== undefined && entry.port !== source.port) || !entry.matches(source.address)) continue
      if (first === undefined) first = entry
      else (more ??= [first]).push(entry)
    }
    if (first === undefined) return []
    if (more === undefined) return first.alone
    const view = viewOf(message)
    const named = more.filter(({ header }) => view.find(header, 0) >= 0)
    return [...named, ...more.filter((claim) => !named.includes(claim))].map(({ trunk }) => trunk)
  }
}
