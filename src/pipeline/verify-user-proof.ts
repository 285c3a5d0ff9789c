/**
 * An answer that fits its challenge, judged: by the account's HA1 or a hook's decision, then age, status, identity and
 * nonce count.
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { proveAnswer } from '../digest/answer.ts'
import { authenticationInfoFor, nextNonceInfo } from '../digest/authentication-info.ts'
import type { CredentialHook, HookDecision } from '../digest/credential-hook.ts'
import type { Account, AccountFacts, CredentialStore } from '../digest/credential-store.ts'
import type { DigestCredentials } from '../digest/credentials.ts'
import type { Failures } from '../digest/failures.ts'
import { hookQuery } from '../digest/hook-query.ts'
import { fitsAccount } from '../digest/identity.ts'
import type { NonceFacts, Nonces } from '../digest/nonce.ts'
import { settle } from '../digest/settle.ts'
import { transmissionOf } from '../digest/transmission.ts'
import type { UserDomains } from '../digest/user-domain.ts'
import type { UserReason } from '../digest/user-event.ts'
import type { ClaimResult, Claims } from './claim.ts'
import { transactionName, type InviteTable } from './invite-table.ts'
import type { HeaderLines, Verdict } from './stage.ts'
import { SCHEMES, type Case, type Told, type User, type UserVerdicts } from './verify-user-verdicts.ts'

/** A request whose answer fits its challenge; only the password is left to prove. */
export interface Answered extends Case {
  readonly answer: DigestCredentials
  readonly facts: NonceFacts
  readonly age: 'fresh' | 'stale'
}

/** What proofs are judged with. */
export interface ProofOptions {
  readonly credentials: CredentialStore | CredentialHook
  readonly nonces: Nonces
  readonly claims: Claims
  readonly onFailure: 'refuse' | 'challenge'
  readonly failures: Failures | undefined
  readonly invites: InviteTable<User> | undefined
  readonly monotonic: () => number
  readonly domains: UserDomains
  readonly verdicts: UserVerdicts
}

/** An account whose password was proved. */
interface Proved {
  readonly account: AccountFacts
  /** Undefined where a hook decided, which keeps it. */
  readonly ha1: KeyObject | undefined
}

/** How long after its INVITE the ACK of a call may repeat its credentials: nobody lets it ring longer. */
const ACK_WINDOW = 7_200_000

const toldOf = ({ realm, answer: { username } }: Answered, reason: UserReason): Told => ({
  reason,
  realm,
  username,
})

/** Creates the judge of answers. */
export function createProof(options: ProofOptions): (request: Answered) => Verdict | Promise<Verdict> {
  const { credentials, nonces, claims, failures, invites, monotonic, domains, verdicts } = options
  // Asked each time: shared claims that were lost know less from then on.
  const knownSince = (): number => claims.since?.getTime() ?? -Infinity

  const refuse = (request: Answered, status: number, reason: UserReason, message?: string): Verdict =>
    verdicts.refuse(
      status,
      { ...toldOf(request, reason), ...(message !== undefined && { message }) },
      request.context,
    )

  function judge(request: Answered): Verdict | Promise<Verdict> {
    const unavailable = (): Verdict => refuse(request, 503, 'store-unavailable')
    const { answer, context, view, realm } = request
    const { username, spec } = answer
    if (failures?.isUserBanned(context.source.address, userKey(username, realm)) === true)
      return verdicts.drop(toldOf(request, 'banned'), context)
    return 'decide' in credentials
      ? settle(
          () => credentials.decide(hookQuery(view, answer, context.source)),
          (decision) => decided(request, decision),
          unavailable,
        )
      : settle(
          () => credentials.find({ username, realm, algorithm: spec.hash }),
          (account) => prove(request, account),
          unavailable,
        )
  }

  function decided(request: Answered, decided: HookDecision): Verdict | Promise<Verdict> {
    switch (decided.decision) {
      case 'ok':
        return weigh(request, { account: decided.account, ha1: undefined })
      case 'fail': {
        const { address } = request.context.source
        const ban = decided.source === 'ban' ? failures?.ban(address) : undefined
        return fail(request, 'hook-refused', decided.message, ban)
      }
      case 'forbid':
        return refuse(request, 403, 'hook-forbidden', decided.message)
    }
  }

  function prove(request: Answered, account: Account | undefined): Verdict | Promise<Verdict> {
    const { answer, view } = request
    const method = view.method === 'ACK' ? 'INVITE' : view.method
    const proof = proveAnswer(answer, account, { method, body: view.body })
    if (!proof.ok || account === undefined) return fail(request, proof.ok ? 'user-unknown' : proof.reason)
    return weigh(request, { account, ha1: proof.ha1 })
  }

  /** A wrong password: counted. */
  function fail(request: Answered, reason: UserReason, message?: string, banned?: 'source'): Verdict {
    const { context, realm, answer } = request
    const ban = banned ?? failures?.fail(context.source.address, userKey(answer.username, realm))
    const told: Told = { ...toldOf(request, reason), ban, ...(message !== undefined && { message }) }
    return options.onFailure === 'challenge'
      ? verdicts.challenge(request, told, 'new')
      : verdicts.refuse(403, told, context)
  }

  /** The password is right; whether the request may pass. */
  function weigh(request: Answered, proved: Proved): Verdict | Promise<Verdict> {
    const { view, realm, facts } = request
    const { account } = proved
    const isAck = view.method === 'ACK'
    if (isAck) {
      if (facts.made < nonces.time() - ACK_WINDOW) return refuse(request, 403, 'nonce-stale')
    } else if (request.age === 'stale' || facts.made < knownSince()) {
      return verdicts.challenge(request, toldOf(request, 'nonce-stale'), 'stale')
    }
    if (account.status !== 'active') return refuse(request, 403, 'account-inactive')
    if (!fitsAccount(view, account, request.fields, (host) => domains.isHostOf(realm, host)))
      return refuse(request, 403, 'identity-mismatch')
    // Its count was taken by the INVITE, and it asks for nothing.
    if (isAck) return verdicts.pass(userOf(account, realm), request)
    return count(request, proved)
  }

  /** Takes the nonce count: only now, so that a wrong answer spoils none. */
  function count(request: Answered, proved: Proved): Verdict | Promise<Verdict> {
    const { answer, context, view, facts } = request
    const key = `nonce:${answer.nonce}:${answer.counted?.nc.toLowerCase() ?? ''}`
    return settle<ClaimResult, Verdict>(
      () => claims.claim(key, transmissionOf(view, context.source), nonces.window),
      (result) => {
        if (result === 'full') return refuse(request, 503, 'claims-full')
        if (result === 'other') return verdicts.challenge(request, toldOf(request, 'nonce-replayed'), 'stale')
        // Asking may have shown that the claims were lost: then it only seems to be the first time.
        if (result === 'new' && facts.made < knownSince())
          return verdicts.challenge(request, toldOf(request, 'nonce-stale'), 'stale')
        return accept(request, proved)
      },
      () => refuse(request, 503, 'claims-unavailable'),
    )
  }

  function accept(request: Answered, { account, ha1 }: Proved): Verdict {
    const { context, view, realm, status } = request
    const user = userOf(account, realm)
    // Not before: a copy of somebody's right answer makes nobody known.
    failures?.succeed(context.source.address, userKey(request.answer.username, realm))
    if (view.method === 'INVITE' && invites !== undefined) {
      const name = transactionName(view)
      // Where there is no room the call goes on; its CANCEL is refused.
      if (name !== null) invites.remember(name, view, context.source, user, monotonic())
    }
    return verdicts.pass(user, request, (body): HeaderLines => {
      const info = infoOf(request, ha1, body)
      return info === undefined ? [] : [[SCHEMES[status][2], info]]
    })
  }

  /** Authentication-Info, with the next nonce once this one is past half its life. */
  function infoOf(
    { answer, facts, origin }: Answered,
    ha1: KeyObject | undefined,
    body?: Uint8Array,
  ): string | undefined {
    const isOld = nonces.time() - facts.made > nonces.lifetime / 2
    const next = isOld ? nonces.make(answer.spec.name, facts.qop, origin) : undefined
    return ha1 === undefined ? nextNonceInfo(next) : authenticationInfoFor(answer, ha1, body, next)
  }

  return judge
}

/** No user name or realm holds a control character. */
const userKey = (username: string, realm: string): string => `${username}\0${realm}`

function userOf({ username, attributes }: AccountFacts, realm: string): User {
  return { kind: 'user', username, realm, attributes: attributes ?? {} }
}
