/**
 * What is told of users: counted by outcome and reason, and each wrong password as a line for whoever blocks sources.
 * @module
 */
import type { UserEvent, UserReason } from '../digest/user-event.ts'
import type { MessageContext } from '../message/types.ts'
import type { Cell } from '../metrics/counters.ts'
import type { UserMetrics } from '../metrics/users.ts'
import { createLimiter } from '../transport/limiter.ts'
import type { EdgeEvent } from './event.ts'

/** Reasons that say that somebody does not know the password: what deploy/fail2ban looks for. */
export const FAILURE_REASONS = ['password-wrong', 'user-unknown', 'ha1-missing', 'hook-refused'] as const

const FAILURES: ReadonlySet<UserReason> = new Set(FAILURE_REASONS)

/** Reasons for which the operator is called. */
const TROUBLE = ['store-unavailable', 'claims-unavailable', 'claims-full', 'nonce-key-missing'] as const

/** Lines a second, of all sources together: each source is banned sooner, but there are many. */
const MOST_LINES = 50

/** What `createUserObserver` takes. */
export interface UserObserverOptions {
  readonly metrics: UserMetrics
  readonly emit: (event: EdgeEvent) => void
  /** Milliseconds of a clock that never steps. */
  readonly now: () => number
}

/** Makes the observer of the stages; lays out the series that alerts look at. */
export function createUserObserver({
  metrics,
  emit,
  now,
}: UserObserverOptions): (event: UserEvent, context: MessageContext) => void {
  // Both are closed sets. Finding a series by its labels costs more than counting.
  const cells: Record<string, Map<string, Cell>> = Object.create(null)
  const cell = (outcome: string, reason: string): Cell => {
    const ofOutcome = (cells[outcome] ??= new Map<string, Cell>())
    let found = ofOutcome.get(reason)
    if (found === undefined)
      ofOutcome.set(reason, (found = metrics.authentications.cell({ outcome, reason })))
    return found
  }
  for (const outcome of ['refused', 'challenged']) for (const reason of FAILURE_REASONS) cell(outcome, reason)
  for (const reason of TROUBLE) cell('refused', reason)
  cell('challenged', 'credentials-missing')
  cell('dropped', 'banned')
  const accepted = cell('accepted', 'none')
  const bans = {
    source: metrics.blocks.cell({ kind: 'source' }),
    user: metrics.blocks.cell({ kind: 'user' }),
  }
  const mayTell = createLimiter(MOST_LINES)
  let held = 0

  return (event, { message, source }) => {
    if (event.event === 'accepted') {
      accepted.value++
      return
    }
    const { reason, ban } = event
    cell(event.event, reason).value++
    if (ban !== undefined) bans[ban].value++
    if (!FAILURES.has(reason)) return
    if (!mayTell('', now())) {
      held++
      return
    }
    // The order counts: what a client writes stands behind everything that is looked for.
    emit({
      event: 'auth-failed',
      side: 'trunk',
      source,
      reason,
      ...(ban !== undefined && { ban }),
      ...(held > 0 && { held }),
      method: printable(message.method, 32),
      ...(event.realm !== undefined && { realm: printable(event.realm, 255) }),
      ...(event.username !== undefined && { username: printable(event.username, 64) }),
      ...(event.message !== undefined && { detail: printable(event.message, 200) }),
    })
    held = 0
  }
}

/** Text of a client as one line that shows what it is. */
function printable(text: string, most: number): string {
  // Cut first: what is left of a character that is cut in two is shown as none.
  const shown = text.slice(0, most).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
  return text.length > most ? `${shown}…` : shown
}
