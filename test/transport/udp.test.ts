import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'
import { openUdp, type UdpSocket } from '../../src/transport/udp.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'

interface Opened {
  readonly socket: UdpSocket
  readonly peer: UdpPeer
  /** What arrived, by the text of the datagram, then what went wrong. */
  readonly next: () => Promise<string>
}

async function open(onMessage?: (bytes: Buffer, source: Endpoint) => void): Promise<Opened> {
  const events = new EventTarget()
  const queue: string[] = []
  const tell = (text: string): void => {
    queue.push(text)
    events.dispatchEvent(new Event('told'))
  }
  const socket = await openUdp({
    address: '127.0.0.1',
    port: 0,
    receiveBuffer: 65_536,
    onMessage:
      onMessage ??
      ((bytes, { address, port }) => tell(`${bytes.toString('latin1')} from ${address}:${port}`)),
    onError: (error) => tell(`error ${'code' in error ? String(error.code) : error.message}`),
  })
  const peer = await openPeer()
  onTestFinished(async () => {
    await Promise.all([socket.close().catch(() => {}), peer.close()])
  })
  const next = async (): Promise<string> => {
    while (queue.length === 0) await once(events, 'told')
    return queue.shift()!
  }
  return { socket, peer, next }
}

describe('a UDP socket', () => {
  it('says where it is bound and what buffer the kernel granted', async () => {
    const { socket } = await open()
    expect(socket.local.address).toBe('127.0.0.1')
    expect(socket.local.port).toBeGreaterThan(0)
    expect(socket.receiveBuffer).toBeGreaterThanOrEqual(65_536)
  })

  it('receives with the source, and sends', async () => {
    const { socket, peer, next } = await open()
    await peer.send(Buffer.from('hello'), socket.local)
    expect(await next()).toBe(`hello from ${peer.at}`)
    socket.send(Buffer.from('answer'), peer.local)
    expect(await peer.receive()).toMatchObject({ text: 'answer', from: socket.local })
  })

  it('takes an empty datagram', async () => {
    const { socket, peer, next } = await open()
    await peer.send(Buffer.alloc(0), socket.local)
    expect(await next()).toBe(` from ${peer.at}`)
  })

  it('lives on where a handler throws, and tells', async () => {
    const thrown: unknown[] = []
    const socket = await openUdp({
      address: '127.0.0.1',
      port: 0,
      receiveBuffer: 65_536,
      onMessage: (bytes, source) => {
        if (bytes.toString() === 'bad') throw new Error('a bug')
        // oxlint-disable-next-line typescript/only-throw-error -- code without types may
        if (bytes.toString() === 'odd') throw 'a text'
        socket.send(Buffer.from('still here'), source)
      },
      onError: (error) => thrown.push(error.message),
    })
    const peer = await openPeer()
    onTestFinished(async () => {
      await Promise.all([socket.close(), peer.close()])
    })
    for (const text of ['bad', 'odd', 'good']) await peer.send(Buffer.from(text), socket.local)
    expect((await peer.receive()).text).toBe('still here')
    expect(thrown).toEqual(['a bug', 'a text'])
  })

  it.each([0, -1, 65_536, 5060.5, Number.NaN])(
    'tells, and lives on, where it is to send to port %d',
    async (port) => {
      const { socket, peer, next } = await open()
      socket.send(Buffer.from('x'), { address: '127.0.0.1', port })
      expect(await next()).toBe('error ERR_SOCKET_BAD_PORT')
      await peer.send(Buffer.from('hello'), socket.local)
      expect(await next()).toBe(`hello from ${peer.at}`)
    },
  )

  it('tells, and lives on, where a datagram is too large', async () => {
    const { socket, peer, next } = await open()
    socket.send(Buffer.alloc(70_000), peer.local)
    expect(await next()).toBe('error EMSGSIZE')
    socket.send(Buffer.from('x'), peer.local)
    expect((await peer.receive()).text).toBe('x')
  })

  it('does not mind a port where nobody listens', async () => {
    const { socket, peer, next } = await open()
    const gone = await openPeer()
    await gone.close()
    for (let i = 0; i < 5; i++) socket.send(Buffer.from('x'), gone.local)
    await peer.send(Buffer.from('hello'), socket.local)
    expect(await next()).toBe(`hello from ${peer.at}`)
  })

  it('tells where it is closed already', async () => {
    const { socket, peer, next } = await open()
    await socket.close()
    socket.send(Buffer.from('x'), peer.local)
    expect(await next()).toBe('error ERR_SOCKET_DGRAM_NOT_RUNNING')
  })

  it('rejects where the address cannot be bound', async () => {
    const { socket } = await open()
    const again = { ...socket.local, receiveBuffer: 65_536, onMessage: () => {}, onError: () => {} }
    await expect(openUdp(again)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(openUdp({ ...again, address: '203.0.113.1', port: 0 })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    })
  })

  it('lets go of its port', async () => {
    const { socket } = await open()
    const { local } = socket
    await socket.close()
    const again = await openUdp({ ...local, receiveBuffer: 65_536, onMessage: () => {}, onError: () => {} })
    expect(again.local).toEqual(local)
    await again.close()
  })
})

describe('a UDP socket with a target that it is connected to', () => {
  it('is one address and port to both ends, and receives from everybody', async () => {
    const target = await openPeer()
    const other = await openPeer()
    const arrived: string[] = []
    const told = new EventTarget()
    const socket = await openUdp({
      address: '127.0.0.1',
      port: 0,
      receiveBuffer: 65_536,
      mostly: target.local,
      onMessage: (bytes, { port }) => {
        arrived.push(`${bytes.toString()} from ${port}`)
        told.dispatchEvent(new Event('arrived'))
      },
      onError: () => {},
    })
    onTestFinished(async () => {
      await Promise.all([socket.close(), target.close(), other.close()])
    })
    for (const peer of [target, other]) {
      socket.send(Buffer.from('hello'), { ...peer.local })
      expect(await peer.receive()).toMatchObject({ text: 'hello', from: socket.local })
      await peer.send(Buffer.from('answer'), socket.local)
    }
    while (arrived.length < 2) await once(told, 'arrived')
    expect(arrived.toSorted()).toEqual(
      [`answer from ${other.local.port}`, `answer from ${target.local.port}`].toSorted(),
    )
  })

  it('S07: outlives the target, tells, and reaches it when it is back', async () => {
    const gone = await openPeer()
    const { local } = gone
    const reasons: string[] = []
    const told = new EventTarget()
    const socket = await openUdp({
      address: '127.0.0.1',
      port: 0,
      receiveBuffer: 65_536,
      mostly: local,
      onMessage: () => {},
      onError: (error) => {
        reasons.push(error.message)
        told.dispatchEvent(new Event('told'))
      },
    })
    await gone.close()
    for (let i = 0; i < 5; i++) socket.send(Buffer.from('lost'), local)
    while (reasons.length === 0) await once(told, 'told')
    expect(reasons[0]).toMatch(/ECONNREFUSED/)
    const queue: string[] = []
    const back = await openUdp({
      ...local,
      receiveBuffer: 65_536,
      onMessage: (bytes) => {
        queue.push(bytes.toString())
        told.dispatchEvent(new Event('told'))
      },
      onError: () => {},
    })
    onTestFinished(async () => {
      await Promise.all([socket.close(), back.close()])
    })
    // An error that still waits in the socket may eat one.
    for (let i = 0; i < 3; i++) socket.send(Buffer.from('again'), local)
    while (queue.length === 0) await once(told, 'told')
    expect(queue[0]).toBe('again')
  })

  it('does not share its port with another one', async () => {
    const target = await openPeer()
    const options = {
      address: '127.0.0.1',
      port: 0,
      receiveBuffer: 65_536,
      mostly: target.local,
      onMessage: () => {},
      onError: () => {},
    }
    const socket = await openUdp(options)
    onTestFinished(async () => {
      await Promise.all([socket.close(), target.close()])
    })
    await expect(openUdp({ ...options, port: socket.local.port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    })
  })

  it('does without the connection where there can be none, and tells', async () => {
    const other = await openPeer()
    const reasons: string[] = []
    const socket = await openUdp({
      address: '127.0.0.1',
      port: 0,
      receiveBuffer: 65_536,
      // A broadcast address, which a socket must ask for first.
      mostly: { address: '255.255.255.255', port: 9 },
      onMessage: () => {},
      onError: (error) => reasons.push(error.message),
    })
    onTestFinished(async () => {
      await Promise.all([socket.close(), other.close()])
    })
    expect(reasons).toEqual([expect.stringMatching(/EACCES/)])
    socket.send(Buffer.from('hello'), other.local)
    expect((await other.receive()).text).toBe('hello')
  })
})
