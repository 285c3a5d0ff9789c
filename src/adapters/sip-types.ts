/**
 * What users of the npm package `sip` touch, as types: the package has none. The shapes are those of its `sip.js` 0.0.6.
 * @module
 */

/** Parameters by name: as sent (a quoted string keeps its quotes), null where there is no value. */
export type SipParams = Record<string, string | number | null>

/** A parsed URI, as `parseUri` gives it. */
export interface SipUri {
  schema: string
  user?: string | undefined
  password?: string | undefined
  /** IPv6 with its brackets. */
  host: string
  /** NaN where the URI has none, as in the package. */
  port?: number | undefined
  params: SipParams
  headers?: Record<string, string> | undefined
}

/** One entry of Via. */
export interface SipVia {
  version?: string | undefined
  protocol?: string | undefined
  host?: string | undefined
  port?: number | undefined
  params: SipParams
}

/** From, To, Contact, Refer-To. */
export interface SipAddress {
  /** Display name with its quotes. */
  name?: string | undefined
  uri: string
  params: SipParams
}

/** An entry of Route, Record-Route or Path; its URI is text where it is neither `sip:` nor `sips:`. */
export interface SipRoute {
  name?: string | undefined
  uri: SipUri | string
  params: SipParams
}

/** CSeq. */
export interface SipCSeq {
  seq: number
  method: string
}

/** Credentials or a challenge: `scheme`, and parameters with their quotes. */
export type SipAuth = { scheme: string } & Record<string, string>

/** Any header value. */
export type SipHeaderValue =
  | string
  | number
  | SipVia[]
  | SipAddress
  | SipAddress[]
  | SipRoute[]
  | SipCSeq
  | SipAuth[]
  | Record<string, string>

/** Headers of a message that arrived, by long name in lower case. Headers without a shape are text, repeats joined by a comma. */
export interface SipHeaders {
  via: SipVia[]
  from: SipAddress
  to: SipAddress
  'call-id': string
  cseq: SipCSeq
  contact?: SipAddress[] | '*'
  route?: SipRoute[]
  'record-route'?: SipRoute[]
  path?: SipRoute[]
  'refer-to'?: SipAddress
  'content-length'?: number
  /** Text where it is no list of parameters: `Bearer …`. */
  authorization?: SipAuth[] | string
  'proxy-authorization'?: SipAuth[] | string
  'www-authenticate'?: SipAuth[] | string
  'proxy-authenticate'?: SipAuth[] | string
  'authentication-info'?: Record<string, string> | string
  [name: `x-${string}`]: string | undefined
  [name: string]: SipHeaderValue | undefined
}

/** A request that arrived. */
export interface SipRequest {
  method: string
  uri: string
  version: string
  headers: SipHeaders
  /** latin1: a character a byte. */
  content: string
  status?: undefined
}

/** A response that arrived, or that `makeResponse` made. */
export interface SipResponse {
  status: number
  reason: string
  version?: string | undefined
  headers: SipHeaders
  content?: string | undefined
  method?: undefined
}

/** An address as an app may write it. */
export type SipAddressInit =
  | string
  | { name?: string | undefined; uri: string | SipUri; params?: SipParams | undefined }

/** Headers as an app may write them. */
export interface SipHeadersInit {
  via?: SipVia[]
  from: SipAddressInit
  to: SipAddressInit
  'call-id': string
  cseq: SipCSeq | string
  contact?: readonly SipAddressInit[] | string
  route?: SipRoute[] | string
  [name: string]: unknown
}

/** A request as an app may write it. */
export interface SipRequestInit {
  method: string
  uri: string | SipUri
  version?: string
  headers: SipHeadersInit
  content?: string
  status?: undefined
}

/** Where a message came from. */
export interface SipRemote {
  protocol: 'UDP' | 'TCP'
  address: string
  port: number
  local: { address: string; port: number }
}

/** More of a response, for `makeResponse`. */
export interface SipResponseExtension {
  headers?: Record<string, unknown>
  content?: string
}

/** Hooks of the package. What they throw is told to `onError`. */
export interface SipLogger {
  recv?(message: SipRequest | SipResponse, remote: SipRemote): void
  send?(message: SipRequest | SipResponse, target: { protocol: string; address: string; port: number }): void
  error?(error: unknown): void
}
