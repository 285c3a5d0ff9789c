/**
 * Stages in a row.
 * @module
 */
import { ConfigError } from '../errors.ts'
import type { MessageContext } from '../message/types.ts'
import type { Decision, Pipeline, Stage, Verdict } from './stage.ts'

/** Name under which the pipeline itself decides. */
const OWN = 'pipeline'

/**
 * Puts stages in a row. Where all abstain, the message is refused with 403. A stage that throws or rejects is 503,
 * never an accept. A response or an ACK is never answered: what refuses it, drops it; a CANCEL is never challenged
 * (RFC 3261 §22.1).
 * @throws ConfigError `ERR_PIPELINE_INVALID` without a stage, or where two have one name.
 */
export function createPipeline(stages: readonly Stage[]): Pipeline {
  const row = [...stages]
  const names = new Set(row.map((stage) => stage.name))
  if (row.length === 0 || names.size < row.length) {
    const message = row.length === 0 ? 'a pipeline needs a stage' : 'two stages have one name'
    throw new ConfigError('ERR_PIPELINE_INVALID', [{ path: 'stages', message }])
  }

  function decideFrom(first: number, context: MessageContext, reason: string): Decision | Promise<Decision> {
    let abstained = reason
    for (let i = first; i < row.length; i++) {
      const stage = row[i]!
      let verdict: Verdict | Promise<Verdict>
      try {
        verdict = stage.judge(context)
      } catch {
        verdict = FAILED
      }
      if (verdict instanceof Promise) {
        return verdict
          .then(checked, () => FAILED)
          .then((settled) =>
            settled.verdict === 'abstain'
              ? decideFrom(i + 1, context, settled.reason ?? abstained)
              : finish(settled, stage.name, context),
          )
      }
      const settled = checked(verdict)
      if (settled.verdict !== 'abstain') return finish(settled, stage.name, context)
      abstained = settled.reason ?? abstained
    }
    return finish({ verdict: 'reject', status: 403, reason: abstained }, OWN, context)
  }

  return { decide: (context) => decideFrom(0, context, 'no-stage-decided') }
}

const FAILED: Verdict = { verdict: 'reject', status: 503, reason: 'stage-failed' }

/** A stage written without types may answer anything: what is no verdict is a failure. */
function checked(verdict: Verdict | null | undefined): Verdict {
  switch (verdict?.verdict) {
    case 'accept':
    case 'challenge':
    case 'reject':
    case 'drop':
    case 'abstain':
      return verdict
    case undefined:
    default:
      return FAILED
  }
}

/** Turns answers that SIP forbids into silence or a plain refusal. */
function finish(
  verdict: Exclude<Verdict, { verdict: 'abstain' }>,
  stage: string,
  context: MessageContext,
): Decision {
  // Spelled out: a spread costs more than all the rest here, on every message of a peer.
  if (verdict.verdict === 'accept') {
    if (verdict.edit !== undefined || verdict.answer !== undefined) return { ...verdict, stage }
    return { verdict: 'accept', identity: verdict.identity, remove: verdict.remove, stage }
  }
  if (verdict.verdict === 'drop') return { verdict: 'drop', reason: verdict.reason, stage }
  const { message } = context
  const reason = verdict.reason ?? 'unauthenticated'
  if (message.kind === 'response' || message.method === 'ACK') return { verdict: 'drop', reason, stage }
  if (verdict.verdict === 'challenge' && message.method === 'CANCEL') {
    return { verdict: 'reject', status: 403, reason, stage }
  }
  return { ...verdict, stage }
}
