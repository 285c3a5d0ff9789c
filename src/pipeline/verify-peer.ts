/**
 * The stage that verifies a peer's token.
 * @module
 */
import { createSourceMatcher } from './source.ts'
import type { MessageContext } from '../message/types.ts'
import type { Verifier } from '../xkeys/verify.ts'
import type { Stage, Verdict } from './stage.ts'

/** What `verifyPeer` takes. */
export interface VerifyPeerOptions {
  /** Name of the peer, in identities, logs and metrics. */
  readonly peer: string
  /**
   * Addresses the peer sends from: `192.0.2.1`, `192.0.2.1:5060`, `192.0.2.0/28`, `[2001:db8::1]:5060`. Then a
   * message from there must carry a token, and others are none of this stage's business. Absent: any source, and a
   * message without a token is left to the next stage.
   */
  readonly source?: readonly string[]
  readonly verifier: Verifier
}

/**
 * Makes the stage of one peer.
 * @throws ConfigError `ERR_PIPELINE_INVALID` on a source that is no address, with every issue.
 */
export function verifyPeer(options: VerifyPeerOptions): Stage {
  const { peer, verifier } = options
  const { agreement } = verifier
  const matches = options.source === undefined ? undefined : createSourceMatcher(options.source)
  const remove = Object.freeze([agreement.header])

  function judge(context: MessageContext): Verdict {
    if (matches !== undefined && !matches(context.source))
      return { verdict: 'abstain', reason: 'source-not-allowed' }
    const result = verifier.verify(context)
    if (result.ok) return { verdict: 'accept', identity: { kind: 'peer', peer, key: result.key }, remove }
    if (context.message.kind === 'response') {
      return passesUnsigned(context, verifier, result.reason)
        ? { verdict: 'accept', identity: { kind: 'unsigned', peer }, remove }
        : { verdict: 'drop', reason: result.reason }
    }
    if (result.reason === 'header-missing' && matches === undefined)
      return { verdict: 'abstain', reason: result.reason }
    return { verdict: 'reject', status: 403, reason: result.reason }
  }
  return { name: `xkeys:${peer}`, judge }
}

/**
 * Whether a response may pass without a token: 100 and responses to CANCEL always (a stateful Kamailio makes them
 * itself and cannot sign them), others where the agreement has `responses = "if-present"` or signs none.
 */
function passesUnsigned(context: MessageContext, verifier: Verifier, reason: string): boolean {
  if (reason === 'direction-unsigned') return true
  if (reason !== 'header-missing') return false
  const { message } = context
  return verifier.agreement.responses !== 'required' || message.status === 100 || message.method === 'CANCEL'
}
