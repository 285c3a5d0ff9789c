/**
 * Phones at the edge: what judges them, what answers them, and what is told of them.
 * @module
 */
import type { CredentialHook } from '../digest/credential-hook.ts'
import type { CredentialStore } from '../digest/credential-store.ts'
import type { KeyringSource } from '../keyring/keyring.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { BackendFacts, UserFacts } from '../metrics/users.ts'
import type { UdpSocket } from '../transport/udp.ts'
import type { Branches } from './branch.ts'
import type { EdgeConfig } from './config.ts'
import type { UsersConfig } from './config-users.ts'
import type { EdgeEvent, Side } from './event.ts'
import { createFlowTokens } from './flow-token.ts'
import type { DropReason, MessageCounter } from './message-counter.ts'
import type { EdgeClaims } from './open-claims.ts'
import type { Relay } from './relay.ts'
import type { RouteSet } from './route-set.ts'
import { createUserBudget } from './user-budget.ts'
import { createUserObserver } from './user-events.ts'
import { createUserResponses } from './user-responses.ts'
import { createUserStages, monotonicNow } from './user-stages.ts'
import { createUserTraffic, type UserTraffic } from './user-traffic.ts'

/** The stores that users are looked up in. Whoever opened them closes them. */
export interface UserStores {
  readonly credentials: CredentialStore | CredentialHook
  readonly claims: EdgeClaims
  /** The clock that `claims` were opened with. */
  readonly time: () => number
  readonly backend: () => BackendFacts
}

/** What of the edge's traffic phones need. */
export interface UserFlowOptions {
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  readonly branches: Branches
  readonly relay: Relay
  readonly secret: string
  readonly countOut: MessageCounter
  readonly isTrunk: (source: Endpoint) => boolean
  readonly isUpstream: (source: Endpoint) => boolean
  readonly isOurs: (source: Endpoint) => boolean
  readonly drop: (side: Side, reason: DropReason, source: Endpoint) => void
  readonly refuse: (side: Side, source: Endpoint, answer: () => Buffer | undefined) => void
  readonly respond: (side: Side, view: MessageView, source: Endpoint, status: number) => void
}

/** Messages from and to phones. */
export interface UserFlow {
  /** Takes a message from a source that is no trunk's. */
  fromUser(view: MessageView, context: MessageContext): void
  /** A request of the upstream that bears a flow token. */
  fromUpstream(view: MessageView, context: MessageContext, routes: RouteSet): void
  /** A response of the upstream; false where it is none to a phone. */
  toUser(view: MessageView, context: MessageContext): boolean
  drain(): void
  close(): void
}

/** Phones, before traffic begins. */
export interface EdgeUsers {
  open(options: UserFlowOptions): UserFlow
  /** INVITEs remembered. */
  readonly invites: number
}

/** What `createEdgeUsers` takes. */
export interface EdgeUsersOptions {
  readonly config: EdgeConfig
  readonly users: UsersConfig
  readonly stores: UserStores
  readonly keyring: KeyringSource
  /** The time by which keys begin and end. */
  readonly keyTime: () => Date
  readonly metrics: Metrics
  readonly emit: (event: EdgeEvent) => void
  readonly onDecision: ((event: EdgeEvent) => void) | undefined
  /** Addresses of the sockets. */
  readonly locals: Readonly<Record<Side, Endpoint>>
}

/**
 * Sets up what judges phones.
 * @throws ConfigError where the keyring lacks the group of the nonces
 */
export function createEdgeUsers(options: EdgeUsersOptions): EdgeUsers {
  const { config, users, stores, keyring, keyTime, metrics, emit, onDecision, locals } = options
  const tokens = createFlowTokens({ keyring, group: users.nonces.group, now: keyTime })
  const facts = (): UserFacts => ({
    pending: traffic?.pending ?? { waiting: 0, overflows: 0 },
    bans: { active: stages.failures.banned, overflows: stages.failures.overflows },
    claims: stores.claims.facts(),
    backend: stores.backend(),
  })
  let traffic: UserTraffic | undefined
  const stages = createUserStages({
    config: users,
    keyring,
    credentials: stores.credentials,
    claims: stores.claims.claims,
    time: stores.time,
    monotonic: monotonicNow,
    tokens,
    own: [locals.trunk, locals.upstream],
    observe: createUserObserver({ metrics: metrics.forUsers(facts), emit, now: monotonicNow }),
  })

  function open(flow: UserFlowOptions): UserFlow {
    const responses = createUserResponses({
      ...flow,
      note: (transaction, status) => stages.note(transaction, status),
    })
    const budget = createUserBudget(users.limits.requestsPerSecond, monotonicNow)
    const opened = createUserTraffic({
      ...flow,
      config,
      limits: users.limits,
      locals,
      stages,
      tokens,
      responses,
      now: monotonicNow,
      emit,
      onDecision,
      onAccepted: (address) => budget.note(address),
    })
    traffic = opened
    return {
      fromUser(view, context) {
        if (view.kind === 'response') responses.fromUser(view, context)
        else if (budget.take(context.source.address)) opened.request(view, context)
        else flow.drop('trunk', 'users-overload', context.source)
      },
      fromUpstream: (view, context, routes) => opened.fromUpstream(view, context, routes),
      toUser: (view, context) => responses.toUser(view, context),
      drain: () => opened.drain(),
      close: () => opened.close(),
    }
  }

  return {
    open,
    get invites() {
      return stages.invites
    },
  }
}
