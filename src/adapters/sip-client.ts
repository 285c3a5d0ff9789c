/**
 * Requests of the app: next hop, its targets one after the other, a client transaction for each (RFC 3263 §4.3).
 * @module
 */
import { randomBytes } from 'node:crypto'
import { resolveHop, type Target } from '../transport/resolve.ts'
import { nextHop, type NextHop, type OwnHost } from './sip-next-hop.ts'
import type { SipStackEvent } from './sip-options.ts'
import type { Outbound } from './sip-outbound.ts'
import { ownResponse } from './sip-package.ts'
import type { ClientTransaction, ResponseCallback, Transactions } from './sip-transactions.ts'
import type { SipParams, SipRequest } from './sip-types.ts'

/** What sending needs. */
export interface ClientOptions {
  readonly own: OwnHost
  readonly outbound: Outbound
  readonly transactions: Transactions
  readonly now: () => number
  /** Whether the stack was destroyed: then nothing is sent any more. */
  readonly closed: () => boolean
  readonly tell: (event: SipStackEvent) => void
}

/** Sends a request; `callback` gets every response, at least one. Never throws. */
export type SendRequest = (request: SipRequest, callback: ResponseCallback) => void

/** Creates the sender. */
export function createClient({ own, outbound, transactions, now, closed, tell }: ClientOptions): SendRequest {
  return (request, callback) => {
    const fail = (status: keyof typeof PHRASES): void =>
      callback(ownResponse(request, status, PHRASES[status]))
    // Headers are missing, or are no such objects as the package would take.
    const refuse = (error: unknown): void => {
      tell({ event: 'not-sent', reason: 'not a request', error })
      fail(400)
    }
    let found: NextHop
    try {
      found = nextHop(request, own)
    } catch (error) {
      return refuse(error)
    }
    if ('status' in found) return fail(found.status)
    const go = (targets: readonly Target[]): void => {
      if (closed()) return fail(503)
      try {
        if (request.method === 'ACK') sendAck(request, targets[0])
        else search(request, [...targets], callback)
      } catch (error) {
        refuse(error)
      }
    }
    if ('flow' in found) go([found.flow])
    else void resolveHop(found.hop).then(go)
  }

  /** The ACK of a 2xx is a request without a transaction (RFC 3261 §13.2.2.4). */
  function sendAck(request: SipRequest, target: Target | undefined): void {
    if (target === undefined) return tell({ event: 'not-sent', reason: 'the ACK leads nowhere' })
    if (!Array.isArray(request.headers.via) || request.headers.via.length === 0) {
      request.headers.via = [{ params: branchParams() }]
    }
    const connection = outbound.connect(target, () => {})
    connection.send(request)
    connection.release()
  }

  function search(request: SipRequest, targets: Target[], callback: ResponseCallback): void {
    let last = 404
    const { headers } = request
    // The app may change or clear its own while this is under way, and retransmissions are the same bytes.
    const base: SipRequest = { ...request, headers: { ...headers } }
    const before = Array.isArray(headers.via) ? headers.via : []
    if (request.method === 'CANCEL' && before.length === 0)
      throw new TypeError('a CANCEL needs the Via of its INVITE')
    next()

    function next(): void {
      const target = targets.shift()
      if (target === undefined) return callback(ownResponse(base, last))
      // The branch of a CANCEL is that of its INVITE.
      const via = base.method === 'CANCEL' ? before : [{ params: branchParams() }, ...before]
      const sent: SipRequest = { ...base, headers: { ...base.headers, via: [...via] } }
      // A CANCEL of the app's is made with them.
      headers.via = via
      let settled = false
      let transaction: ClientTransaction | undefined
      const connection = outbound.connect(target, () => transaction?.message(ownResponse(sent, 503)))
      try {
        transaction = transactions.openClient(
          sent,
          connection,
          (response, identity) => {
            if (response.status === 503 && !settled) {
              last = 503
              settled = true
              return next()
            }
            if (response.status > 100) settled = true
            callback(response, identity)
          },
          now(),
        )
      } catch (error) {
        connection.release()
        throw error
      }
      // The package reads one that was text.
      headers.cseq = sent.headers.cseq
      if (transaction === undefined) {
        connection.release()
        callback(ownResponse(sent, 503, 'Too Many Transactions'))
      }
    }
  }
}

const PHRASES = {
  400: 'Bad Request',
  404: 'Not Found',
  416: 'Unsupported URI Scheme',
  503: 'Service Unavailable',
} as const

/**
 * Parameters whose branch the package cannot overwrite: it would take one of a million, and transactions would answer
 * for each other.
 */
function branchParams(): SipParams {
  const branch = `z9hG4bK${randomBytes(15).toString('base64url')}`
  return Object.defineProperty({}, 'branch', { enumerable: true, get: () => branch, set: () => {} })
}
