/**
 * What the metrics of a node say of the traffic between nodes.
 */
import type { NodeProcess } from './fleet-node.ts'
import type { Fleet } from './fleet-rig.ts'
import { until } from './fleet-steps.ts'

/** The series is not of the peer that probes. */
function isNodes({ peer }: Readonly<Record<string, string>>): boolean {
  return peer?.endsWith('-probe') !== true
}

/** Messages of other nodes that a node refused, dropped, or could not sign. Probes are not among them. */
export async function refusals(node: NodeProcess) {
  return {
    rejections: await node.metric('xkeys_rejections_total', isNodes),
    dropped: await node.metric('xkeys_dropped_total', isNodes),
    unsigned: await node.metric(
      'xkeys_signatures_total',
      (labels) => isNodes(labels) && labels['outcome'] === 'error',
    ),
  }
}

/** Whether a node has what is stored, and can ask for it. */
export async function isCurrent(node: NodeProcess, revision: number): Promise<boolean> {
  const [inForce, up] = await Promise.all([
    node.metric('xkeys_keyring_revision'),
    node.metric('xkeys_keyring_store_up'),
  ])
  return inForce >= revision && up === 1
}

/** How long it takes from now until every node is current, milliseconds; waits for three times the limit. */
export async function convergence({ nodes, truth }: Fleet, limit: number): Promise<number> {
  const begun = performance.now()
  let isKnown = false
  await until(
    'every node is current',
    async () => {
      // We have to reach the store again ourselves.
      isKnown ||= await truth.refresh().then(
        () => true,
        () => false,
      )
      if (!isKnown) return false
      const current = await Promise.all(nodes.map((node) => isCurrent(node, truth.revision())))
      return current.every(Boolean)
    },
    (3 * limit) / 1000,
  )
  return Math.round(performance.now() - begun)
}
