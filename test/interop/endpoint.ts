/**
 * A UDP socket of the test's own: a UA at the far end of a Kamailio.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Endpoint } from '../../src/message/types.ts'

/** A datagram that came in. */
export interface Received {
  readonly bytes: Buffer
  readonly text: string
  readonly source: Endpoint
}

/** An open socket; what comes in waits until it is asked for. */
export interface UdpEnd {
  readonly local: Endpoint
  send(bytes: Buffer, to: Endpoint): void
  /** The next datagram; undefined where none comes in time. */
  next(milliseconds?: number): Promise<Received | undefined>
  close(): void
}

/** Opens a socket. */
export async function openEnd(local: Endpoint): Promise<UdpEnd> {
  const socket: Socket = createSocket('udp4')
  const queue: Received[] = []
  let wake: (() => void) | undefined
  socket.on('message', (bytes, { address, port }) => {
    queue.push({ bytes, text: bytes.toString('latin1'), source: { address, port } })
    wake?.()
  })
  socket.bind(local.port, local.address)
  await once(socket, 'listening')
  return {
    local,
    send: (bytes, to) => socket.send(bytes, to.port, to.address),
    async next(milliseconds = 2000) {
      if (queue.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, milliseconds)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = undefined
      }
      return queue.shift()
    },
    close: () => socket.close(),
  }
}

/** Value of the first header of that name, as it stands; undefined without one. */
export function headerOf(text: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)\r$`, 'im').exec(text.split('\r\n\r\n')[0]! + '\r')?.[1]
}
