/**
 * The package's transactions under bounds of our own: told apart by what RFC 3261 §17.2.3 says, limited in number, and
 * ended where the package would keep them for ever.
 * @module
 */
import { INVITE_TIMES } from '../pipeline/invite-table.ts'
import type { Identity } from '../pipeline/stage.ts'
import {
  makeResponse,
  type PackageConnection,
  type PackageServerTransaction,
  type PackageTransaction,
  type PackageTransactionLayer,
  type TransactionKey,
} from './sip-package.ts'
import type { SipRequest, SipResponse } from './sip-types.ts'

/** 64·T1: whoever sent a request other than INVITE has given up by then (RFC 3261 §17.1.2.2), milliseconds. */
const GIVEN_UP = 32_000

/** A server transaction. */
export interface ServerTransaction {
  /** Address that its request came from. */
  readonly source: string
  readonly identity: Identity
  /** To tag of responses that the app gives none; undefined until one was needed. */
  tag: string | undefined
  /** Status of the final response; 0 before it. */
  final: number
  /** Of an INVITE: its name in the table of accepted INVITEs. */
  invite: string | undefined
  /** Takes a response; false where it comes after another final one. */
  send(response: SipResponse): boolean
  /** Takes a retransmission, or the ACK of a failure. */
  message(request: SipRequest): void
}

interface Running {
  readonly method: string
  readonly handle: PackageTransaction
  /** When it ends by itself, unless something happens. */
  deadline: number
}

/** All transactions of a stack. Times are milliseconds of one clock that does not step back. */
export interface Transactions {
  readonly size: number
  /** The server transaction that a request or an app's response belongs to. */
  server(id: string): ServerTransaction | undefined
  /** Undefined where there is no room. */
  openServer(
    id: string,
    request: SipRequest,
    connection: PackageConnection,
    from: { readonly source: string; readonly identity: Identity },
    now: number,
  ): ServerTransaction | undefined
  /** The client transaction that a response belongs to. */
  client(response: SipResponse): PackageTransaction | undefined
  /** Sends a request; undefined where there is no room. */
  openClient(
    request: SipRequest,
    connection: PackageConnection,
    callback: (response: SipResponse) => void,
    now: number,
  ): PackageTransaction | undefined
  /** Ends what is overdue: `onEnd` gets the method of each. */
  sweep(now: number, onEnd: (method: string) => void): void
  close(): void
}

/**
 * The name of the server transaction of a message: method, top Via's sent-by and branch, Call-ID, CSeq number.
 * Undefined where an app's response lacks one of them.
 * @param method `INVITE` for the one that an ACK or a CANCEL belongs to
 */
export function transactionId(message: SipRequest | SipResponse, method: string): string | undefined {
  const { via, cseq, 'call-id': callId } = message.headers
  const top = Array.isArray(via) ? via[0] : undefined
  if (top === undefined || typeof cseq !== 'object' || typeof callId !== 'string') return undefined
  const sentBy = `${top.host ?? ''}:${top.port ?? ''}`
  return [method, sentBy, top.params['branch'] ?? '', cseq.seq, callId].join('\n')
}

/** When a transaction is overdue that has had no response but `status`, 0 for none. */
function deadlineOf(method: string, status: number, now: number): number {
  if (method !== 'INVITE') return now + GIVEN_UP
  return now + (status > 100 ? INVITE_TIMES.ringing : INVITE_TIMES.calling)
}

/** Creates the transactions of a stack over the package's layer. @param limit most at once, in each direction */
export function createTransactions(layer: PackageTransactionLayer, limit: number): Transactions {
  const servers = new Map<string, ServerTransaction & Running>()
  const clients = new Set<Running & { readonly giveUp: () => void }>()

  return {
    get size() {
      return servers.size + clients.size
    },
    server: (id) => servers.get(id),
    openServer(id, request, connection, { source, identity }, now) {
      if (servers.size >= limit) return undefined
      const { method } = request
      const handle: PackageServerTransaction = layer.createServerTransaction(keyOf(id, request.method), {
        protocol: connection.protocol,
        send: (response) => connection.send(response),
        release() {
          servers.delete(id)
          connection.release()
        },
      })
      const entry: ServerTransaction & Running = {
        source,
        identity,
        tag: undefined,
        method,
        handle,
        deadline: deadlineOf(method, 0, now),
        final: 0,
        invite: undefined,
        send(response) {
          const { status } = response
          // Behind a 2xx only another 2xx is sent: the package would let any response follow it.
          if (entry.final !== 0 && !(isSuccess(entry.final) && isSuccess(status))) return false
          if (status >= 200) {
            entry.final = status
            // From here on the package's own timers end it.
            entry.deadline = Infinity
          } else if (method === 'INVITE') {
            entry.deadline = deadlineOf(method, status, now)
          }
          handle.send(response)
          return true
        },
        message: (retransmission) => handle.message(retransmission),
      }
      servers.set(id, entry)
      return entry
    },
    client: (response) => layer.getClient(response),
    openClient(request, connection, callback, now) {
      if (clients.size >= limit) return undefined
      const { method } = request
      const handle = layer.createClientTransaction(
        {
          protocol: connection.protocol,
          send: (message) => connection.send(message),
          release() {
            clients.delete(entry)
            connection.release()
          },
        },
        request,
        (response) => {
          entry.deadline = response.status >= 200 ? Infinity : deadlineOf(method, response.status, now)
          callback(response)
        },
      )
      const giveUp = (): void => callback(makeResponse(request, 408, 'Request Timeout'))
      const entry = { method, handle, giveUp, deadline: deadlineOf(method, 0, now) }
      clients.add(entry)
      return handle
    },
    sweep(now, onEnd) {
      for (const [id, { deadline, handle, method }] of servers) {
        if (deadline > now) continue
        handle.shutdown()
        servers.delete(id)
        onEnd(method)
      }
      for (const entry of clients) {
        if (entry.deadline > now) continue
        entry.handle.shutdown()
        clients.delete(entry)
        entry.giveUp()
        onEnd(entry.method)
      }
    },
    close() {
      for (const { handle } of [...servers.values(), ...clients]) handle.shutdown()
      servers.clear()
      clients.clear()
    },
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** The package tells transactions apart by method, Call-ID and branch alone; so our name of it takes their place. */
function keyOf(id: string, method: string): TransactionKey {
  return { method, headers: { 'call-id': id, cseq: { method }, via: [{ params: { branch: '' } }] } }
}
