/**
 * What goes wrong with services asked over HTTP. No error here holds a URL, a value that was sent, or what was answered.
 * @module
 */

/** What kind of failure it is; the code of the system, as `ECONNREFUSED`, stands for `unreachable` where there is one. */
export type HttpFault =
  | 'unreachable'
  | 'timeout'
  | 'queue-full'
  | 'status'
  | 'answer-too-long'
  | 'answer-malformed'
  | 'url-malformed'
  | 'closed'

/** A question that was not answered. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly fault: HttpFault
  /** Of the system or the protocol: `ECONNREFUSED`, `503`; else the fault. */
  readonly code: string

  constructor(fault: HttpFault, code: string = fault) {
    super(`${TEXTS[fault]} (${code})`)
    this.fault = fault
    this.code = code
  }
}

const TEXTS: Readonly<Record<HttpFault, string>> = {
  unreachable: 'the service cannot be reached',
  timeout: 'the service did not answer in time',
  'queue-full': 'too many wait for the service',
  status: 'the service answered with another status',
  'answer-too-long': 'the answer is too long',
  'answer-malformed': 'the answer cannot be read',
  'url-malformed': 'the URL cannot be used',
  closed: 'the store was closed',
}
