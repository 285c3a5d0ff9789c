/**
 * The fleet as one of its nodes sees it, for the metrics.
 * @module
 */
import { countFleet, viewFleet, type FleetStatus } from '../keyring/fleet.ts'
import type { KeyringStore } from '../keyring/keyring-store.ts'

/** Where the fleet is looked at, and how often. */
export interface FleetViewOptions {
  readonly store: Pick<KeyringStore, 'heartbeats'>
  /** Milliseconds of a clock that does not step. */
  readonly monotonic: () => number
}

/** How many nodes there are of each status; `undefined`: the store cannot be asked. */
export type FleetCounts = ReadonlyMap<FleetStatus, number> | undefined

/** The store is asked at most this often, milliseconds: every node asks, and each answer tells of every node. */
const READ_EVERY_MS = 5000

/** Makes a view that is read when it is asked for, and kept a while. Never rejects. */
export function createFleetView({ store, monotonic }: FleetViewOptions): () => Promise<FleetCounts> {
  let seen: Promise<FleetCounts> | undefined
  let seenAt = -Infinity

  async function read(): Promise<FleetCounts> {
    try {
      // By the newest keyring that any node has: it shows, too, when this node is the one that is behind.
      return countFleet(viewFleet(await store.heartbeats(), 'unknown'))
    } catch {
      return undefined
    }
  }

  return () => {
    if (seen === undefined || monotonic() - seenAt >= READ_EVERY_MS) {
      seenAt = monotonic()
      seen = read()
    }
    return seen
  }
}
