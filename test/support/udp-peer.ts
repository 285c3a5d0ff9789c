import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Endpoint, SipMessage } from '../../src/message/types.ts'
import { parsed } from './messages.ts'

/** A datagram that arrived. */
export interface Received {
  readonly bytes: Buffer
  readonly text: string
  readonly from: Endpoint
  /** Its strict parse; a datagram that is no message is a failure. */
  readonly message: SipMessage
}

/** A UDP socket of a test, with what arrived in a queue. */
export interface UdpPeer {
  readonly local: Endpoint
  /** `127.0.0.1:40000` */
  readonly at: string
  /** Resolves when the kernel has it. */
  send(bytes: Buffer, to: Endpoint): Promise<void>
  /** The next datagram; a failure where none comes. */
  receive(): Promise<Received>
  close(): Promise<void>
}

const PATIENCE = 5000

/** Opens a socket on a free port, of 127.0.0.1 where no other address is given. */
export async function openPeer(address = '127.0.0.1'): Promise<UdpPeer> {
  const socket = createSocket('udp4')
  socket.bind(0, address)
  await once(socket, 'listening')
  // ICMP errors of a peer that has gone are part of some tests.
  socket.on('error', () => {})
  const queue: Received[] = []
  const waiting: ((received: Received) => void)[] = []
  socket.on('message', (bytes, { address, port }) => {
    const received: Received = {
      bytes,
      text: bytes.toString('latin1'),
      from: { address, port },
      get message() {
        return parsed(bytes)
      },
    }
    const next = waiting.shift()
    if (next === undefined) queue.push(received)
    else next(received)
  })
  const local = { address, port: socket.address().port }
  return {
    local,
    at: `${local.address}:${local.port}`,
    send: (bytes, to) =>
      new Promise((resolve, reject) => {
        socket.send(bytes, to.port, to.address, (error) => (error === null ? resolve() : reject(error)))
      }),
    receive: () =>
      new Promise((resolve, reject) => {
        const first = queue.shift()
        if (first !== undefined) return resolve(first)
        const timer = setTimeout(() => reject(new Error('nothing arrived')), PATIENCE)
        waiting.push((received) => {
          clearTimeout(timer)
          resolve(received)
        })
      }),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}
