/**
 * A stack put together: sockets, the way in, transactions, the way out, the app.
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { refuseUnparsed } from '../pipeline/authenticate.ts'
import type { Identity } from '../pipeline/stage.ts'
import { createLimiter } from '../transport/limiter.ts'
import { every, hostName, now } from '../transport/system.ts'
import type { TcpConnection } from '../transport/tcp-connection.ts'
import { createClient } from './sip-client.ts'
import { toUri } from './sip-fields.ts'
import { createFlows } from './sip-flow.ts'
import { createInbound, type Arrival } from './sip-inbound.ts'
import { createInvites } from './sip-invites.ts'
import { listen } from './sip-listen.ts'
import type { SipDecided, SipOptions, SipSettings, SipStackEvent } from './sip-options.ts'
import { createOutbound, type Outbound, type SipSockets } from './sip-outbound.ts'
import { makeResponse, makeTransactionLayer, ownResponse } from './sip-package.ts'
import {
  createTransactions,
  transactionId,
  type ResponseCallback,
  type ServerTransaction,
} from './sip-transactions.ts'
import type { SipRemote, SipRequest, SipRequestInit, SipResponse, SipUri } from './sip-types.ts'

/**
 * The app: gets each accepted request once, retransmissions aside. What it throws, or rejects with, becomes a 500 and an
 * event. `identity`: whom the request is from; of a CANCEL without a token, whom its INVITE was from.
 */
export type SipHandler = (request: SipRequest, remote: SipRemote, identity: Identity) => unknown

/** A stack: what `sip.create` returns, and `ready`. */
export interface SipStack {
  /** Where it listens, once it does. Rejects where it cannot. Messages sent before wait for it. */
  readonly ready: Promise<Endpoint>
  /**
   * Sends a request, or the response to one that the handler got. Never throws because of what is in it: a request that
   * cannot be sent calls back with 400, 404, 408, 416 or 503, a final response that cannot be sent goes as 500.
   * @param callback gets every response to a request, and whom it is from; `identity` is absent of those made here
   */
  send(message: SipRequestInit | SipRequest | SipResponse, callback?: ResponseCallback): void
  /** A URI for Path or Record-Route that leads back to where a request came from. */
  encodeFlowUri(flow: SipRemote): SipUri
  /** Where a URI of `encodeFlowUri` leads; undefined for any other. */
  decodeFlowUri(uri: string | SipUri): SipRemote | undefined
  isFlowUri(uri: string | SipUri): boolean
  /** What Via names us by. */
  hostname(): string
  /** Ends all transactions and closes all sockets. */
  destroy(): Promise<void>
}

/** How often what is overdue is looked for, milliseconds. */
const SWEEP = 5000

/** What an open stack sends with. */
interface Opened {
  readonly sockets: SipSockets
  readonly outbound: Outbound
  readonly request: (request: SipRequest, callback: ResponseCallback) => void
}

/** Runs what the app wrote: neither what it throws nor what it rejects with goes further. */
function runApp(run: () => unknown, failed: (error: unknown) => void): void {
  const fail = (error: unknown): void => quietly(() => failed(error))
  try {
    const result = run()
    // Not by class: older apps bring promises of their own.
    if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function') {
      Promise.resolve(result).catch(fail)
    }
  } catch (error) {
    fail(error)
  }
}

/** Creates a stack from options that were checked. */
export function createStack(options: SipOptions, settings: SipSettings, handler: SipHandler): SipStack {
  const { limits } = settings
  const host = nameOf(options, settings)
  const flows = createFlows(host)
  const secret = randomBytes(16).toString('hex')
  const transactions = createTransactions(makeTransactionLayer(options), limits.transactions)
  const invites = settings.unsigned === 'match' ? createInvites(limits.transactions) : undefined
  const mayRefuse = createLimiter(limits.refusalsPerSecond)
  let opened: Opened | undefined
  let destroyed = false

  const tell = (event: SipStackEvent): void => {
    const { error } = event
    quietly(() => options.logger?.error?.(error ?? new Error(`${event.event}: ${event.reason}`)))
    quietly(() => options.onError?.(event))
  }
  const decided = (event: SipDecided): void => {
    try {
      options.onDecision?.(event)
    } catch (error) {
      tell({ event: 'hook-failed', reason: 'onDecision threw', error })
    }
  }

  function answer(transaction: ServerTransaction, response: SipResponse): void {
    const status = transaction.send(withTag(response, transaction))
    if (status !== 0 && transaction.invite !== undefined) invites?.note(transaction.invite, status, now())
  }

  const closed = (): boolean => destroyed
  const inbound = createInbound({
    pipeline: options.pipeline,
    transactions,
    invites,
    limits,
    mayRefuse,
    secret,
    now,
    closed,
    logger: options.logger,
    onDecision: decided,
    onThrown: (what, error, remote) => tell({ event: 'hook-failed', reason: `${what} threw`, error, remote }),
    onRequest: (request, remote, identity, transaction) =>
      runApp(
        () => handler(request, remote, identity),
        (error) => {
          tell({ event: 'handler-failed', reason: request.method, error, remote })
          if (transaction === undefined || transaction.final !== 0) return
          answer(transaction, makeResponse(request, 500, 'Server Internal Error'))
        },
      ),
  })

  function arrivalOf(from: Omit<MessageContext, 'message'>, tcp: TcpConnection | undefined): Arrival {
    return {
      from,
      answer: (bytes) =>
        tcp === undefined ? opened?.sockets.udp?.send(bytes, from.source) : tcp.send(bytes),
      reply: (sign) => opened!.outbound.reply(from.source, tcp, sign),
      close: () => tcp?.end(),
    }
  }

  const opening = listen(options, settings, {
    onMessage: (bytes, from, tcp) => {
      if (opened !== undefined && !destroyed) inbound.receive(bytes, arrivalOf(from, tcp))
    },
    onFault: (fault, head, from, tcp) => {
      // A datagram would be answered where only its length is wrong; so is a stream, before it is closed.
      const { respond } = refuseUnparsed(
        head,
        from,
        LENGTH_FAULTS.has(fault) ? 'content-length-malformed' : 'empty',
      )
      decided({ decision: { verdict: 'drop', reason: fault, stage: 'framing' }, ...from })
      if (respond !== undefined && mayRefuse(from.source.address, now())) tcp.send(respond)
    },
    onError: (error) => tell({ event: 'socket-error', reason: error.message, error }),
  }).then((sockets) => {
    const local = (sockets.udp ?? sockets.tcp)!.local
    const outbound = createOutbound({ options, settings, sockets, host, port: local.port, tell })
    const own = { host, port: local.port, transports: settings.transports, flows }
    opened = { sockets, outbound, request: createClient({ own, outbound, transactions, now, closed, tell }) }
    return local
  })
  opening.catch((error: unknown) => tell({ event: 'socket-error', reason: String(error), error }))
  // Of its own, so that a port that cannot be had ends an app that neither waits for `ready` nor listens to errors.
  const ready = opening.then((local) => local)
  if (options.onError !== undefined) ready.catch(() => {})

  const stop = every(SWEEP, () => {
    inbound.sweep(now())
    transactions.sweep(now(), (method) =>
      tell({ event: 'transaction-ended', reason: `${method} without a final response` }),
    )
  })

  function send(message: SipRequest | SipResponse, callback: ResponseCallback): void {
    if (message.method === undefined) {
      const id = transactionId(message, message.headers.cseq.method)
      const transaction = id === undefined ? undefined : transactions.server(id)
      if (transaction !== undefined) return answer(transaction, message)
      return tell({ event: 'not-sent', reason: 'the response belongs to no request' })
    }
    if (destroyed || opened === undefined) callback(ownResponse(message, 503, 'Service Unavailable'))
    else opened.request(message, callback)
  }

  let destroying: Promise<void> | undefined
  async function destroy(): Promise<void> {
    destroyed = true
    stop()
    await opening.catch(() => {})
    if (opened !== undefined) await close(opened.sockets)
    // Behind the sockets: what was sent a moment ago has begun by then.
    transactions.close()
  }

  const decodeFlowUri = (uri: string | SipUri): SipRemote | undefined => {
    const object = typeof uri === 'string' ? toUri(uri) : uri
    return typeof object === 'string' ? undefined : flows.decodeFlowUri(object)
  }
  return {
    ready,
    send(message, callback) {
      const safe: ResponseCallback = (response, identity) =>
        runApp(
          () => callback?.(response, identity),
          (error) => tell({ event: 'handler-failed', reason: `a response to ${message.method}`, error }),
        )
      const go = (): void => {
        try {
          send(message as SipRequest | SipResponse, safe)
        } catch (error) {
          tell({ event: 'not-sent', reason: 'not a message', error })
          safe(ownResponse(message as SipRequest, 400, 'Bad Request'))
        }
      }
      if (opened !== undefined || destroyed) go()
      else void opening.then(go, go)
    },
    encodeFlowUri: (flow) => flows.encodeFlowUri(flow),
    decodeFlowUri,
    isFlowUri: (uri) => decodeFlowUri(uri) !== undefined,
    hostname: () => host,
    destroy: () => (destroying ??= destroy()),
  }
}

const LENGTH_FAULTS: ReadonlySet<string> = new Set([
  'content-length-missing',
  'content-length-malformed',
  'content-length-repeated',
  'body-too-long',
])

function nameOf(options: SipOptions, { address }: SipSettings): string {
  const wildcard = address === '0.0.0.0' || address === '::'
  const own = options.publicAddress ?? (wildcard ? options.hostname : address) ?? hostName()
  return own.includes(':') && !own.startsWith('[') ? `[${own}]` : own
}

/** The response with a To tag (RFC 3261 §8.2.6.2), one a transaction: the package adds none, and templates may ask for it. */
function withTag(response: SipResponse, transaction: ServerTransaction): SipResponse {
  const { to } = response.headers
  if (response.status === 100 || typeof to !== 'object' || to.params?.['tag'] != null) return response
  const tag = (transaction.tag ??= randomBytes(6).toString('hex'))
  // Copied: the app's request shares the object, and has no tag until a dialog is there.
  return { ...response, headers: { ...response.headers, to: { ...to, params: { ...to.params, tag } } } }
}

async function close({ udp, tcp }: SipSockets): Promise<void> {
  await Promise.all([udp?.close(), tcp?.close()])
}

function quietly(run: () => void): void {
  try {
    run()
  } catch {
    // What reports errors failed itself; there is nobody left to tell.
  }
}
