/**
 * A service that decides on registrations and calls, such as those who run jambonz write one: it knows the passwords, and
 * computes what a telephone should have answered.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hashOf } from '../digest/client.ts'

/** What it does next. */
export type HookMood = 'decides' | 'hangs' | 'fails' | 'babbles'

/** A running service. */
export interface HookServer {
  readonly url: string
  /** What it was asked, in order. */
  readonly asked: readonly Readonly<Record<string, unknown>>[]
  /** From now on. */
  become(mood: HookMood): void
  /** What it says beside `ok` of a user. */
  say(username: string, more: Readonly<Record<string, unknown>>): void
  stop(): Promise<void>
  /** Again, where it was. */
  start(): Promise<void>
}

/** Starts it. @param passwords by user name */
export async function startHookServer(passwords: Readonly<Record<string, string>>): Promise<HookServer> {
  const asked: Record<string, unknown>[] = []
  const said = new Map<string, Readonly<Record<string, unknown>>>()
  let mood: HookMood = 'decides'
  let server: Server | undefined
  let port = 0

  function decide(query: Readonly<Record<string, string>>): unknown {
    const { method, username = '', realm, nonce, uri, response, qop, nc, cnonce } = query
    const ha1 = hashOf('MD5', `${username}:${realm}:${passwords[username]}`)
    const ha2 = hashOf('MD5', `${method}:${uri}`)
    const expected = hashOf('MD5', [ha1, nonce, nc, cnonce, qop, ha2].join(':'))
    if (expected !== response) return { status: 'fail', msg: 'invalid username or password' }
    return { status: 'ok', ...said.get(username) }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const query = JSON.parse(body) as Record<string, string>
    asked.push(query)
    if (mood === 'hangs') return
    if (mood === 'fails') response.statusCode = 500
    response.setHeader('Content-Type', 'application/json')
    response.end(mood === 'babbles' ? '<html>' : JSON.stringify(decide(query)))
  }

  async function start(): Promise<void> {
    server = createServer((request, response) => void answer(request, response))
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    ;({ port } = server.address() as AddressInfo)
  }
  await start()
  return {
    url: `http://127.0.0.1:${port}/registration`,
    asked,
    become: (next) => {
      mood = next
    },
    say: (username, more) => void said.set(username, more),
    start,
    async stop() {
      if (server?.listening !== true) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
