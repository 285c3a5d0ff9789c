/**
 * Requests of the app: next hop, its targets one after the other, a client transaction for each (RFC 3263 §4.3).
 * @module
 */
import { randomBytes } from 'node:crypto'
import { resolveHop, type Target } from '../transport/resolve.ts'
import { nextHop, type OwnHost } from './sip-next-hop.ts'
import type { SipStackEvent } from './sip-options.ts'
import type { Outbound } from './sip-outbound.ts'
import { makeResponse, type PackageTransaction } from './sip-package.ts'
import type { Transactions } from './sip-transactions.ts'
import type { SipParams, SipRequest, SipResponse } from './sip-types.ts'

/** What sending needs. */
export interface ClientOptions {
  readonly own: OwnHost
  readonly outbound: Outbound
  readonly transactions: Transactions
  readonly now: () => number
  readonly tell: (event: SipStackEvent) => void
}

/** Sends a request; `callback` gets every response, at least one. Never throws. */
export type SendRequest = (request: SipRequest, callback: (response: SipResponse) => void) => void

/** Creates the sender. */
export function createClient({ own, outbound, transactions, now, tell }: ClientOptions): SendRequest {
  return (request, callback) => {
    const fail = (status: number, reason: string): void => callback(makeResponse(request, status, reason))
    const found = nextHop(request, own)
    if ('status' in found) return fail(found.status, PHRASES[found.status])
    const go = (targets: readonly Target[]): void => {
      try {
        if (request.method === 'ACK') sendAck(request, targets[0])
        else search(request, [...targets], callback)
      } catch (error) {
        // A message that no transaction can be made of: headers are missing.
        tell({ event: 'not-sent', reason: 'not a request', error })
        fail(400, PHRASES[400])
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

  function search(request: SipRequest, targets: Target[], callback: (response: SipResponse) => void): void {
    let last = 404
    const { headers } = request
    const before = Array.isArray(headers.via) ? headers.via : []
    if (request.method === 'CANCEL' && before.length === 0)
      throw new TypeError('a CANCEL needs the Via of its INVITE')
    next()

    function next(): void {
      const target = targets.shift()
      if (target === undefined) return callback(makeResponse(request, last))
      // The branch of a CANCEL is that of its INVITE.
      if (request.method !== 'CANCEL') headers.via = [{ params: branchParams() }, ...before]
      let settled = false
      let transaction: PackageTransaction | undefined
      const connection = outbound.connect(target, () => {
        if (transaction !== undefined) transaction.message(makeResponse(request, 503))
      })
      transaction = transactions.openClient(
        request,
        connection,
        (response) => {
          if (response.status === 503 && !settled) {
            last = 503
            settled = true
            return next()
          }
          if (response.status > 100) settled = true
          callback(response)
        },
        now(),
      )
      if (transaction === undefined) {
        connection.release()
        callback(makeResponse(request, 503, 'Too Many Transactions'))
      }
    }
  }
}

const PHRASES = { 400: 'Bad Request', 404: 'Not Found', 416: 'Unsupported URI Scheme' } as const

/**
 * Parameters whose branch the package cannot overwrite: it would take one of a million, and transactions would answer
 * for each other.
 */
function branchParams(): SipParams {
  const branch = `z9hG4bK${randomBytes(15).toString('base64url')}`
  return Object.defineProperty({}, 'branch', { enumerable: true, get: () => branch, set: () => {} })
}
