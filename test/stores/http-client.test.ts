import { createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../../src/stores/http-client.ts'
import { HttpError } from '../../src/stores/http-error.ts'
import { errorOf } from '../keyring/error-of.ts'
import { json, serve, silent } from './http-server.ts'

function clientOf(options: HttpClientOptions = {}): HttpClient {
  const client = createHttpClient(options)
  onTestFinished(() => client.close())
  return client
}

const get = async (client: HttpClient, url: string): Promise<string> =>
  client.ask(
    { method: 'GET', url: new URL(url), headers: {} },
    ({ status, body }) => `${status} ${String(body)}`,
  )

/** `fault code` of a question that fails. */
async function faultOf(question: Promise<unknown>): Promise<string> {
  const error = await question.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(error instanceof HttpError)) throw new Error(`no HttpError but ${String(error)}`)
  return `${error.fault} ${error.code}`
}

/** A server that speaks no HTTP of its own. */
async function raw(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

describe('the HTTP client', () => {
  it('asks and reads', async () => {
    const service = await serve(json({ a: 1 }))
    expect(await get(clientOf(), `${service.url}/x?y=1`)).toBe('200 {"a":1}')
    expect(service.asked[0]).toMatchObject({ method: 'GET', path: '/x?y=1' })
  })

  it('keeps its connection', async () => {
    const service = await serve(json({}))
    const client = clientOf({ maxConnections: 1 })
    for (let i = 0; i < 5; i++) await get(client, service.url)
    expect(service.connections()).toBe(1)
  })

  it('asks anew where a kept connection was closed meanwhile', async () => {
    const port = await raw((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        // The next question finds it gone.
        socket.once('data', () => socket.resetAndDestroy())
      })
    })
    const client = clientOf({ maxConnections: 1 })
    for (let i = 0; i < 3; i++) expect(await get(client, `http://127.0.0.1:${port}/`)).toBe('200 ok')
  })

  it('does not follow redirects', async () => {
    const evil = await serve(json({ status: 'ok' }))
    const service = await serve((_, response) => {
      response.writeHead(302, { location: evil.url }).end()
    })
    expect(await get(clientOf(), service.url)).toBe('302 ')
    expect(evil.asked).toEqual([])
  })

  it('waits no longer than its time, for the first byte or the last', async () => {
    const mute = await serve(silent)
    const slow = await serve((_, response) => {
      response.write('a')
    })
    const client = clientOf({ timeoutMs: 50 })
    expect(await faultOf(get(client, mute.url))).toBe('timeout timeout')
    expect(await faultOf(get(client, slow.url))).toBe('timeout timeout')
  })

  it('takes no answer that is too long, whatever length it claims', async () => {
    const service = await serve((_, response) => response.end('x'.repeat(1001)))
    const endless = await serve((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    const client = clientOf({ maxAnswer: 1000 })
    expect(await faultOf(get(client, service.url))).toBe('answer-too-long answer-too-long')
    expect(await faultOf(get(client, endless.url))).toBe('answer-too-long answer-too-long')
    expect(await get(clientOf({ maxAnswer: 1001 }), service.url)).toHaveLength(1005)
  })

  it('has so many questions at once, so many waiting, and refuses the next', async () => {
    const held: ServerResponse[] = []
    const service = await serve((_, response) => void held.push(response))
    const client = clientOf({ maxConnections: 2, maxQueue: 3, timeoutMs: 10_000 })
    const questions = Array.from({ length: 5 }, () => get(client, service.url))
    await expect.poll(() => held.length).toBe(2)
    expect(client.waiting).toBe(3)
    expect(await faultOf(get(client, service.url))).toBe('queue-full queue-full')
    for (let answered = 0; answered < 5; answered++) {
      await expect.poll(() => held.length).toBeGreaterThan(answered)
      expect(held.length - answered).toBeLessThanOrEqual(2)
      held[answered]!.end('ok')
    }
    expect(await Promise.all(questions)).toEqual(Array.from({ length: 5 }, () => '200 ok'))
    expect(client.waiting).toBe(0)
  })

  it('ends what waits too long for a connection, and gives its place to the next', async () => {
    const service = await serve(silent)
    const client = clientOf({ maxConnections: 1, timeoutMs: 60 })
    const questions = Array.from({ length: 4 }, () => faultOf(get(client, service.url)))
    expect(await Promise.all(questions)).toEqual(Array.from({ length: 4 }, () => 'timeout timeout'))
    expect(client.waiting).toBe(0)
  })

  it('tells of an outage once, and of its end once', async () => {
    const told: string[] = []
    const service = await serve(json({}))
    const client = clientOf({ onState: (state, code) => told.push(`${state} ${code}`) })
    await get(client, service.url)
    await service.stop()
    for (let i = 0; i < 3; i++) expect(await faultOf(get(client, service.url))).toMatch(/^unreachable E/)
    const again = await serve(json({}), service.port)
    for (let i = 0; i < 3; i++) expect(await get(client, again.url)).toBe('200 {}')
    expect(told).toHaveLength(2)
    expect(told[0]).toMatch(/^down E/)
    expect(told[1]).toBe('up answered')
  })

  it.each([
    ['what is no HTTP', 'hello\r\n\r\n'],
    ['an answer that breaks off', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
    ['headers without end', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(10_000)}`],
    ['nothing', ''],
  ])('fails on %s', async (_, bytes) => {
    const port = await raw((socket) => socket.once('data', () => socket.end(bytes)))
    expect(await faultOf(get(clientOf(), `http://127.0.0.1:${port}/?secret=hunter2`))).toMatch(
      /^unreachable /,
    )
  })

  it('refuses after its end, and what waits at it', async () => {
    const service = await serve(silent)
    const client = clientOf({ maxConnections: 1 })
    const questions = [faultOf(get(client, service.url)), faultOf(get(client, service.url))]
    await expect.poll(() => service.asked.length).toBe(1)
    client.close()
    expect(await Promise.all(questions)).toEqual(['closed closed', 'closed closed'])
    expect(await faultOf(get(client, service.url))).toBe('closed closed')
  })

  it('is not made of bad numbers', () => {
    const issues = errorOf(() =>
      createHttpClient({ timeoutMs: 0, maxConnections: 1.5, maxQueue: NaN, maxAnswer: -1 }),
    ).issues
    expect(issues.map(({ path }) => path)).toEqual(['timeoutMs', 'maxConnections', 'maxQueue', 'maxAnswer'])
  })
})
