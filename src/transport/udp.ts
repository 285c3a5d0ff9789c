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
  readonly onMessage: (bytes: Buffer, source: Endpoint) => void
  /** A socket error, or a send that failed; the socket lives on. */
  readonly onError: (error: Error) => void
}

/** An open socket. */
export interface UdpSocket {
  readonly local: Endpoint
  /** Receive buffer that the kernel granted, bytes of payload and overhead as it counts them. */
  readonly receiveBuffer: number
  send(bytes: Buffer, to: Endpoint): void
  close(): Promise<void>
}

/** Opens a socket. Rejects where the address cannot be bound. */
export function openUdp(options: UdpOptions): Promise<UdpSocket> {
  const { address, port, onMessage, onError } = options
  const ipv6 = isIPv6(address)
  const socket = createSocket({ type: ipv6 ? 'udp6' : 'udp4', ipv6Only: ipv6 })
  socket.on('message', (bytes, { address: from, port: fromPort }) =>
    onMessage(bytes, { address: from, port: fromPort }),
  )
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, address, () => {
      socket.off('error', reject)
      socket.on('error', onError)
      resolve(wrap(socket, askForBuffer(socket, options.receiveBuffer), onError))
    })
  })
}

function askForBuffer(socket: Socket, wanted: number): number {
  try {
    socket.setRecvBufferSize(wanted)
  } catch {
    // Refused on some systems; what was granted is told, so that an operator can see it.
  }
  return socket.getRecvBufferSize()
}

function wrap(socket: Socket, receiveBuffer: number, onError: (error: Error) => void): UdpSocket {
  const { address, port } = socket.address()
  const sent = (error: Error | null): void => {
    if (error !== null) onError(error)
  }
  return {
    local: { address, port },
    receiveBuffer,
    send: (bytes, to) => socket.send(bytes, to.port, to.address, sent),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}
