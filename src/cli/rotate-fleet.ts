/**
 * What a rotation knows of own nodes: their report files, and of a shared keyring their heartbeats.
 * @module
 */
import type { EdgeConfig } from '../edge/config.ts'
import type { NodeReport } from '../keyring/evidence.ts'
import type { FoundHeartbeats } from '../keyring/fleet.ts'
import type { Confirmation, RotationFacts } from '../keyring/rotation.ts'
import { loadReports } from '../stores/report-file.ts'
import { loadConfirmations } from '../stores/rotation-file.ts'
import type { KeyringTarget } from './keyring-target.ts'
import { asking } from './shared-store.ts'

/** What the store of a shared keyring says of its nodes. */
export interface FleetFacts {
  readonly heartbeats: FoundHeartbeats
  readonly confirmations: readonly Confirmation[]
}

/** Of a keyring in a file nothing is to be asked. */
export const NO_FLEET: FleetFacts = { heartbeats: new Map(), confirmations: [] }

/**
 * Asks the store.
 * @throws ConfigError where it cannot be asked
 */
export async function readFleet({ store }: Pick<KeyringTarget, 'store'>): Promise<FleetFacts> {
  if (store === undefined) return NO_FLEET
  const [heartbeats, confirmations] = await Promise.all([
    asking(store, store.heartbeats()),
    asking(store, store.confirmations()),
  ])
  return { heartbeats, confirmations }
}

/**
 * Files and heartbeats together: of each node the newest. A node that shares the keyring is expected once it has told of
 * itself; the one of the configuration where no other is known, since it may be an operator's.
 * @param named nodes that must have reported
 */
export function nodeFacts(
  directory: string,
  { node, keyring }: Pick<EdgeConfig, 'node' | 'keyring'>,
  fleet: FleetFacts,
  named: readonly string[],
): Pick<RotationFacts, 'reports' | 'expectedNodes' | 'sharingNodes' | 'confirmations'> {
  const found = loadReports(directory)
  const newest = new Map<string, NodeReport>()
  const beats = Array.from(fleet.heartbeats.values(), (beat) => (beat === 'damaged' ? beat : beat.report))
  const told = [...found.values(), ...beats]
  for (const report of told) {
    if (typeof report === 'string') continue
    const other = newest.get(report.node)
    if (other === undefined || other.at < report.at) newest.set(report.node, report)
  }
  const known = [...found.keys(), ...[...fleet.heartbeats.keys()].toSorted(), ...named]
  return {
    reports: [...newest.values()],
    expectedNodes: typeof keyring === 'string' || known.length === 0 ? [node, ...known] : known,
    sharingNodes: new Set(fleet.heartbeats.keys()),
    confirmations: [...fleet.confirmations, ...loadConfirmations(directory)],
  }
}
