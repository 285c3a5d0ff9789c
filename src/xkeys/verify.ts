/**
 * Verifying: the receiver's side of an agreement.
 * @module
 */
import { LRUCache } from 'lru-cache'
import type { UseCell } from '../keyring/evidence.ts'
import type { KeyRef } from '../keyring/keyring.ts'
import type { SeenTokens } from '../keyring/seen-tokens.ts'
import { headerSelector } from '../message/header-names.ts'
import type { MessageContext } from '../message/types.ts'
import { viewOf } from '../message/view.ts'
import { MISSING, TOO_LONG } from '../template/compile.ts'
import type { Agreement } from './agreement.ts'
import { DATA_START, createWorkBuffer } from './algorithm.ts'
import { holdsNul } from './data.ts'
import { selectKeys, type BoundKey, type KeyOptions, type Selection } from './selection.ts'
import { createTokenScratch, decodeToken, equalToken } from './token.ts'

// Constants of its own, not imported ones: V8 folds only what a module itself defines, and this is the hot path.
const START = DATA_START
const NO_VALUE = MISSING
const NO_ROOM = TOO_LONG

/** Every reason of a refusal, the one list that result type, metric labels and logs share. */
export const VERIFY_FAILURES = [
  'header-missing',
  'header-repeated',
  'token-malformed',
  'group-unknown',
  'no-usable-key',
  'variable-missing',
  'token-mismatch',
  'direction-unsigned',
  'message-unparsable',
  'data-too-long',
  'field-illegal',
] as const

/** Why a message was not accepted. */
export type VerifyFailure = (typeof VERIFY_FAILURES)[number]

/** The key that made the token, and that key's state; or why there is none. */
export type VerifyResult =
  | { readonly ok: true; readonly key: KeyRef; readonly state: 'pending' | 'active' | 'overlapping' }
  | { readonly ok: false; readonly reason: VerifyFailure }

/** Verifies messages under one agreement. */
export interface Verifier {
  /** Synchronous and without effect on anything but its memory of which key a peer used. Never throws on a message. */
  verify(context: MessageContext): VerifyResult
  readonly agreement: Agreement
  /** Lets go of keys that are in force no more, which else waits for the next message. */
  refresh(): void
}

/** What `createVerifier` takes. */
export interface VerifierOptions extends KeyOptions {
  /** Where the use of a key is counted: once for each token, so that one that is replayed is no evidence. */
  readonly evidence?: {
    readonly cell: (key: KeyRef) => UseCell
    readonly seen: SeenTokens
  }
}

/** Sources whose last key is remembered. */
const MAX_SOURCES = 1024

const FAILED = Object.fromEntries(
  VERIFY_FAILURES.map((reason) => [reason, Object.freeze({ ok: false, reason })]),
) as Record<VerifyFailure, VerifyResult>

/** A bound key with its answer made beforehand. */
interface Candidate extends BoundKey {
  readonly accepted: VerifyResult
  readonly use: UseCell
}

/**
 * Creates the receiver's side of an agreement. All usable keys are tried before a refusal, the one that the source
 * used last first.
 * @param options `keyring` may be a function, read once per message, so that a keyring can be exchanged under load.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { agreement, evidence } = options
  const { spec, repeated } = agreement
  const selector = headerSelector(agreement.header)
  const work = createWorkBuffer(agreement.maxData)
  const token = createTokenScratch()
  const select = selectKeys(options, work, 'verify')
  const isNew = evidence?.seen.isNew
  const lastUsed = new LRUCache<string, Candidate>({ max: MAX_SOURCES })
  let selection: Selection | undefined
  let candidates: readonly Candidate[] = []

  /** True where the candidate made the token that was decoded. */
  function matches(candidate: Candidate, end: number): boolean {
    return (
      end - START <= candidate.maxData && equalToken(candidate.hash(work, end, 'binary'), token, spec.size)
    )
  }

  function accept(candidate: Candidate): VerifyResult {
    if (isNew !== undefined && isNew(token)) candidate.use.verified++
    return candidate.accepted
  }

  function bind(): Selection {
    const selected = select()
    if (selected !== selection) {
      selection = selected
      candidates = selected.verifying.map((key) => ({
        ...key,
        accepted: Object.freeze({ ok: true, key: key.ref, state: key.state }),
        use: evidence?.cell(key.ref) ?? { verified: 0, signed: 0 },
      }))
      lastUsed.clear()
    }
    return selected
  }

  function verify(context: MessageContext): VerifyResult {
    const view = viewOf(context.message)
    const template = (view.kind === 'request' ? agreement.request : agreement.response)?.receiver
    if (template === undefined) return FAILED['direction-unsigned']
    if (!view.layout.complete) return FAILED['message-unparsable']
    const row = view.find(selector, 0)
    if (row < 0) return FAILED['header-missing']
    if (repeated === 'reject' && view.find(selector, row + 1) >= 0) return FAILED['header-repeated']
    if (!decodeToken(view.bytes, view.valueStart(row), view.valueEnd(row), spec, token)) {
      return FAILED['token-malformed']
    }

    const selected = bind()
    if (candidates.length === 0) return FAILED[selected.known ? 'no-usable-key' : 'group-unknown']

    const end = template.write(view, context, work.bytes, START)
    if (end === NO_VALUE) return FAILED['variable-missing']
    if (end === NO_ROOM) return FAILED['data-too-long']
    if (spec.family === 'sha' && holdsNul(work, end)) return FAILED['field-illegal']

    if (candidates.length === 1) {
      const only = candidates[0]!
      if (matches(only, end)) return accept(only)
      return FAILED[end - START > only.maxData ? 'data-too-long' : 'token-mismatch']
    }
    const { address } = context.source
    const remembered = lastUsed.get(address)
    if (remembered !== undefined && matches(remembered, end)) return accept(remembered)
    let fits = false
    for (const candidate of candidates) {
      if (candidate === remembered) continue
      if (matches(candidate, end)) {
        lastUsed.set(address, candidate)
        return accept(candidate)
      }
      fits ||= end - START <= candidate.maxData
    }
    return FAILED[fits || remembered !== undefined ? 'token-mismatch' : 'data-too-long']
  }

  return { verify, agreement, refresh: () => void bind() }
}
