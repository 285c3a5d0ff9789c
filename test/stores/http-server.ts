/**
 * A service for the HTTP stores to ask: a real server on loopback, which remembers what it was asked.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

/** A question that arrived. */
export interface Asked {
  readonly method: string
  /** Path and query, as sent. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server at work. */
export interface HttpService {
  readonly port: number
  readonly url: string
  readonly asked: readonly Asked[]
  /** Connections that were made, so far. */
  connections(): number
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
}

/** Starts a service; it stops when the test ends. @param port that of one that was stopped */
export async function serve(
  answer: (asked: Asked, response: ServerResponse) => void,
  port = 0,
): Promise<HttpService> {
  const asked: Asked[] = []
  let connections = 0
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request
    const question = { method, path, headers, body: (await buffer(request)).toString('utf8') }
    asked.push(question)
    answer(question, response)
  }
  const server = createServer((request, response) => {
    // One that is cut off in the middle asks nothing.
    take(request, response).catch(() => response.destroy())
  })
  server.on('connection', () => {
    connections++
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: bound } = server.address() as AddressInfo
  async function stop(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  onTestFinished(stop)
  return { port: bound, url: `http://127.0.0.1:${bound}`, asked, connections: () => connections, stop }
}

/** Answers with JSON. */
export const json =
  (value: unknown, status = 200) =>
  (_: Asked, response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof value === 'string' ? value : JSON.stringify(value))
  }

/** Never answers. */
export const silent = (): void => {}
