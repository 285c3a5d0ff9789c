/**
 * This node as one of a fleet: what it tells the others, and what it knows of them.
 * @module
 */
import type { Logger } from 'pino'
import type { Evidence } from '../keyring/evidence.ts'
import { keyringFingerprint } from '../keyring/fleet.ts'
import type { KeyringStore } from '../keyring/keyring-store.ts'
import type { LiveKeyring } from '../stores/keyring-file.ts'
import type { SharedState } from '../stores/keyring-shared.ts'
import { createFleetView, type FleetCounts } from './fleet-view.ts'
import { createHeartbeats, type Heartbeats } from './heartbeat.ts'

/** What a node of a fleet is made of. */
export interface FleetNodeOptions {
  readonly store: KeyringStore
  readonly state: () => SharedState
  readonly live: LiveKeyring
  readonly evidence: Evidence
  readonly version: string
  /** Why what is stored was refused last. */
  readonly refusal: () => string | undefined
  readonly log: Logger
}

/** What the metrics ask of a fleet. */
export interface FleetFacts {
  readonly isStoreUp: () => boolean
  readonly nodes: () => Promise<FleetCounts>
}

/** This node among the others. */
export interface FleetNode extends Heartbeats {
  readonly facts: FleetFacts
}

/** Makes it; it tells nothing before it begins. */
export function createFleetNode(options: FleetNodeOptions): FleetNode {
  const { store, state, live, evidence, version, refusal, log } = options
  const isStoreUp = (): boolean => state() !== 'away'
  const refuses = (): string | undefined => {
    if (state() === 'older') return 'older'
    return live.status().failing ? refusal() : undefined
  }
  const heartbeats = createHeartbeats({
    store,
    tell: (end) => ({
      report: evidence.report(new Date(), end),
      keyring: keyringFingerprint(live.keyring()),
      version,
      refuses: refuses(),
    }),
    onState: (told, reason) => {
      if (told === 'sent') log.info({ event: 'heartbeat-sent' }, 'the other nodes hear of this one again')
      else if (isStoreUp())
        log.warn(
          { event: 'heartbeat-failed', reason },
          'the store takes nothing from this node: the others take it for silent',
        )
    },
  })
  const view = createFleetView({ store, monotonic: () => performance.now() })
  return {
    begin: () => heartbeats.begin(),
    now: () => heartbeats.now(),
    async close() {
      await heartbeats.close()
      await store.close().catch(() => {})
    },
    facts: { isStoreUp, nodes: async () => (isStoreUp() ? view() : undefined) },
  }
}
