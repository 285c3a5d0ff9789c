/**
 * Telling refusals without telling each: of one peer and reason, one a second with how many there were.
 * @module
 */
import type { MessageContext } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import type { Decision } from '../pipeline/stage.ts'
import { decided, type EdgeEvent } from './event.ts'

/** Takes one refusal. */
export type RefusalSampler = (
  decision: Exclude<Decision, { verdict: 'accept' }>,
  peer: string,
  view: MessageView,
  context: MessageContext,
) => void

/** Milliseconds between two events of one peer and reason. */
const EVERY = 1000

/**
 * Creates a sampler. An event is only made where it is told: a flood of refusals must not cost more by being logged.
 * @param now milliseconds of a clock that never steps
 */
export function createRefusalSampler(emit: (event: EdgeEvent) => void, now: () => number): RefusalSampler {
  // Peers and reasons are closed sets, so this is bounded.
  const told = new Map<string, { at: number; held: number }>()
  return (decision, peer, view, context) => {
    const kind = `${peer} ${decision.verdict === 'challenge' ? 'challenge' : decision.reason}`
    const seen = told.get(kind)
    const at = now()
    if (seen !== undefined && at - seen.at < EVERY) {
      seen.held++
      return
    }
    const held = seen === undefined || seen.held === 0 ? {} : { held: seen.held }
    told.set(kind, { at, held: 0 })
    emit({ ...decided(decision, peer, view, context), event: 'refused', ...held })
  }
}
