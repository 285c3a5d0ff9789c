/**
 * The stage that authenticates users by digest (RFC 3261 §22, RFC 7616, RFC 8760).
 * @module
 */
import { checkAnswer, chooseAnswer } from '../digest/answer.ts'
import type { CredentialHook } from '../digest/credential-hook.ts'
import type { CredentialStore } from '../digest/credential-store.ts'
import type { Failures } from '../digest/failures.ts'
import { IDENTITY_FIELDS, type IdentityField } from '../digest/identity.ts'
import type { Nonces } from '../digest/nonce.ts'
import { compileOffers, refuseBodyHashes, type OfferOptions } from '../digest/offer.ts'
import { findCredentials } from '../digest/own-credentials.ts'
import { compileScanners, SCANNERS } from '../digest/scanners.ts'
import { compileUserDomains, type UserDomainOptions } from '../digest/user-domain.ts'
import type { UserEvent } from '../digest/user-event.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { Claims } from './claim.ts'
import { transactionName, type InviteTable } from './invite-table.ts'
import type { Stage, Verdict } from './stage.ts'
import { createProof } from './verify-user-proof.ts'
import { createVerdicts, SCHEMES, type Case, type User } from './verify-user-verdicts.ts'

/** What `verifyUser` takes. */
export interface VerifyUserOptions extends UserDomainOptions, OfferOptions {
  /** Accounts, or who decides in their place. */
  readonly credentials: CredentialStore | CredentialHook
  readonly nonces: Nonces
  readonly claims: Claims
  /** Methods whose requests end here, challenged with 401; others are relayed, challenged with 407. Default REGISTER. */
  readonly terminates?: readonly string[] | undefined
  /** Fields that must name the account, by method, where they differ from `IDENTITY_FIELDS`; none: they are not looked at. */
  readonly identity?: Readonly<Record<string, readonly IdentityField[]>> | undefined
  /** What becomes of calls from other domains to ours, which nobody here can authenticate. Default `reject`. */
  readonly strangers?: 'reject' | 'abstain' | undefined
  /** Requests with a To tag but REGISTER: judged as any other, or left to a stage that knows their dialog. Default `authenticate`. */
  readonly inDialog?: 'authenticate' | 'abstain' | undefined
  /** A wrong answer is refused with 403, or challenged again. Default `refuse`. */
  readonly onFailure?: 'refuse' | 'challenge' | undefined
  /**
   * Sources of which all but a REGISTER is accepted without proof, where sender or target is ours: by the address of the
   * packet, which over UDP anybody can forge. Default none.
   */
  readonly trusted?: ((source: Endpoint) => boolean) | undefined
  /** Parts of User-Agents, in any case, whose requests are dropped unseen. Default `SCANNERS`. */
  readonly scanners?: readonly string[] | undefined
  /** Counts wrong answers and bans who gives too many. */
  readonly failures?: Failures | undefined
  /** Accepted INVITEs: the stage remembers them, whoever answers them notes the responses. Absent: no CANCEL is accepted. */
  readonly invites?: InviteTable<User> | undefined
  /** Told of every request that is judged, before the verdict is given. Must not throw. */
  readonly observe?: ((event: UserEvent, context: MessageContext) => void) | undefined
  /** Milliseconds of a clock that does not step: the one of `invites`. */
  readonly monotonic: () => number
}

/**
 * Makes the stage.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every issue of domains, realm and offers.
 */
export function verifyUser(options: VerifyUserOptions): Stage {
  const { credentials, nonces, claims, failures, invites, monotonic } = options
  const { strangers = 'reject', inDialog = 'authenticate', onFailure = 'refuse' } = options
  const isTrusted = options.trusted ?? (() => false)
  const domains = compileUserDomains(options)
  const offers = compileOffers(options)
  if ('decide' in credentials) refuseBodyHashes(options)
  const isScanner = compileScanners(options.scanners ?? SCANNERS)
  const fieldsOf: Readonly<Record<string, readonly IdentityField[]>> = {
    ...IDENTITY_FIELDS,
    ...options.identity,
  }
  const terminated = new Set(options.terminates ?? ['REGISTER'])
  const observe = options.observe ?? (() => {})
  const verdicts = createVerdicts({ domains, offers, nonces, observe })
  const { pass, passTrusted, challenge, refuse, drop } = verdicts
  const prove = createProof({
    credentials,
    nonces,
    claims,
    onFailure,
    failures,
    invites,
    monotonic,
    domains,
    verdicts,
  })

  function judge(context: MessageContext): Verdict | Promise<Verdict> {
    const view = viewOf(context.message)
    if (view.kind === 'response') return { verdict: 'abstain', reason: 'response' }
    if (isScanner(view)) return drop({ reason: 'scanner' }, context)
    if (failures?.isBanned(context.source.address) === true) return drop({ reason: 'banned' }, context)
    const { method } = view
    if (method === 'ACK' || method === 'CANCEL') {
      const name = transactionName(view)
      const user = name === null ? undefined : invites?.match(name, view, context.source, monotonic())
      if (user !== undefined) return pass(user, { context, fields: [] })
    }
    const isTrustedHere = method !== 'REGISTER' && isTrusted(context.source)
    if (method === 'CANCEL' && !isTrustedHere) return refuse(481, { reason: 'invite-unknown' }, context)
    const isInDialog = (view.to?.tagStart ?? -1) >= 0
    // What goes on in a dialog goes to the far end's contact, whose host is nobody's domain.
    if (isInDialog && isTrustedHere) return passTrusted(context)
    // A registration is in no dialog (RFC 3261 §10.2), whatever tag it bears.
    if (isInDialog && inDialog === 'abstain' && method !== 'REGISTER')
      return { verdict: 'abstain', reason: 'in-dialog' }

    // An ACK repeats the credentials of its INVITE.
    const asked = method === 'ACK' ? 'INVITE' : method
    const fields = Object.hasOwn(fieldsOf, asked) ? fieldsOf[asked]! : ['from' as const]
    const place = domains.locate(view, fields)
    const isRelay = place.kind === 'refused' && ['not-relaying', 'from-malformed'].includes(place.reason)
    if (isTrustedHere && !isRelay) return passTrusted(context)
    if (place.kind === 'stranger' && strangers === 'abstain')
      return { verdict: 'abstain', reason: 'stranger' }
    if (place.kind !== 'user') {
      const reason = place.kind === 'stranger' ? 'stranger' : place.reason
      return refuse(reason === 'from-malformed' ? 400 : 403, { reason }, context)
    }
    const { realm } = place
    const status = terminated.has(asked) ? 401 : 407
    return answer({ context, view, realm, status, fields, origin: originOf(context, view, realm) })
  }

  /** Finds the answer to an earlier challenge, and whether it fits it. */
  function answer(request: Case): Verdict | Promise<Verdict> {
    const { context, view, realm, status, origin } = request
    const given = findCredentials(view, SCHEMES[status][1], realm)
    if (given.found === 'none') return challenge(request, { reason: 'credentials-missing', realm }, 'new')
    if (given.found === 'fault') return refuse(400, { reason: given.reason, realm }, context)
    const chosen = chooseAnswer(given.items)
    if (!chosen.ok) return refuse(400, { reason: chosen.reason, realm }, context)
    const { username } = chosen.credentials
    const requestUri = view.method === 'ACK' ? undefined : view.requestUri
    const checked = checkAnswer(chosen.credentials, { origin, requestUri }, nonces)
    if (!checked.ok) {
      const { reason } = checked
      const told = { reason, realm, username }
      // Our own form under a key that is gone or another source: a client that is told so asks nobody for a password. One
      // that cuts nonces short would go round for ever.
      if (reason === 'nonce-foreign') return challenge(request, told, 'stale')
      if (reason === 'nonce-malformed') return challenge(request, told, 'new')
      const isShape = reason === 'qop-missing' || reason === 'qop-mismatch' || reason === 'opaque-mismatch'
      return refuse(isShape ? 400 : 403, told, context)
    }
    return prove({ ...request, answer: chosen.credentials, facts: checked.facts, age: checked.age })
  }

  return { name: 'digest', judge }
}

function originOf({ source }: MessageContext, view: MessageView, realm: string): Case['origin'] {
  const { callId } = view.layout
  const { from, to } = view
  const isInDialog = to !== null && to.tagStart >= 0
  return {
    realm,
    source: source.address,
    callId: view.text(view.valueStart(callId), view.valueEnd(callId)).trimEnd(),
    fromTag: from === null || from.tagStart < 0 ? '' : view.text(from.tagStart, from.tagEnd),
    scope: view.method === 'REGISTER' ? 'register' : isInDialog ? 'dialog' : 'initial',
  }
}
