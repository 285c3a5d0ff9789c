/**
 * Who judges what comes from phones: the digest stage, and around it what needs the edge's own routes.
 * @module
 */
import { ownCredentials, headersOfOurs } from '../digest/own-credentials.ts'
import { createFailures, type Failures } from '../digest/failures.ts'
import { unprovedHeaders } from '../digest/identity.ts'
import { createNonces } from '../digest/nonce.ts'
import { createSteadyClock } from '../digest/steady-clock.ts'
import type { CredentialHook } from '../digest/credential-hook.ts'
import type { CredentialStore } from '../digest/credential-store.ts'
import { compileUserDomains } from '../digest/user-domain.ts'
import type { UserEvent } from '../digest/user-event.ts'
import type { KeyringSource } from '../keyring/keyring.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { Claims } from '../pipeline/claim.ts'
import { createInviteTable, transactionName } from '../pipeline/invite-table.ts'
import { createPipeline } from '../pipeline/pipeline.ts'
import { matchRanges } from '../pipeline/source.ts'
import type { Identity, Pipeline, Stage, Verdict } from '../pipeline/stage.ts'
import { verifyUser } from '../pipeline/verify-user.ts'
import { isSameEndpoint } from './config-address.ts'
import type { UsersConfig } from './config-users.ts'
import { inDialog } from './facts.ts'
import type { FlowTokens } from './flow-token.ts'
import { readRoutes } from './route-set.ts'

/** What judges phones. */
export interface UserStages {
  readonly pipeline: Pipeline
  readonly failures: Failures
  /** Takes note of a response to an INVITE of a phone, by the name of its transaction. */
  note(transaction: string, status: number): void
  /** INVITEs that are remembered. */
  readonly invites: number
}

/** What `createUserStages` takes. */
export interface UserStageOptions {
  readonly config: UsersConfig
  readonly keyring: KeyringSource
  readonly credentials: CredentialStore | CredentialHook
  readonly claims: Claims
  /** The clock by which nonces are made: it never goes back. */
  readonly time: () => number
  /** Milliseconds of a clock that does not step. */
  readonly monotonic: () => number
  readonly tokens: FlowTokens
  /** Addresses of our sockets. */
  readonly own: readonly Endpoint[]
  readonly observe: (event: UserEvent, context: MessageContext) => void
}

/** No tag in their To makes them part of a dialog: who registers or publishes proves who it is. */
const IN_NO_DIALOG: ReadonlySet<string> = new Set(['REGISTER', 'PUBLISH'])

/** Whom a request is from that proved its dialog, or that nobody asked. */
const UNKNOWN: Identity = { kind: 'unsigned', peer: '_users' }

/** Milliseconds of a clock that does not step. */
export function monotonicNow(): number {
  return performance.now()
}

/** The clock of nonces and claims. */
export function createUserClock(): () => number {
  return createSteadyClock(() => new Date(), monotonicNow)
}

/**
 * Builds the stages.
 * @throws ConfigError where the keyring has no group for nonces
 */
export function createUserStages(options: UserStageOptions): UserStages {
  const { config, keyring, credentials, claims, time, monotonic, tokens, own, observe } = options
  const { invites: capacity } = config.limits
  const isAllowed = matchRanges(config.failures.allow)
  const isTrusted = matchRanges(config.trusted)
  const failures = createFailures({
    ...config.failures,
    isAllowed: (address) => isAllowed({ address, port: 0 }),
    now: monotonic,
  })
  const domains = compileUserDomains(config.stage)
  const invites = createInviteTable<Extract<Identity, { readonly kind: 'user' }>>(capacity)
  /** INVITEs that passed without anybody's password. */
  const unasked = createInviteTable<true>(capacity)
  const acceptsStrangers = config.strangers === 'forward'

  /** Accepts without proof of who it is: what is ours in the request goes all the same, and who it says it is. */
  function pass(view: MessageView, context: MessageContext): Verdict {
    observe({ event: 'accepted' }, context)
    const lines = ownCredentials(view, (realm) => domains.isOurs(realm, undefined))
    const whole: readonly string[] = headersOfOurs(view, lines)
    const edit = lines.filter(({ name }) => !whole.includes(name))
    const remove = [...whole, ...unprovedHeaders(view, [])]
    return { verdict: 'accept', identity: UNKNOWN, remove, ...(edit.length > 0 && { edit }) }
  }

  /** The same, and remembers an INVITE for its CANCEL. */
  function passInvite(view: MessageView, context: MessageContext): Verdict {
    const name = view.method === 'INVITE' ? transactionName(view) : null
    if (name !== null) unasked.remember(name, view, context.source, true, monotonic())
    return pass(view, context)
  }

  /**
   * Whether its From is not of our domains, so that nobody here can be asked for a password: a stranger's, or that of a
   * phone that was called by such a name. Who writes one of our users there is asked.
   */
  function isFromElsewhere(view: MessageView): boolean {
    const place = domains.locate(view, ['from'])
    return place.kind === 'stranger' || (place.kind === 'refused' && place.reason === 'not-relaying')
  }

  /** In a dialog: the token that we laid into its Record-Route, from the address that it was made for. */
  const dialog: Stage = {
    name: 'dialog',
    judge(context) {
      const view = viewOf(context.message)
      const { method } = view
      // A trusted source is asked nothing anyway, and keeps what it asserts.
      if (failures.isBanned(context.source.address) || isTrusted(context.source))
        return { verdict: 'abstain' }
      if (method === 'ACK' || method === 'CANCEL') {
        const name = unasked.size === 0 ? null : transactionName(view)
        const isKnown = name !== null && unasked.match(name, view, context.source, monotonic()) === true
        if (isKnown) return pass(view, context)
      }
      if (method === 'CANCEL' || IN_NO_DIALOG.has(method) || !inDialog(view)) return { verdict: 'abstain' }
      // An ACK cannot be challenged, and not every phone repeats the credentials of its INVITE in it.
      const isEnough = config.inDialog === 'route' || method === 'ACK' || isFromElsewhere(view)
      if (!isEnough) return { verdict: 'abstain' }
      const routes = readRoutes(view, own, 'trunk')
      if (routes === 'malformed' || routes.flow === undefined) return { verdict: 'abstain' }
      const token = tokens.read(routes.flow, view)
      const isProved = token?.kind === 'dialog' && isSameEndpoint(token.flow, context.source)
      return isProved ? passInvite(view, context) : { verdict: 'abstain' }
    },
  }

  /** Behind the digest stage, which leaves nothing to it but requests from other domains to ours. */
  const strangers: Stage = {
    name: 'strangers',
    judge: (context) => passInvite(viewOf(context.message), context),
  }

  const digest = verifyUser({
    ...config.stage,
    strangers: acceptsStrangers ? 'abstain' : 'reject',
    trusted: isTrusted,
    credentials,
    claims,
    nonces: createNonces({ keyring, time, ...config.nonces }),
    failures,
    invites,
    observe,
    monotonic,
  })

  return {
    pipeline: createPipeline(acceptsStrangers ? [dialog, digest, strangers] : [dialog, digest]),
    failures,
    note(transaction, status) {
      invites.note(transaction, status, monotonic())
      unasked.note(transaction, status, monotonic())
    },
    get invites() {
      return invites.size + unasked.size
    },
  }
}
