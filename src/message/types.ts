/**
 * What the rest of the product knows of a message.
 * @module
 */

/** How a message travelled. */
export type Transport = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss'

/** An IP address (IPv6 without brackets) and a port. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** A parsed message: a lazy view of its bytes, which it keeps. */
export interface SipMessage {
  readonly kind: 'request' | 'response'
  /** Of a response: the CSeq method. */
  readonly method: string
  /** As sent; `undefined` for a response. */
  readonly requestUri: string | undefined
  /** 100–699; `undefined` for a request. */
  readonly status: number | undefined
  /**
   * Header values in wire order, latin1, byte for byte after leading white space: folds and trailing space are
   * kept, because peers hash them. Compact and long names are one. Never joined with commas.
   */
  headers(name: string): readonly string[]
  /** The body's bytes: Content-Length of them where that header is present and the parse was strict. */
  readonly body: Uint8Array
}

/** A message and where it came from. */
export interface MessageContext {
  readonly message: SipMessage
  readonly transport: Transport
  /** Where the packet came from (Kamailio `$si`, `$sp`). */
  readonly source: Endpoint
  /** The address it arrived on (Kamailio `$Ri`, `$Rp`). */
  readonly local: Endpoint
}

/** Why bytes are not a message that we take. */
export type ParseFailure =
  | 'empty'
  | 'start-line-malformed'
  | 'version-unsupported'
  | 'header-name-malformed'
  | 'header-malformed'
  | 'bare-cr'
  | 'bare-lf'
  | 'nul'
  | 'headers-unterminated'
  | 'header-repeated'
  | 'header-missing'
  | 'cseq-malformed'
  | 'cseq-mismatch'
  | 'content-length-malformed'
  | 'content-length-exceeds'

/** `offset`: the byte at which the fault was seen. */
export type ParseResult =
  | { readonly ok: true; readonly message: SipMessage }
  | { readonly ok: false; readonly reason: ParseFailure; readonly offset: number }

/** How much is forgiven: `strict` for network bytes, `kamailio` takes what a Kamailio 5.6 takes. */
export type Tolerance = 'strict' | 'kamailio'
