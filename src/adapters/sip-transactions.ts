/**
 * The package's transactions under bounds of our own: told apart by what RFC 3261 §17.2.3 says, limited in number, and
 * ended where the package would keep them for ever.
 * @module
 */
import type { Endpoint } from '../message/types.ts'
import { INVITE_TIMES } from '../pipeline/invite-table.ts'
import type { Identity } from '../pipeline/stage.ts'
import { toAddress } from './sip-fields.ts'
import {
  ownResponse,
  type PackageConnection,
  type PackageServerTransaction,
  type PackageTransaction,
  type PackageTransactionLayer,
  type TransactionKey,
} from './sip-package.ts'
import type { SipParams, SipRemote, SipRequest, SipResponse } from './sip-types.ts'

/** 64·T1: whoever sent a request other than INVITE has given up by then (RFC 3261 §17.1.2.2), milliseconds. */
const GIVEN_UP = 32_000

/** The way back of a server transaction. */
export interface ServerConnection extends PackageConnection {
  /** The response; in the place of a final one that cannot be written or signed, 500. */
  usable(response: SipResponse): SipResponse
}

/** The way out of a client transaction. */
export interface ClientConnection extends PackageConnection {
  /** Whether what came from there may be the answer. */
  isFrom(source: Endpoint): boolean
}

/** Takes a response. `identity`: whom it is from; undefined where it was made here. */
export type ResponseCallback = (response: SipResponse, identity?: Identity) => void

/** A client transaction. */
export interface ClientTransaction {
  /** Why a response with this branch and Call-ID is not the one that the request waits for. */
  refuses(response: SipResponse, source: Endpoint): ResponseFault | undefined
  message(response: SipResponse, remote?: SipRemote, identity?: Identity): void
}

/** Branch and Call-ID are the request's, and something else is not. */
export type ResponseFault = 'response-from-elsewhere' | 'response-to-another-request'

/** A server transaction. */
export interface ServerTransaction {
  /** Whether a request is from whoever opened it. */
  isOf(source: SipRemote, identity: Identity): boolean
  /** To tag of responses that the app gives none; undefined until one was needed. */
  tag: string | undefined
  /** Status of the final response; 0 before it. */
  final: number
  /** Of an INVITE: its name in the table of accepted INVITEs. */
  invite: string | undefined
  /** Takes a response; the status that goes: 0 where it comes after another final one. */
  send(response: SipResponse): number
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
    connection: ServerConnection,
    from: { readonly source: SipRemote; readonly identity: Identity },
    now: number,
  ): ServerTransaction | undefined
  /** The client transaction that a response belongs to. */
  client(response: SipResponse): ClientTransaction | undefined
  /** Sends a request; undefined where there is no room. */
  openClient(
    request: SipRequest,
    connection: ClientConnection,
    callback: ResponseCallback,
    now: number,
  ): ClientTransaction | undefined
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
  // As in the table of INVITEs, blanks behind a Call-ID make no other transaction.
  return [method, sentBy, top.params['branch'] ?? '', cseq.seq, callId.trimEnd()].join('\n')
}

/** When a transaction is overdue that has had no response but `status`, 0 for none. */
function deadlineOf(method: string, status: number, now: number): number {
  if (method !== 'INVITE') return now + GIVEN_UP
  return now + (status > 100 ? INVITE_TIMES.ringing : INVITE_TIMES.calling)
}

/** Creates the transactions of a stack over the package's layer. @param limit most at once, in each direction */
export function createTransactions(layer: PackageTransactionLayer, limit: number): Transactions {
  const servers = new Map<string, ServerTransaction & Running>()
  const clients = new Map<PackageTransaction, ClientTransaction & Running & { readonly giveUp: () => void }>()

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
        isOf: (from, whose) => isSameSource(from, source) && isSameIdentity(whose, identity),
        tag: undefined,
        method,
        handle,
        deadline: deadlineOf(method, 0, now),
        final: 0,
        invite: undefined,
        send(given) {
          // Behind a 2xx only another 2xx is sent: the package would let any response follow it.
          if (entry.final !== 0 && !(isSuccess(entry.final) && isSuccess(given.status))) return 0
          // Before the package takes it: after a 2xx it would neither repeat a 500 nor take its ACK.
          const response = connection.usable(given)
          const { status } = response
          if (entry.final !== 0 && !isSuccess(status)) return 0
          if (status >= 200) {
            entry.final = status
            // From here on the package's own timers end it.
            entry.deadline = Infinity
          } else if (method === 'INVITE') {
            entry.deadline = deadlineOf(method, status, now)
          }
          handle.send(response)
          return status
        },
        message: (retransmission) => handle.message(retransmission),
      }
      servers.set(id, entry)
      return entry
    },
    client(response) {
      const handle = layer.getClient(response)
      return handle && clients.get(handle)
    },
    openClient(request, connection, callback, now) {
      if (clients.size >= limit) return undefined
      const { method } = request
      const handle = layer.createClientTransaction(
        {
          protocol: connection.protocol,
          send: (message) => connection.send(message),
          release() {
            clients.delete(handle)
            connection.release()
          },
        },
        request,
        (response) => {
          entry.deadline = response.status >= 200 ? Infinity : deadlineOf(method, response.status, now)
          callback(response, from)
        },
      )
      /** Whose response the package has in hand: it calls back at once, and knows no identities. */
      let from: Identity | undefined
      const { seq } = request.headers.cseq
      const fromTag = tagOf(request.headers.from)
      const toTag = tagOf(request.headers.to)
      const entry = {
        method,
        handle,
        deadline: deadlineOf(method, 0, now),
        giveUp: (): void => callback(ownResponse(request, 408, 'Request Timeout')),
        refuses({ headers }: SipResponse, source: Endpoint): ResponseFault | undefined {
          if (!connection.isFrom(source)) return 'response-from-elsewhere'
          // A recorded one, with nothing but its Via replaced, verifies where templates leave Via out.
          const same =
            headers.cseq.seq === seq &&
            tagOf(headers.from) === fromTag &&
            (toTag === '' || tagOf(headers.to) === toTag)
          return same ? undefined : 'response-to-another-request'
        },
        message(response: SipResponse, remote?: SipRemote, identity?: Identity): void {
          from = identity
          try {
            handle.message(response, remote)
          } finally {
            from = undefined
          }
        },
      }
      clients.set(handle, entry)
      return entry
    },
    sweep(now, onEnd) {
      for (const [id, { deadline, handle, method }] of servers) {
        if (deadline > now) continue
        handle.shutdown()
        servers.delete(id)
        onEnd(method)
      }
      for (const entry of clients.values()) {
        if (entry.deadline > now) continue
        entry.handle.shutdown()
        clients.delete(entry.handle)
        entry.giveUp()
        onEnd(entry.method)
      }
    },
    close() {
      for (const { handle } of [...servers.values(), ...clients.values()]) handle.shutdown()
      servers.clear()
      clients.clear()
    },
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** On a stream a request may come again by another connection, and so from another port. */
function isSameSource(a: SipRemote, b: SipRemote): boolean {
  return a.protocol === b.protocol && a.address === b.address && (a.protocol === 'TCP' || a.port === b.port)
}

/** Keys aside: a peer may change to another one between a request and its ACK. */
function isSameIdentity(a: Identity, b: Identity): boolean {
  if (a.kind === 'user') return b.kind === 'user' && a.username === b.username && a.realm === b.realm
  return a.kind === b.kind && a.peer === b.peer
}

/** The tag of an address, as an app may have written it; empty where there is none. */
function tagOf(address: unknown): string {
  if (typeof address === 'string') {
    const bytes = Buffer.from(address, 'latin1')
    return tagOf(toAddress({ bytes, start: 0, end: bytes.length }))
  }
  const params = (address as { params?: SipParams } | null | undefined)?.params
  return String(params?.['tag'] ?? '')
}

/** The package tells transactions apart by method, Call-ID and branch alone; so our name of it takes their place. */
function keyOf(id: string, method: string): TransactionKey {
  return { method, headers: { 'call-id': id, cseq: { method }, via: [{ params: { branch: '' } }] } }
}
