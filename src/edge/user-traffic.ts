/**
 * What happens to messages from and to phones: sources that are no trunk's, where `[users]` is configured. A request is
 * judged and goes to the upstream, or is answered; the upstream reaches a phone by the flow token that it was given.
 * @module
 */
import { hash } from 'node:crypto'
import { cutLines } from '../message/line-edit.ts'
import { headerSelector } from '../message/header-names.ts'
import { buildResponse } from '../message/respond.ts'
import type { Cut } from '../message/splice.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import { responseOf } from '../pipeline/authenticate.ts'
import { transactionName } from '../pipeline/invite-table.ts'
import type { Decision } from '../pipeline/stage.ts'
import type { EdgeConfig } from './config.ts'
import { decided, type EdgeEvent, type Side } from './event.ts'
import { callIdOf, inDialog, startsWork } from './facts.ts'
import type { FlowTokens } from './flow-token.ts'
import type { Path } from './path.ts'
import { createPending } from './pending.ts'
import { createRefusalSampler } from './refusal-sampler.ts'
import type { Relay } from './relay.ts'
import { readRoutes, withoutRoutes, type RouteSet } from './route-set.ts'
import { pathFromUser, pathToUser } from './user-path.ts'
import type { UserResponses } from './user-responses.ts'
import type { UserStages } from './user-stages.ts'

/** How many requests wait, and how many more than there was room for were refused. */
export interface PendingFacts {
  readonly waiting: number
  readonly overflows: number
}

/** Messages of phones. */
export interface UserTraffic {
  /** Takes a request from a source that is no trunk's. */
  request(view: MessageView, context: MessageContext): void
  /** A request of the upstream whose Route or Request-URI bears a flow token. */
  fromUpstream(view: MessageView, context: MessageContext, routes: RouteSet): void
  readonly pending: PendingFacts
  /** From now on what begins something new is answered 503, without asking who it is. */
  drain(): void
  /** Nothing is done any more about what waits. */
  close(): void
}

/** What `createUserTraffic` takes. */
export interface UserTrafficOptions {
  readonly config: EdgeConfig
  readonly limits: { readonly pending: number; readonly pendingPerSource: number }
  readonly locals: Readonly<Record<Side, Endpoint>>
  readonly stages: UserStages
  readonly tokens: FlowTokens
  readonly responses: UserResponses
  readonly relay: Relay
  /** Distinguishes this node's To tags. */
  readonly secret: string
  readonly now: () => number
  readonly emit: (event: EdgeEvent) => void
  readonly onDecision: ((event: EdgeEvent) => void) | undefined
  readonly refuse: (side: Side, source: Endpoint, answer: () => Buffer | undefined) => void
  readonly respond: (side: Side, view: MessageView, source: Endpoint, status: number) => void
  /** Told of each address from which a user was accepted. */
  readonly onAccepted: (address: string) => void
  /** Whether an address is a trunk's now. */
  readonly isTrunk: (source: Endpoint) => boolean
}

/** Stands for users in what is told of them: which one is in the event of its own. */
const PEER = '_users'

/** Creates the traffic of phones. */
export function createUserTraffic(options: UserTrafficOptions): UserTraffic {
  const { config, limits, locals, stages, tokens, responses, relay, secret, now, emit, onDecision } = options
  const { refuse, respond, isTrunk, onAccepted } = options
  const own = [locals.trunk, locals.upstream]
  const noPhones = [...own, config.upstream.target]
  const pathOptions = { locals, target: config.upstream.target, tokens }
  const sampleRefusal = createRefusalSampler(emit, now)
  const pending = createPending<Decision>({
    capacity: limits.pending,
    perSource: limits.pendingPerSource,
    onError: (error) => emit({ event: 'socket-error', side: 'trunk', reason: String(error) }),
  })
  let overflows = 0
  let draining = false

  function unavailable(view: MessageView, source: Endpoint): void {
    if (view.method === 'ACK') return
    const headers = [['Retry-After', '5']] as const
    refuse('trunk', source, () => buildResponse(view, source, { status: 503, headers, tagSecret: secret }))
  }

  function request(view: MessageView, context: MessageContext): void {
    const { source } = context
    if (draining && startsWork(view)) return unavailable(view, source)
    const transaction = transactionName(view)
    if (transaction === null) return refuseMalformed(view, source)
    const taken = pending.take({
      // A hash: it takes the same room whatever is sent.
      call: hash('sha256', `${source.address} ${source.port} ${callIdOf(view)}`, 'base64'),
      transaction: `${view.method.slice(0, 32)} ${transaction}`,
      source: source.address,
      judge: () => stages.pipeline.decide(context),
      act: (decision) => act(decision, view, context),
    })
    if (taken !== 'full') return
    overflows++
    unavailable(view, source)
  }

  function refuseMalformed(view: MessageView, source: Endpoint): void {
    if (view.method !== 'ACK') refuse('trunk', source, () => badRequest(view, source))
  }

  const badRequest = (view: MessageView, source: Endpoint): Buffer =>
    buildResponse(view, source, { status: 400, tagSecret: secret })

  function act(decision: Decision, view: MessageView, context: MessageContext): void {
    const { source } = context
    if (onDecision !== undefined) onDecision(decided(decision, PEER, view, context))
    else if (decision.verdict !== 'accept') sampleRefusal(decision, PEER, view, context)
    if (decision.verdict === 'drop') return
    if (decision.verdict !== 'accept') {
      return refuse('trunk', source, () =>
        buildResponse(view, source, { ...responseOf(decision), tagSecret: secret }),
      )
    }
    if (decision.identity.kind === 'user') onAccepted(source.address)
    const routes = routesOf(view)
    if (routes === 'malformed') return respond('trunk', view, source, 400)
    const path = pathFromUser(source, view, pathOptions)
    if (path === undefined) return unavailable(view, source)
    const cuts: Cut[] = [...routes.cuts]
    removeHeaders(view, decision.remove, cuts)
    if (decision.edit !== undefined) cutLines(view, decision.edit, cuts)
    if (decision.answer !== undefined) responses.expect(path.name, view, decision.answer)
    relay.request(path, view, context, { ...routes, cuts })
  }

  /** A route that we did not record leads nowhere: nobody uses us, or the upstream, as an open relay. */
  function routesOf(view: MessageView): RouteSet | 'malformed' {
    if (!inDialog(view)) return withoutRoutes(view)
    const routes = readRoutes(view, own, 'trunk')
    if (routes === 'malformed') return routes
    const token = routes.flow === undefined ? undefined : tokens.read(routes.flow, view)
    return token?.kind === 'dialog' ? routes : withoutRoutes(view)
  }

  function fromUpstream(view: MessageView, context: MessageContext, routes: RouteSet): void {
    const { source } = context
    const path = pathOf(view, routes)
    if (path === undefined) return respond('upstream', view, source, inDialog(view) ? 481 : 404)
    relay.request(path, view, context, routes)
  }

  function pathOf(view: MessageView, { flow }: RouteSet): Path | undefined {
    const token = flow === undefined ? undefined : tokens.read(flow, view)
    // What is a trunk's today is not reached unsigned by what was made before; nor the upstream, as if a phone called it.
    if (token === undefined || isTrunk(token.flow) || noPhones.some((place) => isAt(place, token.flow)))
      return undefined
    return pathToUser(token.flow, view, pathOptions)
  }

  return {
    request,
    fromUpstream,
    get pending() {
      return { waiting: pending.size, overflows }
    },
    drain() {
      draining = true
    },
    close: () => pending.close(),
  }
}

function isAt(side: Endpoint, { address, port }: Endpoint): boolean {
  return side.address === address && side.port === port
}

function removeHeaders(view: MessageView, names: readonly string[], cuts: Cut[]): void {
  for (const selector of names.map(headerSelector)) {
    for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) {
      cuts.push({ start: view.nameStart(row), end: view.valueEnd(row) + 2, text: '' })
    }
  }
}
