/**
 * The admin port: metrics and health over HTTP, apart from SIP.
 * @module
 */
import { createServer, type Server } from 'node:http'
import type { Registry } from 'prom-client'
import type { Endpoint } from '../message/types.ts'

/** What the admin port serves. */
export interface AdminOptions {
  readonly listen: Endpoint
  readonly registry: Registry
  /** Whether new work is wanted: `/readyz` says 503 where not. */
  readonly ready: () => boolean
}

/** A listening admin port. */
export interface Admin {
  readonly local: Endpoint
  close(): Promise<void>
}

/** Serves `/metrics`, `/healthz` and `/readyz`. Rejects where the address cannot be bound. */
export async function openAdmin({ listen, registry, ready }: AdminOptions): Promise<Admin> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
    } else if (path === '/metrics') {
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      )
    } else if (path === '/healthz') {
      response.writeHead(200).end('ok\n')
    } else if (path === '/readyz') {
      response.writeHead(ready() ? 200 : 503).end(ready() ? 'ready\n' : 'draining\n')
    } else {
      response.writeHead(404).end()
    }
  })
  server.headersTimeout = 5000
  server.requestTimeout = 10_000
  await listenOn(server, listen)
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : listen.port
  return {
    local: { address: listen.address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listenOn(server: Server, { address, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
