/**
 * The verdicts of the digest stage, each told to whoever observes it.
 * @module
 */
import { formatChallenges } from '../digest/challenge.ts'
import { unprovedHeaders, type IdentityField } from '../digest/identity.ts'
import type { NonceOrigin, Nonces } from '../digest/nonce.ts'
import type { OfferTable } from '../digest/offer.ts'
import { headersOfOurs, ownCredentials } from '../digest/own-credentials.ts'
import type { UserDomains } from '../digest/user-domain.ts'
import type { UserEvent, UserReason } from '../digest/user-event.ts'
import { headerSelector } from '../message/header-names.ts'
import type { MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { HeaderLines, Identity, Verdict } from './stage.ts'

/** Whom an accepted request is from. */
export type User = Extract<Identity, { readonly kind: 'user' }>

/** What is told of a refusal. */
export type Told = Omit<Exclude<UserEvent, { readonly event: 'accepted' }>, 'event'>

/** A request on its way through the stage. */
export interface Case {
  readonly context: MessageContext
  readonly view: MessageView
  readonly realm: string
  readonly status: 401 | 407
  readonly fields: readonly IdentityField[]
  readonly origin: NonceOrigin
}

/** Headers of challenge, answer and success, by the status that asks. */
export const SCHEMES = {
  401: ['WWW-Authenticate', 'Authorization', 'Authentication-Info'],
  407: ['Proxy-Authenticate', 'Proxy-Authorization', 'Proxy-Authentication-Info'],
} as const

/** What verdicts are made with. */
export interface VerdictOptions {
  readonly domains: UserDomains
  readonly offers: OfferTable
  readonly nonces: Nonces
  readonly observe: (event: UserEvent, context: MessageContext) => void
}

/** Makes verdicts. */
export interface UserVerdicts {
  /** The request is a user's: what is ours in it goes, and who it says it is where nobody looked at that. */
  readonly pass: (user: User, request: Pick<Case, 'context' | 'fields'>, answer?: Answer) => Verdict
  /** The request comes from a source that may assert what it will: only credentials of ours go. */
  readonly passTrusted: (context: MessageContext) => Verdict
  readonly challenge: (request: Case, told: Told, age: 'new' | 'stale') => Verdict
  /** An ACK is never answered (RFC 3261 §17): it is dropped. */
  readonly refuse: (status: number, told: Told, context: MessageContext) => Verdict
  readonly drop: (told: Told, context: MessageContext) => Verdict
}

/** Headers for a 2xx. */
type Answer = (body?: Uint8Array) => HeaderLines

const USER_AGENT = headerSelector('User-Agent')

/** Seconds: time for a store to come back, and no client is kept away for long. */
const RETRY_AFTER: HeaderLines = [['Retry-After', '5']]

/** What the wire says beyond the status: nothing that tells accounts apart. */
const PHRASES: Readonly<Partial<Record<UserReason, string>>> = {
  'not-relaying': 'Not relaying',
  'domain-forbidden': 'Domain forbidden',
  stranger: 'Domain forbidden',
}

/** Creates the maker of verdicts. */
export function createVerdicts({ domains, offers, nonces, observe }: VerdictOptions): UserVerdicts {
  /** @param realm of the request, where it has one: another rule may have made it */
  function accept(identity: Identity, view: MessageView, realm: string | undefined) {
    const own = ownCredentials(view, (other) => domains.isOurs(other, realm))
    const remove: readonly string[] = headersOfOurs(view, own)
    const edit = own.filter(({ name }) => !remove.includes(name))
    return { verdict: 'accept' as const, identity, remove, ...(edit.length > 0 && { edit }) }
  }

  function pass(user: User, { context, fields }: Pick<Case, 'context' | 'fields'>, answer?: Answer): Verdict {
    const view = viewOf(context.message)
    const { username, realm } = user
    observe({ event: 'accepted', username, realm }, context)
    const accepted = accept(user, view, realm)
    const remove = [...accepted.remove, ...unprovedHeaders(view, fields)]
    return { ...accepted, remove, ...(answer !== undefined && { answer }) }
  }

  function passTrusted(context: MessageContext): Verdict {
    observe({ event: 'accepted' }, context)
    const identity: Identity = { kind: 'unsigned', peer: context.source.address }
    return accept(identity, viewOf(context.message), undefined)
  }

  function challenge(
    { context, view, realm, status, origin }: Case,
    told: Told,
    age: 'new' | 'stale',
  ): Verdict {
    if (view.method === 'ACK') return drop(told, context)
    const row = view.find(USER_AGENT, 0)
    const userAgent = row < 0 ? undefined : view.text(view.valueStart(row), view.valueEnd(row))
    const values = formatChallenges(offers(realm, userAgent), origin, nonces, age)
    if (values === undefined) return refuse(503, { ...told, reason: 'nonce-key-missing' }, context)
    observe({ event: 'challenged', ...told }, context)
    const headers = values.map((value) => [SCHEMES[status][0], value] as const)
    return { verdict: 'challenge', status, headers, reason: told.reason }
  }

  function refuse(status: number, told: Told, context: MessageContext): Verdict {
    if (context.message.method === 'ACK') return drop(told, context)
    observe({ event: 'refused', ...told }, context)
    const { reason } = told
    const phrase = PHRASES[reason]
    return {
      verdict: 'reject',
      status,
      reason,
      ...(status === 503 && { headers: RETRY_AFTER }),
      ...(phrase !== undefined && { phrase }),
    }
  }

  function drop(told: Told, context: MessageContext): Verdict {
    observe({ event: 'dropped', ...told }, context)
    return { verdict: 'drop', reason: told.reason }
  }

  return { pass, passTrusted, challenge, refuse, drop }
}
