/**
 * TCP for SIP: a listener and outgoing connections, framed by Content-Length, bounded in number, size and time.
 * @module
 */
import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net'
import type { Endpoint } from '../message/types.ts'
import { every, now } from './system.ts'
import {
  manageConnection,
  type ConnectionEvents,
  type ConnectionLimits,
  type ManagedConnection,
  type TcpConnection,
} from './tcp-connection.ts'

/** Bounds of a transport. */
export interface TcpLimits extends ConnectionLimits {
  readonly connections: number
  readonly connectionsPerSource: number
  /** Memory of unfinished messages, bytes, on all connections. */
  readonly held: number
  /** The same, on all connections of one address. */
  readonly heldPerSource: number
  /** Milliseconds that a connection may take to open. */
  readonly connect: number
}

/** Bounds that suit a trunk: a few connections a peer, messages as large as a datagram and bodies of 600 kB. */
export const TCP_LIMITS: TcpLimits = {
  headers: 60_480,
  body: 604_800,
  queue: 1_048_576,
  idle: 120_000,
  message: 32_000,
  connections: 5000,
  connectionsPerSource: 100,
  held: 67_108_864,
  heldPerSource: 8_388_608,
  connect: 5000,
}

/** What a listener is opened with. */
export interface TcpOptions extends ConnectionEvents {
  readonly address: string
  /** 0: any free port. */
  readonly port: number
  readonly limits: TcpLimits
}

/** An open listener with its connections. */
export interface TcpTransport {
  readonly local: Endpoint
  /** Connections that are open or being opened. */
  readonly size: number
  /** The connection to there, opened where there is none; undefined where a ceiling is reached. */
  open(to: Endpoint): TcpConnection | undefined
  /** The connection to there that is open already: the one a request came by. */
  find(to: Endpoint): TcpConnection | undefined
  close(): Promise<void>
}

/** How often overdue connections are looked for, milliseconds. */
const CHECK = 1000

/** Opens a listener. Rejects where the address cannot be bound. */
export async function openTcp(options: TcpOptions): Promise<TcpTransport> {
  const { address, port, limits, onError } = options
  // Two of one remote end are possible, to two addresses of ours: what bounds and closes them counts all.
  const all = new Set<ManagedConnection>()
  const byRemote = new Map<string, ManagedConnection>()
  const perSource = new Map<string, { connections: number; held: number }>()
  let held = 0
  let local: Endpoint = { address, port }
  let closed = false

  const isFull = (source: string): boolean =>
    closed ||
    all.size >= limits.connections ||
    (perSource.get(source)?.connections ?? 0) >= limits.connectionsPerSource

  function adopt(socket: Socket, remote: Endpoint): ManagedConnection {
    const source = perSource.get(remote.address) ?? { connections: 0, held: 0 }
    perSource.set(remote.address, source)
    source.connections++
    const connection = manageConnection(socket, remote, local, limits, options, now, (bytes) => {
      held += bytes
      source.held += bytes
      return bytes <= 0 || (held <= limits.held && source.held <= limits.heldPerSource)
    })
    const id = idOf(remote)
    all.add(connection)
    byRemote.set(id, connection)
    socket.once('close', () => {
      all.delete(connection)
      if (byRemote.get(id) === connection) byRemote.delete(id)
      source.connections--
      if (source.connections === 0) perSource.delete(remote.address)
    })
    return connection
  }

  const server = createServer({ noDelay: true }, (socket) => {
    const { remoteAddress, remotePort } = socket
    // Gone again, or one too many: it is not told why, that costs a round trip each.
    if (remoteAddress === undefined || remotePort === undefined || isFull(remoteAddress)) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    adopt(socket, { address: remoteAddress, port: remotePort })
  })
  await listen(server, options)
  server.on('error', onError)
  const bound = server.address()
  if (bound !== null && typeof bound === 'object') local = { address: bound.address, port: bound.port }
  const stop = every(CHECK, () => {
    const time = now()
    for (const connection of all) connection.check(time)
  })

  return {
    local,
    get size() {
      return all.size
    },
    find: (to) => byRemote.get(idOf(to)),
    open(to) {
      const known = byRemote.get(idOf(to))
      if (known !== undefined) return known
      if (to.port < 1 || to.port > 65_535 || isFull(to.address)) return undefined
      const socket = connect({ host: to.address, port: to.port, ...from(address, to) })
      // A time-out of its own: the one for silence is longer.
      socket.setTimeout(limits.connect, () => {
        if (socket.connecting) socket.destroy(new Error(`${idOf(to)} does not answer`))
      })
      socket.once('connect', () => socket.setTimeout(0))
      return adopt(socket, to)
    },
    async close() {
      closed = true
      stop()
      const ended = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const connection of all) connection.destroy()
      await ended
    },
  }
}

function listen(server: Server, { address, port }: TcpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address, port, ipv6Only: isIPv6(address), exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** A peer knows us by address: where we listen on one of several, connections leave from that one too. */
function from(address: string, to: Endpoint): { readonly localAddress?: string } {
  const wildcard = address === '0.0.0.0' || address === '::'
  return wildcard || isIPv6(address) !== isIPv6(to.address) ? {} : { localAddress: address }
}

function idOf({ address, port }: Endpoint): string {
  return `${address} ${port}`
}
