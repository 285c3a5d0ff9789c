/**
 * Branches of a stateless proxy: the same for an INVITE, its retransmissions, its CANCEL and the ACK of its failure
 * (RFC 3261 §16.11), and naming the trunk that a response will go back to.
 * @module
 */
import { hash } from 'node:crypto'
import type { Endpoint } from '../message/types.ts'
import { parseVia, type Via } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'

/** RFC 3261 §8.1.1.7, and a mark of our own. */
const PREFIX = 'z9hG4bKxk-'

/** Makes branches; `secret` keeps others from guessing them, or from putting another trunk's name on one. */
export function createBranches(secret: string): (view: MessageView, via: Via, trunk: string) => string {
  return (view, via, trunk) => {
    const sentBy = view.text(via.hostStart, via.sentByEnd)
    // A sender of RFC 2543 has no branch that counts: what names its transaction does instead.
    const branch = via.branchStart >= 0 ? view.text(via.branchStart, via.branchEnd) : legacyTransaction(view)
    return `${PREFIX}${hash('sha256', `${secret}\0${trunk}\0${sentBy}\0${branch}`, 'hex').slice(0, 20)}-${trunk}`
  }
}

function legacyTransaction(view: MessageView): string {
  const { callId, cseq, cseqNumberEnd, from, secondStart, secondEnd } = view.layout
  return [
    view.text(view.valueStart(callId), view.valueEnd(callId)),
    view.text(view.valueStart(cseq), cseqNumberEnd),
    view.text(view.valueStart(from), view.valueEnd(from)),
    view.text(secondStart, secondEnd),
  ].join('\0')
}

/** The top Via of a response where it is ours, sent from `local`, with the trunk that its branch names. */
export function ownVia(
  view: MessageView,
  local: Endpoint,
): { readonly via: Via; readonly trunk: string } | undefined {
  const row = view.layout.via
  const via = parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
  if (via === null || via.branchStart < 0 || !isAt(view, via, local)) return undefined
  const branch = view.text(via.branchStart, via.branchEnd)
  if (!branch.startsWith(PREFIX)) return undefined
  return { via, trunk: branch.slice(PREFIX.length + 21) }
}

function isAt(view: MessageView, via: Via, local: Endpoint): boolean {
  const host = view.text(via.hostStart, via.hostEnd)
  return (
    (host === local.address || host === `[${local.address}]`) &&
    (via.port === 0 ? 5060 : via.port) === local.port
  )
}
