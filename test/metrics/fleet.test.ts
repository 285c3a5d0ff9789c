import { expect, it } from 'vitest'
import { countFleet } from '../../src/keyring/fleet.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { parseExposition } from '../support/exposition.ts'

const NAMES = ['xkeys_keyring_revision', 'xkeys_keyring_store_up', 'xkeys_fleet_nodes', 'xkeys_claims_shared']

async function samples(metrics: ReturnType<typeof createMetrics>): Promise<Record<string, number>> {
  const families = parseExposition(await metrics.registry.metrics())
  return Object.fromEntries(
    NAMES.flatMap((name) =>
      (families.get(name)?.samples ?? []).map(({ labels, value }) => [
        [name, ...Object.values(labels)].join(' '),
        value,
      ]),
    ),
  )
}

it('a node that shares nothing shows nothing of it', async () => {
  const metrics = createMetrics({ version: '1', keyring: () => ({ keys: [], groups: [] }), process: 'none' })
  expect(await samples(metrics)).toEqual({})
})

it('a node that shares its keyring shows how it stands, from one scrape to the next', async () => {
  let revision = 7
  let nodes: ReturnType<typeof countFleet> | undefined = countFleet([{ node: 'n1', status: 'refusing' }])
  const metrics = createMetrics({
    version: '1',
    keyring: () => ({ keys: [], groups: [], revision }),
    process: 'none',
  })
  let state: 'shared' | 'local' = 'shared'
  metrics.observe({
    fleet: { isStoreUp: () => nodes !== undefined, nodes: async () => nodes },
    claims: () => state,
  })
  expect(await samples(metrics)).toEqual({
    xkeys_keyring_revision: 7,
    xkeys_keyring_store_up: 1,
    'xkeys_fleet_nodes current': 0,
    'xkeys_fleet_nodes behind': 0,
    'xkeys_fleet_nodes silent': 0,
    'xkeys_fleet_nodes refusing': 1,
    xkeys_claims_shared: 1,
  })
  revision = 8
  nodes = undefined
  state = 'local'
  // What cannot be known is not shown as it was.
  expect(await samples(metrics)).toEqual({
    xkeys_keyring_revision: 8,
    xkeys_keyring_store_up: 0,
    xkeys_claims_shared: 0,
  })
})
