/**
 * UDP sockets: bound, with a large receive buffer, and never the end of the process.
 * @module
 */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Endpoint } from '../message/types.ts'

/** What a socket is opened with. */
export interface UdpOptions {
  /** A concrete address: it goes into Via and templates. */
  readonly address: string
  /** 0: any free port. */
  readonly port: number
  /** Receive buffer to ask for, bytes; the kernel may grant less (`net.core.rmem_max`). */
  readonly receiveBuffer: number
  /**
   * Where most of what is sent goes: a second socket on the same address and port is connected to it, which saves the
   * kernel a route look-up and Node an address look-up with every packet. It also receives what comes from there.
   */
  readonly mostly?: Endpoint
  readonly onMessage: (bytes: Buffer, source: Endpoint) => void
  /** A socket error, a send that failed, or what `onMessage` threw; the socket lives on. */
  readonly onError: (error: Error) => void
}

/** An open socket. */
export interface UdpSocket {
  readonly local: Endpoint
  /** Receive buffer that the kernel granted, bytes of payload and overhead as it counts them. */
  readonly receiveBuffer: number
  send(bytes: Buffer, to: Endpoint): void
  /** Safe to call twice. */
  close(): Promise<void>
}

/** Opens a socket. Rejects where the address cannot be bound. */
export async function openUdp(options: UdpOptions): Promise<UdpSocket> {
  const { mostly } = options
  if (mostly === undefined) return wrap(await bind(options, options.port, 'exclusive'), undefined, options)
  // Two sockets on one port need SO_REUSEADDR, with which a bind succeeds even where another process holds the port:
  // so the port is first taken without.
  const probe = await bind(options, options.port, 'exclusive')
  const { port } = probe.address()
  await close(probe)
  const socket = await bind(options, port, 'shared')
  try {
    const connected = await bind(options, port, 'shared')
    const failure = await connect(connected, mostly)
    if (failure === undefined) return wrap(socket, { socket: connected, to: mostly }, options)
    // No route at the moment, say: the other socket asks anew with every packet.
    await close(connected)
    options.onError(failure)
    return wrap(socket, undefined, options)
  } catch (error) {
    await close(socket)
    throw error
  }
}

/** What went wrong, if anything did: the callback is called on a failure too, and no event comes. */
function connect(socket: Socket, { address, port }: Endpoint): Promise<Error | undefined> {
  return new Promise((resolve) => socket.connect(port, address, (error?: Error) => resolve(error)))
}

function close(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()))
}

function bind(options: UdpOptions, port: number, how: 'exclusive' | 'shared'): Promise<Socket> {
  const { address, onMessage, onError } = options
  const ipv6 = isIPv6(address)
  const socket = createSocket({ type: ipv6 ? 'udp6' : 'udp4', ipv6Only: ipv6, reuseAddr: how === 'shared' })
  socket.on('message', (bytes, { address: from, port: fromPort }) => {
    try {
      onMessage(bytes, { address: from, port: fromPort })
    } catch (error) {
      // A bug, but none that a datagram may end the process with.
      onError(toError(error))
    }
  })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, address, () => {
      socket.off('error', reject)
      socket.on('error', onError)
      askForBuffer(socket, options.receiveBuffer)
      resolve(socket)
    })
  })
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function askForBuffer(socket: Socket, wanted: number): void {
  try {
    socket.setRecvBufferSize(wanted)
  } catch {
    // Refused on some systems; what was granted is told, so that an operator can see it.
  }
}

function wrap(
  socket: Socket,
  connected: { readonly socket: Socket; readonly to: Endpoint } | undefined,
  { onError }: UdpOptions,
): UdpSocket {
  const { address, port } = socket.address()
  const sent = (error: Error | null): void => {
    if (error !== null) onError(error)
  }
  let closed: Promise<void> | undefined
  const closeAll = async (): Promise<void> => {
    await close(socket)
    if (connected !== undefined) await close(connected.socket)
  }
  return {
    local: { address, port },
    receiveBuffer: socket.getRecvBufferSize(),
    send: (bytes, to) => {
      try {
        if (connected !== undefined && (to === connected.to || isSame(to, connected.to))) {
          connected.socket.send(bytes, sent)
        } else {
          socket.send(bytes, to.port, to.address, sent)
        }
      } catch (error) {
        // Node throws at once on a port that is none, and on a socket that is closed.
        onError(toError(error))
      }
    },
    close: () => (closed ??= closeAll()),
  }
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address
}
