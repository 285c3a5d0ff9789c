import { expect, it } from 'vitest'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { parseExposition } from '../support/exposition.ts'

const metrics = createMetrics({ version: '1', process: 'none', keyring: () => ({ keys: [], groups: [] }) })
const samples = async (): Promise<readonly string[]> =>
  [...parseExposition(await metrics.registry.metrics()).values()]
    .filter(({ name }) => /_keyring_(?:reloads|last)|_last_used_|_evidence_|_report_/.test(name))
    .flatMap((family) =>
      family.samples.map(({ name, labels, value }) => [name, ...Object.values(labels), value].join(' ')),
    )

it('reloads begin at 0, and of what is not known nothing is shown', async () => {
  expect(await samples()).toEqual([
    'xkeys_keyring_reloads_total file ok 0',
    'xkeys_keyring_reloads_total file failed 0',
  ])
})

it('show how it stands at each scrape, and what is gone is gone', async () => {
  const uses = [
    { group: 'g', key: 'a', verified: 1500, signed: undefined },
    { group: 'g', key: 'b', verified: undefined, signed: 2500 },
  ]
  metrics.observe({
    reloads: () => ({ source: 'file', ok: 3, failed: 2, failing: true, loadedAt: new Date(7000) }),
    evidence: () => ({ since: new Date(1000), uses, writtenAt: new Date(9000) }),
  })
  expect(await samples()).toEqual([
    'xkeys_keyring_reloads_total file ok 3',
    'xkeys_keyring_reloads_total file failed 2',
    'xkeys_keyring_last_reload_success file 0',
    'xkeys_keyring_last_reload_timestamp_seconds file 7',
    'xkeys_key_last_used_timestamp_seconds g a verify 1.5',
    'xkeys_key_last_used_timestamp_seconds g b sign 2.5',
    'xkeys_evidence_since_timestamp_seconds 1',
    'xkeys_report_written_timestamp_seconds 9',
  ])
  uses.shift()
  metrics.observe({
    reloads: () => ({ source: 'file', ok: 4, failed: 2, failing: false, loadedAt: new Date(8000) }),
    evidence: () => ({ since: new Date(2000), uses }),
  })
  expect(await samples()).toEqual([
    'xkeys_keyring_reloads_total file ok 4',
    'xkeys_keyring_reloads_total file failed 2',
    'xkeys_keyring_last_reload_success file 1',
    'xkeys_keyring_last_reload_timestamp_seconds file 8',
    'xkeys_key_last_used_timestamp_seconds g b sign 2.5',
    'xkeys_evidence_since_timestamp_seconds 2',
  ])
})
