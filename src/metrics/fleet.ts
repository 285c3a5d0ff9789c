/**
 * Metrics of what nodes share: the store of their keyring, each other, their claims.
 * @module
 */
import { Gauge, type Registry } from 'prom-client'

/** What a node that shares its keyring knows of the others. */
export interface FleetMetricFacts {
  readonly isStoreUp: () => boolean
  /** Nodes by status: `current`, `behind`, `silent`, `refusing`. `undefined`: the store cannot be asked. */
  readonly nodes: () => Promise<ReadonlyMap<string, number> | undefined>
}

/** What is read at each scrape; absent where nothing is shared. */
export interface FleetReadings {
  readonly fleet?: FleetMetricFacts | undefined
  /** Whether claims are shared at this moment; else each node knows its own. */
  readonly claims?: (() => 'shared' | 'local') | undefined
}

/** Registers them. */
export function registerFleet(registry: Registry, readings: () => FleetReadings): void {
  const registers = [registry]
  const up = new Gauge({
    name: 'xkeys_keyring_store_up',
    help: 'Whether the store of the shared keyring can be asked',
    registers,
    collect() {
      const { fleet } = readings()
      if (fleet === undefined) up.remove()
      else up.set(fleet.isStoreUp() ? 1 : 0)
    },
  })
  const nodes = new Gauge({
    name: 'xkeys_fleet_nodes',
    help: 'Nodes that share the keyring, by how they stand with it, as this node sees them',
    labelNames: ['status'],
    registers,
    async collect() {
      const found = await readings().fleet?.nodes()
      nodes.reset()
      for (const [status, count] of found ?? []) nodes.set({ status }, count)
    },
  })
  const claims = new Gauge({
    name: 'xkeys_claims_shared',
    help: 'Whether what may happen once is known to all nodes; 0: each knows its own while the shared store is away',
    registers,
    collect() {
      const state = readings().claims?.()
      if (state === undefined) claims.remove()
      else claims.set(state === 'shared' ? 1 : 0)
    },
  })
}
