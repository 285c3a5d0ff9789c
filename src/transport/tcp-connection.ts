/**
 * One TCP connection: framed, bounded, and never the end of the process.
 * @module
 */
import type { Socket } from 'node:net'
import type { Endpoint } from '../message/types.ts'
import { createFraming, type FramingFault, type FramingLimits } from './stream-framing.ts'

/** Bounds of one connection. */
export interface ConnectionLimits extends FramingLimits {
  /** Bytes that may wait for a peer that does not read; with more the connection is closed. */
  readonly queue: number
  /** Milliseconds without a byte in either direction, where nobody holds the connection. */
  readonly idle: number
  /** Milliseconds from the first byte of a message to its last. */
  readonly message: number
}

/** An open connection, or one that is being opened: what is sent waits until it is. */
export interface TcpConnection {
  readonly remote: Endpoint
  /** The listener's address until the connection is open. */
  readonly local: Endpoint
  /** False where the connection is closed, or closed by this because the peer does not read. */
  send(bytes: Buffer): boolean
  /** Keeps the connection open while nothing travels, until what is returned is called. */
  hold(): () => void
  /** Calls `listener` once when the connection is closed; at once where it is. @returns what takes it off again */
  onClose(listener: (error: Error) => void): () => void
  /** Sends what waits, then closes. */
  end(): void
  /** Closes now. */
  destroy(): void
}

/** What a connection tells. */
export interface ConnectionEvents {
  /** One message, in memory of its own. */
  readonly onMessage: (bytes: Buffer, connection: TcpConnection) => void
  /** The stream cannot be read on. Whoever takes this may answer before the connection is closed. */
  readonly onFault: (reason: FramingFault, head: Buffer, connection: TcpConnection) => void
  /** A socket error, or what a listener threw. */
  readonly onError: (error: Error) => void
}

/** A connection as its transport sees it. */
export interface ManagedConnection extends TcpConnection {
  /** Closes it where it is overdue. @param now milliseconds of a clock that never steps */
  check(now: number): void
}

/** Milliseconds for a peer to close its side, once we have closed ours. */
const LINGER = 2000

const CLOSED = 'the connection is closed'

/**
 * Wraps a socket, connected or connecting.
 * @param hold told by how many bytes the memory of unfinished messages has grown; false where that is too much
 */
export function manageConnection(
  socket: Socket,
  remote: Endpoint,
  listener: Endpoint,
  limits: ConnectionLimits,
  events: ConnectionEvents,
  now: () => number,
  hold: (bytes: number) => boolean,
): ManagedConnection {
  const listeners = new Set<(error: Error) => void>()
  let holders = 0
  let active = now()
  let begun = -1
  let ended = -1
  let reason = CLOSED

  const guard = (run: () => void): void => {
    try {
      run()
    } catch (error) {
      // A bug, but none that a byte stream may end the process with.
      events.onError(error instanceof Error ? error : new Error(String(error)))
    }
  }
  let kept = 0
  const keep = (bytes: number): boolean => {
    const more = bytes - kept
    kept = bytes
    return hold(more)
  }
  const framing = createFraming(limits, {
    message: (bytes) => {
      // Whatever follows in the chunk is another message, with time of its own.
      begun = -1
      // Of a chunk in which one message made us close, the others are not taken.
      if (ended < 0 && !socket.destroyed) guard(() => events.onMessage(bytes, connection))
    },
    ping: () => void connection.send(Buffer.from('\r\n')),
    fault: (fault, head) => {
      guard(() => events.onFault(fault, head, connection))
      connection.end()
    },
  })
  const connection: ManagedConnection = {
    remote,
    get local() {
      const { localAddress: address, localPort: port } = socket
      return address === undefined || port === undefined ? listener : { address, port }
    },
    send(bytes) {
      if (socket.destroyed || socket.writableEnded) return false
      active = now()
      if (socket.writableLength + bytes.length > limits.queue) {
        reason = 'the peer does not read'
        socket.destroy()
        return false
      }
      socket.write(bytes)
      return true
    },
    hold() {
      let held = true
      holders++
      return () => {
        if (held) holders--
        held = false
      }
    },
    onClose(listener) {
      if (socket.destroyed) {
        listener(new Error(reason))
        return () => {}
      }
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    end() {
      // What still arrives is read and thrown away: closing on unread bytes would take our last answer from the peer.
      socket.end()
      ended = now()
    },
    destroy: () => void socket.destroy(),
    check(time) {
      if (ended >= 0 && time - ended >= LINGER) socket.destroy()
      else if (begun >= 0 && time - begun >= limits.message) {
        reason = 'a message was not completed in time'
        socket.destroy()
      } else if (holders === 0 && time - active >= limits.idle) {
        reason = 'nothing travelled for too long'
        socket.destroy()
      }
    },
  }
  socket.setNoDelay(true)
  socket.on('data', (chunk: Buffer) => {
    if (ended >= 0) return
    active = now()
    framing.push(chunk)
    if (!framing.partial) begun = -1
    else if (begun < 0) begun = active
    if (!keep(framing.held)) {
      reason = 'too much is held of unfinished messages'
      socket.destroy()
    }
  })
  socket.on('error', (error) => {
    reason = error.message
    events.onError(error)
  })
  socket.on('close', () => {
    keep(0)
    const error = new Error(reason)
    for (const listener of listeners) guard(() => listener(error))
    listeners.clear()
  })
  return connection
}
