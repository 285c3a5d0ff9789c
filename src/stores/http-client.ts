/**
 * Asking a service over HTTP, every side of it bounded: connections, questions that wait, time, length of the answer.
 * Redirects are not followed: who may decide on passwords is what the operator wrote.
 * @module
 */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { ConfigError, codeOf } from '../errors.ts'
import { createGate } from './gate.ts'
import { HttpError } from './http-error.ts'

/** How a service is asked. */
export interface HttpClientOptions {
  /** How long a question may take, milliseconds, with waiting and connecting; default 2000. */
  readonly timeoutMs?: number | undefined
  /** Questions at once, each on a connection of its own, which is kept; default 32. */
  readonly maxConnections?: number | undefined
  /** Questions that wait for a connection, default 1000; one more is refused at once. */
  readonly maxQueue?: number | undefined
  /** Longest answer, bytes, default 65 536. */
  readonly maxAnswer?: number | undefined
  /** Told once when questions begin to fail, with the code of the first failure, and once when one is answered again. */
  readonly onState?: ((state: 'up' | 'down', code: string) => void) | undefined
}

/** A question. */
export interface HttpQuestion {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
}

/** An answer, whole. */
export interface HttpAnswer {
  readonly status: number
  readonly body: Buffer
}

/** Asks services. */
export interface HttpClient {
  /**
   * Asks, and reads the answer within the same time.
   * @param read makes of the answer what is wanted; throws `HttpError` where it cannot be used, which is a failure, too
   */
  ask<T>(question: HttpQuestion, read: (answer: HttpAnswer) => T): Promise<T>
  readonly waiting: number
  /** Ends every connection; what waits is refused, and so is what comes later. */
  close(): void
}

/** A kept connection that the service closed meanwhile is seen only when it is used. */
const STALE_CODES = new Set(['ECONNRESET', 'EPIPE'])

/** Said of one question, not of the service: whoever chooses a name for it must not have an outage told. */
const UNASKABLE: ReadonlySet<string> = new Set(['400', '414', '422'])

/** Services close what is idle after 5 seconds or more. */
const MAX_IDLE = 4000

/**
 * Creates the client.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every number that is not a whole one above 0
 */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const { timeoutMs = 2000, maxConnections = 32, maxQueue = 1000, maxAnswer = 65_536 } = options
  const { onState = () => {} } = options
  const issues = Object.entries({ timeoutMs, maxConnections, maxQueue, maxAnswer })
    .filter(([, value]) => !Number.isSafeInteger(value) || value < 1)
    .map(([path]) => ({ path, message: 'must be a whole number above 0' }))
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)

  const pool = { keepAlive: true, maxSockets: maxConnections, timeout: MAX_IDLE }
  const agents = { 'http:': new HttpAgent(pool), 'https:': new HttpsAgent(pool) }
  const gate = createGate({ limit: maxConnections, queue: maxQueue, full: () => new HttpError('queue-full') })
  const asking = new Set<AbortController>()
  let isClosed = false
  let state: 'up' | 'down' = 'up'

  function tell(next: 'up' | 'down', code: string): void {
    if (state === next || isClosed) return
    state = next
    onState(next, code)
  }

  async function ask<T>(question: HttpQuestion, read: (answer: HttpAnswer) => T): Promise<T> {
    if (isClosed) throw new HttpError('closed')
    const control = new AbortController()
    asking.add(control)
    const timer = setTimeout(() => control.abort(new HttpError('timeout')), timeoutMs)
    try {
      await gate.enter(control.signal)
      try {
        const value = read(await exchange(question, control.signal))
        tell('up', 'answered')
        return value
      } finally {
        gate.leave()
      }
    } catch (error) {
      const failure = failureOf(error, control.signal)
      // That too many ask says nothing of the service.
      const isOfQuestion = failure.fault === 'status' && UNASKABLE.has(failure.code)
      if (failure.fault !== 'queue-full' && !isOfQuestion) tell('down', failure.code)
      throw failure
    } finally {
      clearTimeout(timer)
      asking.delete(control)
    }
  }

  async function exchange(question: HttpQuestion, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      return await once(question, signal, 'kept')
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error
      return once(question, signal, 'new')
    }
  }

  function once(
    { method, url, headers, body }: HttpQuestion,
    signal: AbortSignal,
    connection: 'kept' | 'new',
  ): Promise<HttpAnswer> {
    const scheme = url.protocol === 'https:' ? 'https:' : 'http:'
    const agent = connection === 'kept' ? agents[scheme] : false
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const init: RequestOptions = { method, agent, signal, headers: { ...headers, ...length } }
    return new Promise((resolve, reject) => {
      const request = (scheme === 'https:' ? httpsRequest : httpRequest)(url, init)
      request.on('error', (error) =>
        reject(request.reusedSocket && STALE_CODES.has(codeOf(error)) ? new StaleConnection() : error),
      )
      request.on('response', (response) => {
        collect(response, maxAnswer).then(resolve, (error: Error) => {
          request.destroy()
          reject(error)
        })
      })
      request.end(body)
    })
  }

  return {
    ask,
    get waiting() {
      return gate.waiting
    },
    close() {
      isClosed = true
      for (const control of asking) control.abort(new HttpError('closed'))
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}

/** The service had closed the connection before it could read the question. */
class StaleConnection extends Error {}

async function collect(response: IncomingMessage, limit: number): Promise<HttpAnswer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length
    if (length > limit) throw new HttpError('answer-too-long')
    parts.push(part)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(parts) }
}

/** What an abort broke off is told as the abort's reason. The words of others stay out: they may quote a URL. */
function failureOf(error: unknown, signal: AbortSignal): HttpError {
  if (error instanceof HttpError) return error
  if (signal.aborted && signal.reason instanceof HttpError) return signal.reason
  return new HttpError('unreachable', codeOf(error, 'unreachable'))
}
