/**
 * Accepted INVITEs of a stack, and what may belong to one without a token: a CANCEL, the ACK of a failure.
 * @module
 */
import { hash } from 'node:crypto'
import type { MessageContext } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import { createInviteTable, transactionName } from '../pipeline/invite-table.ts'
import type { Decision, Identity } from '../pipeline/stage.ts'
import { transactionId } from './sip-transactions.ts'
import type { SipHeaders, SipRequest } from './sip-types.ts'

/** What is kept of an accepted INVITE. */
export interface AcceptedInvite {
  readonly identity: Identity
  readonly transport: MessageContext['transport']
  /** Hashes: an entry takes the same room whatever a peer writes there. */
  readonly id: string
  readonly from: string
  readonly to: string
}

/** Accepted INVITEs. Times are milliseconds of one clock that does not step back. */
export interface Invites {
  /** @returns the name to take notes under; undefined where there is no room */
  remember(request: SipRequest, context: Arrived, identity: Identity, now: number): string | undefined
  /** Takes note of a response. */
  note(name: string, status: number, now: number): void
  /** The INVITE that a CANCEL or ACK says it belongs to. */
  match(context: Arrived, now: number): AcceptedInvite | undefined
}

/** A message that was parsed, and where it came from. */
export interface Arrived extends MessageContext {
  readonly message: MessageView
}

/** Creates an empty table. @param capacity most INVITEs remembered at once */
export function createInvites(capacity: number): Invites {
  const table = createInviteTable<AcceptedInvite>(capacity)
  return {
    remember(request, { message: view, transport, source }, identity, now) {
      const name = transactionName(view)
      if (name === null) return undefined
      const { from, to } = view.layout
      const invite: AcceptedInvite = {
        identity,
        transport,
        id: idOf(request),
        from: hashOf(view, from),
        to: hashOf(view, to),
      }
      return table.remember(name, view, source, invite, now) === 'full' ? undefined : name
    },
    note: (name, status, now) => table.note(name, status, now),
    match({ message: view, transport, source }, now) {
      const name = transactionName(view)
      const invite = name === null ? undefined : table.match(name, view, source, now)
      if (invite === undefined || invite.transport !== transport) return undefined
      const { from, to } = view.layout
      // RFC 3261 §9.1. An ACK has the To of the response that it answers, with its tag.
      const same =
        invite.from === hashOf(view, from) && (view.method === 'ACK' || invite.to === hashOf(view, to))
      return same ? invite : undefined
    },
  }
}

/** Refusals for which a CANCEL or ACK may still belong to an INVITE: nobody tried to prove anything. */
const UNPROVEN: ReadonlySet<string> = new Set(['header-missing', 'unauthenticated'])

/** Whether a message that was refused is one that an INVITE may vouch for. */
export function mayBelong(decision: Decision, { kind, method, layout }: MessageView): boolean {
  if (kind === 'response' || (method !== 'CANCEL' && method !== 'ACK')) return false
  const reason = decision.verdict === 'drop' || decision.verdict === 'reject' ? decision.reason : ''
  return UNPROVEN.has(reason) && layout.bodyStart === layout.end
}

/**
 * Whether the object belongs to the INVITE: the table goes by its own reading of the bytes, transactions by the object's,
 * and where the two differ one INVITE would vouch for many transactions.
 */
export function belongs(request: SipRequest, invite: AcceptedInvite): boolean {
  return idOf(request) === invite.id
}

/** What a CANCEL consists of (RFC 3261 §9.1), and why (RFC 3326). */
const OF_CANCEL = new Set([
  'via',
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'reason',
  'content-length',
])

/** Takes out the headers that nothing vouches for. */
export function strip(headers: SipHeaders): void {
  for (const name of Object.keys(headers)) if (!OF_CANCEL.has(name)) delete headers[name]
}

function idOf(request: SipRequest): string {
  return hash('sha256', transactionId(request, 'INVITE') ?? '', 'base64')
}

function hashOf(view: MessageView, row: number): string {
  return hash('sha256', view.text(view.valueStart(row), view.valueEnd(row)).trimEnd(), 'base64')
}
