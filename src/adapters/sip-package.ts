/**
 * What we use of the npm package `sip`: its objects' helpers, `stringify` and the transaction layer. Its parser and its
 * transports are not among them.
 * @module
 */
import { SIP_PACKAGE } from '../transport/sip-package.ts'
import type {
  SipHeaders,
  SipRemote,
  SipRequest,
  SipRequestInit,
  SipResponse,
  SipResponseExtension,
  SipUri,
} from './sip-types.ts'

/** A way out, as the transaction layer wants it. */
export interface PackageConnection {
  readonly protocol: string
  send(message: SipRequest | SipResponse): void
  release(): void
}

/** A transaction of the package's. */
export interface PackageTransaction {
  message(message: SipRequest | SipResponse, remote?: SipRemote): void
  shutdown(): void
}

/** A server transaction of the package's. */
export interface PackageServerTransaction extends PackageTransaction {
  send(response: SipResponse): void
}

/** What the package reads of a message to tell transactions apart. */
export interface TransactionKey {
  readonly method: string
  readonly headers: {
    readonly 'call-id': string
    readonly cseq: { readonly method: string }
    readonly via: readonly [{ readonly params: { readonly branch: string } }]
  }
}

/** `makeTransactionLayer` of the package. */
export interface PackageTransactionLayer {
  createServerTransaction(key: TransactionKey, connection: PackageConnection): PackageServerTransaction
  createClientTransaction(
    connection: PackageConnection,
    request: SipRequest,
    callback: (response: SipResponse) => void,
  ): PackageTransaction
  getClient(response: SipResponse): PackageTransaction | undefined
}

interface Package {
  readonly makeTransactionLayer: (options: object) => PackageTransactionLayer
  readonly stringify: (message: SipRequest | SipResponse) => string
  readonly makeResponse: (
    request: SipRequest | SipRequestInit,
    status: number,
    reason?: string,
    extension?: SipResponseExtension,
  ) => SipResponse
  readonly copyMessage: <T extends SipRequest | SipRequestInit | SipResponse>(message: T, deep?: boolean) => T
  readonly parseUri: (uri: string | SipUri) => SipUri | undefined
  readonly stringifyUri: (uri: string | SipUri) => string
}

const sip = SIP_PACKAGE as Package

/** The package's own: the state machines of RFC 3261 §17. */
export const makeTransactionLayer: Package['makeTransactionLayer'] = sip.makeTransactionLayer

/** The package's own: a message as text, latin1. */
export const stringify: Package['stringify'] = sip.stringify

/**
 * The package's own: a response to a request, with its Via, From, To, Call-ID and CSeq; these are shared with the
 * request and not copied. Adds no To tag.
 * @param extension `headers` and `content` to add
 */
export const makeResponse: Package['makeResponse'] = sip.makeResponse

/**
 * A response of ours to a request of the app, whatever has become of the request: never throws.
 * @param reason phrase
 */
export function ownResponse(request: SipRequest, status: number, reason = ''): SipResponse {
  const { via, to, from, cseq, 'call-id': callId } = (request.headers ?? {}) as Partial<SipHeaders>
  // The list is copied: apps take their own Via off the response that they pass on.
  const headers = { via: Array.isArray(via) ? [...via] : via, to, from, 'call-id': callId, cseq }
  return { status, reason, version: '2.0', headers: headers as SipHeaders }
}

/** The package's own: a copy of a message, its Via list included; with `deep`, of all it holds. */
export const copyMessage: Package['copyMessage'] = sip.copyMessage

/** The package's own: a URI taken apart; undefined where it is no `sip:` or `sips:` with a name or IPv4 address. */
export const parseUri: Package['parseUri'] = sip.parseUri

/** The package's own: a URI as text. */
export const stringifyUri: Package['stringifyUri'] = sip.stringifyUri
