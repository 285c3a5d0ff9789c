/**
 * A trunk at work: who it is by source, its pipeline, its signer, its counters.
 * @module
 */
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
import type { Path } from './path.ts'
import { createRouteMarks, type RouteMarks } from './route-mark.ts'

const DIRECTIONS = ['request', 'response'] as const

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
}

/** Builds a trunk from its configuration. */
export function createTrunk(
  config: TrunkConfig,
  keyring: KeyringSource,
  metrics: Metrics,
  maxInvites: number,
  emit: (event: EdgeEvent) => void,
): Trunk {
  const { name, agreement } = config
  const { group } = agreement
  const verifier = createVerifier({ agreement, keyring })
  const signer = createSigner({ agreement, keyring })

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
  const keyCells = new Map<string, Cell>()
  const keyCell = (key: string): Cell => {
    let cell = keyCells.get(key)
    if (cell === undefined)
      keyCells.set(key, (cell = metrics.keyVerifications.cell({ group, key, peer: name })))
    return cell
  }
  const signatureCells = { request: new Map<string, Cell>(), response: new Map<string, Cell>() }
  const signature = (key: string, direction: 'request' | 'response', outcome: 'ok' | 'error'): Cell => {
    let cell = signatureCells[direction].get(key)
    if (cell === undefined) {
      signatureCells[direction].set(key, (cell = metrics.signatures.cell({ group, key, direction, outcome })))
    }
    return cell
  }
  for (const key of keyring().keys(group)) {
    keyCell(key.name)
    for (const direction of DIRECTIONS) signature(key.name, direction, 'ok')
  }
  // Errors have no key, and no key has an empty name.
  for (const direction of DIRECTIONS) signature('', direction, 'error')

  const invites = createInviteTable<Path>(maxInvites)
  const tokenHeader = headerSelector(agreement.header)
  const markSets = new Map<string, RouteMarks>()
  const marksFor = (holder: string): RouteMarks => {
    let marks = markSets.get(holder)
    if (marks === undefined)
      markSets.set(holder, (marks = createRouteMarks(name, agreement, keyring, holder)))
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
        keyCell(decision.identity.key.name).value++
      } else {
        outcomes[kind].skipped.value++
      }
    },
    sign(context) {
      const result = signer.sign(context)
      if (result.ok || result.reason !== 'direction-unsigned') {
        const { kind } = context.message
        const cell = result.ok ? signature(result.key.name, kind, 'ok') : signature('', kind, 'error')
        cell.value++
      }
      return result
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
