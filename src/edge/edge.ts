/**
 * The edge: a proxy between trunks and one upstream, from opening its sockets to closing them.
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Evidence } from '../keyring/evidence.ts'
import type { KeyringSource } from '../keyring/keyring.ts'
import type { Endpoint } from '../message/types.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { kernelDrops } from '../transport/kernel-drops.ts'
import { openUdp, type UdpSocket } from '../transport/udp.ts'
import type { EdgeConfig } from './config.ts'
import type { EdgeEvent, Side } from './event.ts'
import { removeKeySeries } from './key-cells.ts'
import { createKeyTime } from './key-time.ts'
import { createTraffic, type Traffic } from './traffic.ts'
import { createTrunk, type Trunk } from './trunk.ts'
import { createEdgeUsers, type EdgeUsers, type UserStores } from './users.ts'

/** What the edge runs with. */
export interface EdgeOptions {
  readonly config: EdgeConfig
  readonly keyring: KeyringSource
  /** The time by which keys begin and end, which never goes back; default: the wall clock's, from the start on. */
  readonly keyTime?: () => Date
  readonly metrics: Metrics
  /** Where the use of each key is noted. */
  readonly evidence?: Evidence | undefined
  /** What an operator may want to know at once: socket errors, messages that could not be signed, drops. */
  readonly onEvent?: (event: EdgeEvent) => void
  /** By it the edge knows its own branches and tags again; absent: another one each time. */
  readonly secret?: string
  /** Every decision; building the event costs, so it is apart. */
  readonly onDecision?: (event: EdgeEvent) => void
  /** Where users are looked up: needed where the configuration has any. They stay open when the edge closes. */
  readonly users?: UserStores | undefined
}

/** A running edge. */
export interface Edge {
  readonly sockets: Readonly<Record<Side, UdpSocket>>
  /** Refuses what begins something new with 503; what is under way goes on. */
  drain(): void
  /**
   * Takes up a keyring that came into force: series of new keys begin, those of keys that are gone end, and so do the
   * secrets that trunks hold. Messages are judged by the keyring in force in any case.
   */
  refreshKeys(): void
  close(): Promise<void>
}

/**
 * Starts the edge.
 * @throws the system's error where an address cannot be bound; ConfigError where the keyring lacks the nonces' group
 */
export async function createEdge(options: EdgeOptions): Promise<Edge> {
  const { config, metrics, onDecision } = options
  const keyTime = options.keyTime ?? createKeyTime()
  const emit = (event: EdgeEvent): void => options.onEvent?.(event)
  let traffic: Traffic | undefined

  const open = (side: Side): Promise<UdpSocket> => {
    const errors = metrics.socketErrors.cell({ side })
    return openUdp({
      ...config.listen[side],
      receiveBuffer: config.limits.receiveBuffer,
      ...(side === 'upstream' && { mostly: config.upstream.target }),
      onMessage: (bytes: Buffer, source: Endpoint) => void traffic?.receive(side, bytes, source),
      onError: (error) => {
        errors.value++
        emit({ event: 'socket-error', side, reason: error.message })
      },
    })
  }
  const trunkSocket = await open('trunk')
  const upstreamSocket = await open('upstream').catch(async (error: unknown) => {
    await trunkSocket.close()
    throw error
  })
  const sockets = { trunk: trunkSocket, upstream: upstreamSocket }
  async function setUpUsers(): Promise<EdgeUsers | undefined> {
    if (config.users === undefined) return undefined
    if (options.users === undefined) throw new TypeError('users are configured, and no stores are given')
    const locals = { trunk: trunkSocket.local, upstream: upstreamSocket.local }
    const { keyring, users: stores } = options
    return createEdgeUsers({
      config,
      users: config.users,
      stores,
      keyring,
      keyTime,
      metrics,
      emit,
      onDecision,
      locals,
    })
  }
  const trunks = config.trunks.map((trunk) =>
    createTrunk(trunk, {
      keyring: options.keyring,
      now: keyTime,
      metrics,
      evidence: options.evidence,
      maxInvites: config.limits.invites,
      emit,
    }),
  )
  const users = await setUpUsers().catch(async (error: unknown) => {
    await Promise.all([trunkSocket.close(), upstreamSocket.close()])
    throw error
  })
  metrics.observe({
    drops: () => sides((side) => kernelDrops(sockets[side].local)),
    receiveBuffers: () => sides((side) => sockets[side].receiveBuffer),
    invites: () =>
      new Map([
        ...trunks.map((trunk) => [trunk.name, trunk.invites.size] as const),
        ...(users === undefined ? [] : [['_users', users.invites] as const]),
      ]),
  })
  traffic = createTraffic({
    config,
    sockets,
    trunks,
    users,
    metrics,
    secret: options.secret ?? randomBytes(32).toString('hex'),
    now: () => performance.now(),
    emit,
    onDecision,
  })
  return {
    sockets,
    drain: () => traffic.drain(),
    refreshKeys() {
      removeKeySeries(metrics, options.keyring())
      for (const trunk of trunks) trunk.refreshKeys()
      releaseKeys(trunks)
    },
    close: async () => {
      traffic.close()
      await Promise.all([sockets.trunk.close(), sockets.upstream.close()])
    },
  }
}

/** Trunk after trunk, with the messages that wait in between. */
function releaseKeys([first, ...rest]: readonly Trunk[]): void {
  first?.releaseKeys()
  if (rest.length > 0) setImmediate(releaseKeys, rest)
}

function sides(read: (side: Side) => number | undefined): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (const side of ['trunk', 'upstream'] as const) {
    const value = read(side)
    if (value !== undefined) values.set(side, value)
  }
  return values
}
