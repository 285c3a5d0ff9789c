/**
 * The stage that authenticates users by digest (RFC 3261 §22, RFC 7616, RFC 8760).
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { checkAnswer, chooseAnswer, proveAnswer } from '../digest/answer.ts'
import { authenticationInfoFor } from '../digest/authentication-info.ts'
import { formatChallenges } from '../digest/challenge.ts'
import type { Account, CredentialStore } from '../digest/credential-store.ts'
import type { DigestCredentials } from '../digest/credentials.ts'
import type { Failures } from '../digest/failures.ts'
import { fitsAccount, IDENTITY_FIELDS, type IdentityField } from '../digest/identity.ts'
import type { NonceFacts, NonceOrigin, Nonces } from '../digest/nonce.ts'
import { compileOffers, type OfferOptions } from '../digest/offer.ts'
import { findCredentials, headersOfOurs, ownCredentials } from '../digest/own-credentials.ts'
import { settle } from '../digest/settle.ts'
import { transmissionOf } from '../digest/transmission.ts'
import { compileUserDomains, type UserDomainOptions } from '../digest/user-domain.ts'
import type { UserEvent, UserReason } from '../digest/user-event.ts'
import { headerSelector } from '../message/header-names.ts'
import type { MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { ClaimResult, Claims } from './claim.ts'
import { transactionName, type InviteTable } from './invite-table.ts'
import type { Identity, Stage, Verdict } from './stage.ts'

/** Whom an accepted request is from. */
type User = Extract<Identity, { readonly kind: 'user' }>

/** What `verifyUser` takes. */
export interface VerifyUserOptions extends UserDomainOptions, OfferOptions {
  readonly credentials: CredentialStore
  readonly nonces: Nonces
  readonly claims: Claims
  /** Methods whose requests end here, challenged with 401; others are relayed, challenged with 407. Default REGISTER. */
  readonly terminates?: readonly string[] | undefined
  /** Fields that must name the account, by method, where they differ from `IDENTITY_FIELDS`; none: they are not looked at. */
  readonly identity?: Readonly<Record<string, readonly IdentityField[]>> | undefined
  /** What becomes of calls from other domains to ours, which nobody here can authenticate. Default `reject`. */
  readonly strangers?: 'reject' | 'abstain' | undefined
  /** Requests with a To tag: judged as any other, or left to a stage that knows their dialog. Default `authenticate`. */
  readonly inDialog?: 'authenticate' | 'abstain' | undefined
  /** A wrong answer is refused with 403, or challenged again. Default `refuse`. */
  readonly onFailure?: 'refuse' | 'challenge' | undefined
  /** Counts wrong answers and bans who gives too many. */
  readonly failures?: Failures | undefined
  /** Accepted INVITEs: the stage remembers them, whoever answers them notes the responses. Absent: no CANCEL is accepted. */
  readonly invites?: InviteTable<User> | undefined
  /** Told of every request that is judged, before the verdict is given. Must not throw. */
  readonly observe?: ((event: UserEvent, context: MessageContext) => void) | undefined
  /** Milliseconds of a clock that does not step: the one of `invites`. */
  readonly monotonic: () => number
}

/** How long after its INVITE the ACK of a call may repeat its credentials: nobody lets it ring longer. */
const ACK_WINDOW = 7_200_000

const USER_AGENT = headerSelector('User-Agent')
const ASSERTED = headerSelector('P-Asserted-Identity')
const SCHEMES = {
  401: ['WWW-Authenticate', 'Authorization'],
  407: ['Proxy-Authenticate', 'Proxy-Authorization'],
} as const

/** What is told of a refusal. */
type Told = Omit<Exclude<UserEvent, { readonly event: 'accepted' }>, 'event'>

/** A request on its way through the stage. */
interface Case {
  readonly context: MessageContext
  readonly view: MessageView
  readonly realm: string
  readonly status: 401 | 407
  readonly fields: readonly IdentityField[]
  readonly origin: NonceOrigin
}

/** A request whose answer fits its challenge; only the password is left to prove. */
interface Answered extends Case {
  readonly answer: DigestCredentials
  readonly facts: NonceFacts
  readonly age: 'fresh' | 'stale'
}

/**
 * Makes the stage.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every issue of domains, realm and offers.
 */
export function verifyUser(options: VerifyUserOptions): Stage {
  const { credentials, nonces, claims, failures, invites, monotonic } = options
  const { strangers = 'reject', inDialog = 'authenticate', onFailure = 'refuse' } = options
  const domains = compileUserDomains(options)
  const offers = compileOffers(options)
  const fieldsOf: Readonly<Record<string, readonly IdentityField[]>> = {
    ...IDENTITY_FIELDS,
    ...options.identity,
  }
  const terminated = new Set(options.terminates ?? ['REGISTER'])
  const observe = options.observe ?? (() => {})
  const knownSince = claims.since?.getTime() ?? -Infinity

  function judge(context: MessageContext): Verdict | Promise<Verdict> {
    const view = viewOf(context.message)
    if (view.kind === 'response') return { verdict: 'abstain', reason: 'response' }
    if (failures?.isBanned(context.source.address) === true) return drop({ reason: 'banned' }, context)
    const { method } = view
    if (method === 'ACK' || method === 'CANCEL') {
      const name = transactionName(view)
      const user = name === null ? undefined : invites?.match(name, view, context.source, monotonic())
      if (user !== undefined) return pass(user, context)
      if (method === 'CANCEL') return refuse(481, { reason: 'invite-unknown' }, context)
    }
    if (inDialog === 'abstain' && (view.to?.tagStart ?? -1) >= 0)
      return { verdict: 'abstain', reason: 'in-dialog' }

    // An ACK repeats the credentials of its INVITE.
    const asked = method === 'ACK' ? 'INVITE' : method
    const fields = Object.hasOwn(fieldsOf, asked) ? fieldsOf[asked]! : ['from' as const]
    const place = domains.locate(view, fields)
    if (place.kind === 'stranger' && strangers === 'abstain')
      return { verdict: 'abstain', reason: 'stranger' }
    if (place.kind !== 'user') {
      const reason = place.kind === 'stranger' ? 'stranger' : place.reason
      return refuse(reason === 'from-malformed' ? 400 : 403, { reason }, context)
    }
    const { realm } = place
    const { callId } = view.layout
    const origin = {
      realm,
      source: context.source.address,
      callId: view.text(view.valueStart(callId), view.valueEnd(callId)).trimEnd(),
    }
    return answer({ context, view, realm, status: terminated.has(asked) ? 401 : 407, fields, origin })
  }

  /** Finds the answer to an earlier challenge, and whether it fits it. */
  function answer(request: Case): Verdict | Promise<Verdict> {
    const { context, view, realm, status, origin } = request
    const given = findCredentials(view, SCHEMES[status][1], realm)
    if (given.found === 'none') return challenge(request, 'credentials-missing', 'new')
    if (given.found === 'fault') return refuse(400, { reason: given.reason, realm }, context)
    const chosen = chooseAnswer(given.items)
    if (!chosen.ok) return refuse(400, { reason: chosen.reason, realm }, context)
    const { username } = chosen.credentials
    const requestUri = view.method === 'ACK' ? undefined : view.requestUri
    const checked = checkAnswer(chosen.credentials, { origin, requestUri }, nonces)
    if (!checked.ok) {
      const { reason } = checked
      // Our own form under a key that is gone or another source: a client that is told so asks nobody for a password. One
      // that cuts nonces short would go round for ever.
      if (reason === 'nonce-foreign') return challenge(request, reason, 'stale', username)
      if (reason === 'nonce-malformed') return challenge(request, reason, 'new', username)
      const isShape = reason === 'qop-missing' || reason === 'qop-mismatch' || reason === 'opaque-mismatch'
      return refuse(isShape ? 400 : 403, { reason, realm, username }, context)
    }
    if (failures?.isUserBanned(origin.source, userKey(username, realm)) === true)
      return drop({ reason: 'banned', realm, username }, context)
    return lookUp({ ...request, answer: chosen.credentials, facts: checked.facts, age: checked.age })
  }

  function lookUp(request: Answered): Verdict | Promise<Verdict> {
    const { answer, context, realm } = request
    const { username } = answer
    return settle(
      () => credentials.find({ username, realm, algorithm: answer.spec.hash }),
      (account) => prove(request, account),
      () => refuse(503, { reason: 'store-unavailable', realm, username }, context),
    )
  }

  function prove(request: Answered, account: Account | undefined): Verdict | Promise<Verdict> {
    const { answer, context, view, realm, facts } = request
    const { username } = answer
    const isAck = view.method === 'ACK'
    const proof = proveAnswer(answer, account, { method: isAck ? 'INVITE' : view.method, body: view.body })
    if (!proof.ok || account === undefined) {
      const reason = proof.ok ? 'user-unknown' : proof.reason
      const ban = failures?.fail(context.source.address, userKey(username, realm))
      return onFailure === 'challenge'
        ? challenge(request, reason, 'new', username, ban)
        : refuse(403, { reason, realm, username, ban }, context)
    }
    const refused = (reason: UserReason): Verdict => refuse(403, { reason, realm, username }, context)
    if (isAck) {
      if (facts.made < nonces.time() - ACK_WINDOW) return refused('nonce-stale')
    } else if (request.age === 'stale' || facts.made < knownSince) {
      return challenge(request, 'nonce-stale', 'stale', username)
    }
    if (account.status !== 'active') return refused('account-inactive')
    if (!fitsAccount(view, account, request.fields, (host) => domains.isHostOf(realm, host)))
      return refused('identity-mismatch')
    // Its count was taken by the INVITE, and it asks for nothing.
    if (isAck) return pass(userOf(account, realm), context)
    return count(request, account, proof.ha1)
  }

  /** Takes the nonce count: only now, so that a wrong answer spoils none. */
  function count(request: Answered, account: Account, ha1: KeyObject): Verdict | Promise<Verdict> {
    const { answer, context, view, realm } = request
    const { nonce, counted, username } = answer
    const key = `nonce:${nonce}:${counted?.nc.toLowerCase() ?? ''}`
    return settle<ClaimResult, Verdict>(
      () => claims.claim(key, transmissionOf(view, context.source), nonces.window),
      (result) => {
        if (result === 'full') return refuse(503, { reason: 'claims-full', realm, username }, context)
        if (result === 'other') return challenge(request, 'nonce-replayed', 'stale', username)
        return accept(request, account, ha1)
      },
      () => refuse(503, { reason: 'claims-unavailable', realm, username }, context),
    )
  }

  function accept(request: Answered, account: Account, ha1: KeyObject): Verdict {
    const { context, view, realm } = request
    const user = userOf(account, realm)
    // Not before: a copy of somebody's right answer makes nobody known.
    failures?.succeed(context.source.address, userKey(request.answer.username, realm))
    if (view.method === 'INVITE' && invites !== undefined) {
      const name = transactionName(view)
      // Where there is no room the call goes on; its CANCEL is refused.
      if (name !== null) invites.remember(name, view, context.source, user, monotonic())
    }
    return pass(user, context, (body) => infoOf(request, ha1, body))
  }

  /** The request is a user's: what is ours in it goes, and what only we may assert. */
  function pass(
    user: User,
    context: MessageContext,
    authenticationInfo: (body?: Uint8Array) => string | undefined = () => undefined,
  ): Verdict {
    const { username, realm } = user
    const view = viewOf(context.message)
    const own = ownCredentials(view, (other) => domains.isOurs(other, realm))
    observe({ event: 'accepted', username, realm, credentials: own, authenticationInfo }, context)
    const asserted = view.find(ASSERTED, 0) < 0 ? [] : ['P-Asserted-Identity']
    return { verdict: 'accept', identity: user, remove: [...headersOfOurs(view, own), ...asserted] }
  }

  /** Authentication-Info, with the next nonce once this one is past half its life. */
  function infoOf(
    { answer, facts, origin }: Answered,
    ha1: KeyObject,
    body?: Uint8Array,
  ): string | undefined {
    const isOld = nonces.time() - facts.made > nonces.lifetime / 2
    const next = isOld ? nonces.make(answer.spec.name, facts.qop, origin) : undefined
    return authenticationInfoFor(answer, ha1, body, next)
  }

  function challenge(
    { context, view, realm, status, origin }: Case,
    reason: UserReason,
    age: 'new' | 'stale',
    username?: string,
    ban?: 'source' | 'user',
  ): Verdict {
    if (view.method === 'ACK') return drop({ reason, realm, username, ban }, context)
    const row = view.find(USER_AGENT, 0)
    const userAgent = row < 0 ? undefined : view.text(view.valueStart(row), view.valueEnd(row))
    const values = formatChallenges(offers(realm, userAgent), origin, nonces, age)
    if (values === undefined) return refuse(503, { reason: 'nonce-key-missing', realm, username }, context)
    observe({ event: 'challenged', reason, realm, username, ban }, context)
    return { verdict: 'challenge', status, headers: values.map((value) => [SCHEMES[status][0], value]) }
  }

  /** An ACK is never answered (RFC 3261 §17). */
  function refuse(status: number, told: Told, context: MessageContext): Verdict {
    if (context.message.method === 'ACK') return drop(told, context)
    observe({ event: 'refused', ...told }, context)
    return { verdict: 'reject', status, reason: told.reason }
  }

  function drop(told: Told, context: MessageContext): Verdict {
    observe({ event: 'dropped', ...told }, context)
    return { verdict: 'drop', reason: told.reason }
  }

  return { name: 'digest', judge }
}

/** No user name or realm holds a control character. */
const userKey = (username: string, realm: string): string => `${username}\0${realm}`

function userOf({ username, attributes }: Account, realm: string): User {
  return { kind: 'user', username, realm, attributes: attributes ?? {} }
}
