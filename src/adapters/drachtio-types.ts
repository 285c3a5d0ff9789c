/**
 * What the adapter needs of drachtio-srf, by structure: the package is no dependency of ours, and its own types fit.
 * @module
 */
import type { HeaderLines, Identity } from '../pipeline/stage.ts'

/** A request of drachtio-srf. Its types leave out `receivedOn`, and call the port a string where it is a number. */
export interface DrachtioRequest {
  readonly method: string
  readonly uri?: string
  readonly body?: string
  /** The text that the server passed on: as on the wire but for what it adds to the top Via. */
  readonly raw?: string
  readonly msg?: { readonly raw?: string }
  /** `network`, or `application` where the server made the request itself. */
  readonly source?: string
  readonly source_address?: string
  readonly source_port?: string | number
  readonly protocol?: string
  /** `address:port` that it arrived on. */
  readonly receivedOn?: string
  readonly headers?: Record<string, string>
  getParsedHeader?(name: 'from' | 'to'): unknown
}

/** What the guard adds to an accepted request: `srf.invite((req: Srf.SrfRequest & Authenticated, res) => …)`. */
export interface Authenticated {
  identity?: Identity
  /** Headers for the 2xx to it, where a digest stage accepted: Authentication-Info. @param body the response's */
  answer?: (body?: Uint8Array) => HeaderLines
}

/** A response of drachtio-srf, yet to be sent. */
export interface DrachtioResponse {
  send(status: number, options?: object): void
  send(status: number, phrase: string, options: object): void
}

/** What passes a request on. drachtio-srf declares it as any function, which fits no narrower type. */
export type DrachtioNext = ((error?: unknown) => void) | Function

/** A middleware for `srf.use`. */
export type DrachtioMiddleware = (req: DrachtioRequest, res: DrachtioResponse, next: DrachtioNext) => void
