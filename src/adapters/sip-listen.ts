/**
 * The sockets of a stack: UDP and TCP on one port, and what arrives there handed on.
 * @module
 */
import type { Endpoint, MessageContext } from '../message/types.ts'
import type { FramingFault } from '../transport/stream-framing.ts'
import type { TcpConnection } from '../transport/tcp-connection.ts'
import { TCP_LIMITS, openTcp } from '../transport/tcp.ts'
import { openUdp } from '../transport/udp.ts'
import type { SipOptions, SipSettings } from './sip-options.ts'
import type { SipSockets } from './sip-outbound.ts'

/** A message, or a stream that went wrong. */
export interface ListenEvents {
  readonly onMessage: (bytes: Buffer, from: Omit<MessageContext, 'message'>, tcp?: TcpConnection) => void
  readonly onFault: (
    fault: FramingFault,
    head: Buffer,
    from: Omit<MessageContext, 'message'>,
    tcp: TcpConnection,
  ) => void
  readonly onError: (error: Error) => void
}

/** With port 0, how often another port is tried where UDP got one that TCP cannot have. */
const TRIES = 5

/** Opens the sockets. Rejects where the port cannot be had; then none stays open. */
export async function listen(
  options: SipOptions,
  settings: SipSettings,
  events: ListenEvents,
): Promise<SipSockets> {
  for (let tried = 1; ; tried++) {
    try {
      return await listenOnce(options, settings, events)
    } catch (error) {
      if (settings.port !== 0 || tried === TRIES || (error as { code?: unknown }).code !== 'EADDRINUSE')
        throw error
    }
  }
}

/** Unfinished messages of full length that one address may always have. */
const SOME = 4

const travel = (tcp: TcpConnection): Omit<MessageContext, 'message'> => ({
  transport: 'tcp',
  source: tcp.remote,
  local: tcp.local,
})

async function listenOnce(
  options: SipOptions,
  { address, port, transports, limits }: SipSettings,
  { onMessage, onFault, onError }: ListenEvents,
): Promise<SipSockets> {
  let local: Endpoint = { address, port }
  const udp = transports.includes('udp')
    ? await openUdp({
        address,
        port,
        receiveBuffer: limits.receiveBuffer,
        onMessage: (bytes, source) => onMessage(bytes, { transport: 'udp', source, local }),
        onError,
      })
    : undefined
  if (udp !== undefined) local = udp.local
  if (!transports.includes('tcp')) return { udp, tcp: undefined }
  const headers = options.maxBytesHeaders ?? TCP_LIMITS.headers
  const body = options.maxContentLength ?? TCP_LIMITS.body
  // Twice a message may be held of it; whatever length is allowed, some must get through.
  const some = SOME * (headers + body)
  try {
    const tcp = await openTcp({
      address,
      port: udp?.local.port ?? port,
      limits: {
        ...TCP_LIMITS,
        headers,
        body,
        held: Math.max(TCP_LIMITS.held, 4 * some),
        heldPerSource: Math.max(TCP_LIMITS.heldPerSource, some),
        connections: limits.connections,
        connectionsPerSource: limits.connectionsPerSource,
      },
      onMessage: (bytes, connection) => onMessage(bytes, travel(connection), connection),
      onFault: (fault, head, connection) => onFault(fault, head, travel(connection), connection),
      onError,
    })
    return { udp, tcp }
  } catch (error) {
    await udp?.close()
    throw error
  }
}
