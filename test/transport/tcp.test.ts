import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { TcpConnection } from '../../src/transport/tcp-connection.ts'
import { TCP_LIMITS, openTcp, type TcpLimits, type TcpTransport } from '../../src/transport/tcp.ts'

interface Host {
  readonly tcp: TcpTransport
  readonly got: string[]
  readonly faults: string[]
  readonly errors: string[]
  readonly connections: TcpConnection[]
}

async function open(
  limits: Partial<TcpLimits> = {},
  onMessage?: (connection: TcpConnection) => void,
  address = '127.0.0.1',
): Promise<Host> {
  const got: string[] = []
  const faults: string[] = []
  const errors: string[] = []
  const connections: TcpConnection[] = []
  const tcp = await openTcp({
    address,
    port: 0,
    limits: { ...TCP_LIMITS, ...limits },
    onMessage: (bytes, connection) => {
      got.push(bytes.toString('latin1'))
      connections.push(connection)
      onMessage?.(connection)
    },
    onFault: (reason, _head, connection) => {
      faults.push(reason)
      connection.send(Buffer.from('bad'))
    },
    onError: (error) => errors.push(error.message),
  })
  onTestFinished(() => tcp.close())
  return { tcp, got, faults, errors, connections }
}

async function join({ tcp }: Host): Promise<Socket> {
  const socket = connect(tcp.local.port, tcp.local.address)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** All that arrives until the other side closes. */
async function rest(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return text
}

const message = (body = ''): string => `OPTIONS sip:a SIP/2.0\r\nl: ${body.length}\r\n\r\n${body}`
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(setImmediate)
}

describe('a connection that came in', () => {
  it('brings messages, and takes answers', async () => {
    const host = await open({}, (connection) => connection.send(Buffer.from('answer')))
    const socket = await join(host)
    socket.write(message('hello') + message())
    expect(String((await once(socket, 'data'))[0])).toContain('answer')
    await until(() => host.got.length === 2)
    expect(host.got).toEqual([message('hello'), message()])
    expect(host.connections[0]!.remote).toEqual({ address: '127.0.0.1', port: socket.localPort })
    expect(host.connections[0]!.local).toEqual(host.tcp.local)
    expect(host.tcp.find(host.connections[0]!.remote)).toBe(host.connections[0])
  })

  it('gets a CRLF for CRLF CRLF (RFC 5626)', async () => {
    const socket = await join(await open())
    socket.write('\r\n\r\n')
    expect(String((await once(socket, 'data'))[0])).toBe('\r\n')
  })

  it('is closed on a fault, behind the answer', async () => {
    const host = await open()
    const socket = await join(host)
    socket.write(`OPTIONS sip:a SIP/2.0\r\n\r\n${message()}`)
    expect(await rest(socket)).toBe('bad')
    expect([host.faults, host.got]).toEqual([['content-length-missing'], []])
    await until(() => host.tcp.size === 0)
  })

  it('gives no more of a chunk once it was ended', async () => {
    const host = await open({}, (connection) => connection.end())
    const socket = await join(host)
    socket.write(message('1') + message('2'))
    await rest(socket)
    expect(host.got).toEqual([message('1')])
  })

  it('S08 may be reset in mid message', async () => {
    const host = await open()
    const socket = await join(host)
    socket.write(message('first'))
    await until(() => host.got.length === 1)
    socket.write(message('hello').slice(0, -2), () => socket.resetAndDestroy())
    await until(() => host.tcp.size === 0)
    const again = await join(host)
    again.write(message())
    await until(() => host.got.length === 2)
    expect(host.tcp.size).toBe(1)
  })

  it('that makes its listener throw goes on', async () => {
    const host = await open({}, () => {
      throw new Error('a bug')
    })
    const socket = await join(host)
    socket.write(message() + message())
    await until(() => host.errors.length === 2)
    expect(host.errors).toEqual(['a bug', 'a bug'])
  })

  it('is closed when nothing travels, unless it is held', async () => {
    const held: (() => void)[] = []
    const host = await open({ idle: 1 }, (connection) => held.push(connection.hold()))
    const [idle, busy] = [await join(host), await join(host)]
    busy.write(message())
    await rest(idle)
    expect(busy.closed).toBe(false)
    held[0]!()
    await rest(busy)
  })

  it('is closed when a message is not completed in time, however it drips', async () => {
    const host = await open({ message: 1500 })
    const socket = await join(host)
    const drip = setInterval(() => socket.write('x'), 100)
    onTestFinished(() => clearInterval(drip))
    await rest(socket)
    expect(host.got).toEqual([])
  })

  it('M6 is not closed because chunks never end where messages do', async () => {
    const host = await open({ message: 1500 })
    const socket = await join(host)
    const whole = message('hello')
    socket.write(whole.slice(0, 20))
    const drip = setInterval(() => socket.write(whole.slice(20) + whole.slice(0, 20)), 100)
    onTestFinished(() => clearInterval(drip))
    await until(() => host.got.length === 35)
    expect(socket.closed).toBe(false)
  })

  it('is closed when the peer does not read', async () => {
    const host = await open({ queue: 100_000 }, (connection) => {
      while (connection.send(Buffer.alloc(10_000)));
    })
    const closed: string[] = []
    const socket = await join(host)
    socket.pause()
    socket.write(message())
    await until(() => host.connections.length === 1)
    host.connections[0]!.onClose((error) => closed.push(error.message))
    await until(() => closed.length === 1)
    expect(closed).toEqual(['the peer does not read'])
  })
})

describe('ceilings', () => {
  it('one connection too many is closed at once', async () => {
    const host = await open({ connections: 2 })
    const [first, second] = [await join(host), await join(host)]
    expect(await rest(await join(host))).toBe('')
    first.destroy()
    await until(() => host.tcp.size === 1)
    const third = await join(host)
    third.write(message())
    await until(() => host.got.length === 1)
    expect(second.closed).toBe(false)
  })

  it('so is one too many from one address', async () => {
    const host = await open({ connectionsPerSource: 1 })
    await join(host)
    expect(await rest(await join(host))).toBe('')
    const other = connect({ port: host.tcp.local.port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    onTestFinished(() => void other.destroy())
    other.write(message())
    await until(() => host.got.length === 1)
    expect(host.tcp.open({ address: '127.0.0.1', port: 9 })).toBeUndefined()
  })
})

async function both(limits: Partial<TcpLimits> = {}): Promise<{ host: Host; sockets: Socket[] }> {
  const host = await open(limits, undefined, '0.0.0.0')
  const { port } = host.tcp.local
  const first = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1' })
  await once(first, 'connect')
  const localPort = first.localPort!
  const second = connect({ port, host: '127.0.0.2', localAddress: '127.0.0.1', localPort })
  await once(second, 'connect')
  for (const socket of [first, second]) onTestFinished(() => void socket.destroy())
  await until(() => host.tcp.size === 2)
  return { host, sockets: [first, second] }
}

describe('two connections with one remote end, to two addresses of ours', () => {
  it('M5 are both closed when nothing travels', async () => {
    const { host, sockets } = await both({ idle: 1 })
    expect(await Promise.all(sockets.map(rest))).toEqual(['', ''])
    await until(() => host.tcp.size === 0)
  })

  it('M5 do not keep the listener from closing', async () => {
    const { host, sockets } = await both()
    await host.tcp.close()
    expect(await Promise.all(sockets.map(rest))).toEqual(['', ''])
  })
})

describe('L4 memory of unfinished messages', () => {
  const unfinished = `OPTIONS sip:a SIP/2.0\r\nl: 500000\r\n\r\n${'x'.repeat(90_000)}`
  it.each<[string, Partial<TcpLimits>]>([
    ['on all connections', { held: 300_000 }],
    ['on those of one address', { heldPerSource: 300_000 }],
  ])('is bounded %s, and is there again once they are gone', async (_what, limits) => {
    const host = await open(limits)
    const sockets: Socket[] = []
    for (let i = 0; i < 8; i++) {
      const socket = await join(host)
      socket.write(unfinished)
      sockets.push(socket)
    }
    await until(() => host.tcp.size < 4)
    for (const socket of sockets) socket.destroy()
    await until(() => host.tcp.size === 0)
    const again = await join(host)
    again.write(message('x'.repeat(90_000)))
    await until(() => host.got.length === 1)
    expect(again.closed).toBe(false)
  })
})

describe('a connection that goes out', () => {
  it('sends what waited for it, and is used again', async () => {
    const [host, other] = [await open(), await open()]
    const connection = host.tcp.open(other.tcp.local)!
    connection.send(Buffer.from(message('1')))
    expect(host.tcp.open(other.tcp.local)).toBe(connection)
    connection.send(Buffer.from(message('2')))
    await until(() => other.got.length === 2)
    other.connections[0]!.send(Buffer.from(message('back')))
    await until(() => host.got.length === 1)
    expect(other.tcp.size).toBe(1)
  })

  it('tells that nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    const host = await open()
    const connection = host.tcp.open({ address: '127.0.0.1', port })!
    const failure = await new Promise<Error>((resolve) => connection.onClose(resolve))
    expect(failure.message).toContain('ECONNREFUSED')
    expect(connection.send(Buffer.from('x'))).toBe(false)
    expect(host.tcp.size).toBe(0)
  })

  it.each([0, 65_536])('is none to port %i', async (port) => {
    expect((await open()).tcp.open({ address: '127.0.0.1', port })).toBeUndefined()
  })
})

it('closing frees the port and ends every connection', async () => {
  const host = await open()
  const socket = await join(host)
  await Promise.all([host.tcp.close(), rest(socket)])
  expect(host.tcp.open({ address: '127.0.0.1', port: 9 })).toBeUndefined()
  const { port } = host.tcp.local
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  await new Promise((resolve) => server.close(resolve))
})
