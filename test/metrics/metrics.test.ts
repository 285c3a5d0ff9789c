import { describe, expect, it } from 'vitest'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { describeKeyring } from '../../src/keyring/facts.ts'
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts'
import { parseExposition } from '../support/exposition.ts'
import { SECRETS } from '../support/signed-messages.ts'

const at = new Date('2026-11-21T12:00:00Z')
const ring = createKeyring([
  [
    'trunk-a',
    [
      createKey({ name: 'ended', secret: SECRETS.old, expires: new Date('2026-01-01T00:00:00.500Z') }),
      createKey({ name: 'now', secret: SECRETS.new, activeFrom: new Date('2026-10-01T00:00:00Z') }),
      createKey({ name: 'next', secret: SECRETS.other, activeFrom: new Date('2027-01-01T00:00:00Z') }),
    ],
  ],
  ['dead', [createKey({ name: 'revoked', secret: 'gone', revoked: new Date(0) })]],
])

const metricsOf = (keyring: () => Keyring, process: 'all' | 'none' = 'none'): Metrics =>
  createMetrics({ version: '1.2.3', process, keyring: () => describeKeyring(keyring(), at) })

const scrape = async (metrics: Metrics) => parseExposition(await metrics.registry.metrics())
const values = async (metrics: Metrics, name: string): Promise<Record<string, number>> => {
  const family = (await scrape(metrics)).get(name)
  if (family === undefined) throw new Error(`no ${name}`)
  return Object.fromEntries(
    family.samples.map(({ labels, value }) => [Object.values(labels).join(','), value]),
  )
}

describe('the exposition', () => {
  it('parses, with a help text and the right type for each family', async () => {
    const families = await scrape(metricsOf(() => ring))
    expect(families.size).toBeGreaterThan(10)
    for (const [name, { help, type }] of families) {
      expect(name).toMatch(/^xkeys_[a-z_]+$/)
      expect(help).not.toBe('')
      expect(type).toBe(name.endsWith('_total') ? 'counter' : 'gauge')
    }
  })

  it('has the process and Node metrics where they are asked for', async () => {
    expect((await scrape(metricsOf(() => ring, 'all'))).has('process_cpu_seconds_total')).toBe(true)
    expect((await scrape(metricsOf(() => ring))).has('process_cpu_seconds_total')).toBe(false)
  })

  it('says what runs', async () => {
    expect(
      await values(
        metricsOf(() => ring),
        'xkeys_build_info',
      ),
    ).toEqual({ '1.2.3': 1 })
  })

  it('keeps registries apart', async () => {
    const [one, two] = [metricsOf(() => ring), metricsOf(() => ring)]
    one.dropped.cell({ reason: 'x' }).value = 7
    expect(await values(two, 'xkeys_dropped_total')).toEqual({})
  })

  it('names labels of any text without breaking', async () => {
    const odd = createKeyring([['gw "1"\\', [createKey({ name: 'a"}\\n{', secret: 'x' })]]])
    const { samples } = (await scrape(metricsOf(() => odd))).get('xkeys_key_info')!
    expect(samples.map(({ labels }) => [labels['group'], labels['key']])).toEqual([['gw "1"\\', 'a"}\\n{']])
  })
})

const info = (keyring: Keyring): Promise<Record<string, number>> =>
  values(
    metricsOf(() => keyring),
    'xkeys_keyring_info',
  )

describe('keys and groups', () => {
  it('each key has one state of the closed set', async () => {
    const states = await values(
      metricsOf(() => ring),
      'xkeys_key_state',
    )
    const on = Object.entries(states).filter(([, value]) => value === 1)
    expect(on.map(([labels]) => labels)).toEqual([
      'trunk-a,ended,expired',
      'trunk-a,now,active',
      'trunk-a,next,pending',
      'dead,revoked,revoked',
    ])
    expect(Object.keys(states)).toHaveLength(4 * 5)
  })

  it('shows times in seconds, and none where there is none', async () => {
    const metrics = metricsOf(() => ring)
    expect(await values(metrics, 'xkeys_key_active_from_timestamp_seconds')).toEqual({
      'trunk-a,now': Date.UTC(2026, 9, 1) / 1000,
      'trunk-a,next': Date.UTC(2027, 0, 1) / 1000,
    })
    expect(await values(metrics, 'xkeys_key_not_after_timestamp_seconds')).toEqual({
      'trunk-a,ended': Date.UTC(2026, 0, 1) / 1000 + 0.5,
    })
  })

  it('says which group can sign', async () => {
    expect(
      await values(
        metricsOf(() => ring),
        'xkeys_group_signable',
      ),
    ).toEqual({ 'trunk-a': 1, dead: 0 })
  })

  it('shows 8 digits of a fingerprint at most', async () => {
    const families = await scrape(metricsOf(() => ring))
    for (const name of ['xkeys_key_info', 'xkeys_keyring_info']) {
      for (const { labels } of families.get(name)!.samples)
        expect(labels['fingerprint']).toMatch(/^[0-9a-f]{8}$/)
    }
  })

  it('two nodes with the same keyring show the same, another shows another', async () => {
    const groups = ring.groups.map((group) => [group, ring.keys(group)] as const)
    expect(await info(createKeyring(groups))).toEqual(await info(ring))
    const fewer = createKeyring(groups.map(([group, keys]) => [group, keys.slice(0, 1)]))
    expect(Object.keys(await info(fewer))[0]).not.toBe(Object.keys(await info(ring))[0])
  })

  it('series of a pruned key are gone at the next scrape', async () => {
    let keyring = ring
    const metrics = metricsOf(() => keyring)
    expect(JSON.stringify([...(await scrape(metrics)).values()])).toContain('"ended"')
    keyring = createKeyring([['trunk-a', ring.keys('trunk-a').slice(1)]])
    const after = JSON.stringify([...(await scrape(metrics)).values()])
    expect(after).not.toContain('"ended"')
    expect(after).not.toContain('"dead"')
  })
})

describe('cells', () => {
  it('are series from the moment they exist, at 0', async () => {
    const metrics = metricsOf(() => ring)
    const cell = metrics.parseErrors.cell({ kind: 'nul' })
    expect(await values(metrics, 'xkeys_sip_parse_errors_total')).toEqual({ nul: 0 })
    cell.value++
    cell.value++
    expect(await values(metrics, 'xkeys_sip_parse_errors_total')).toEqual({ nul: 2 })
    // A scrape takes nothing away.
    expect(await values(metrics, 'xkeys_sip_parse_errors_total')).toEqual({ nul: 2 })
  })

  it('are one for the same labels, whatever their order', () => {
    const { rejections } = metricsOf(() => ring)
    const cell = rejections.cell({ peer: 'a', group: 'b', reason: 'c' })
    expect(rejections.cell({ reason: 'c', group: 'b', peer: 'a' })).toBe(cell)
    expect(rejections.cell({ peer: 'b', group: 'a', reason: 'c' })).not.toBe(cell)
    expect(rejections.cell({ peer: 'a","b', group: 'b', reason: 'c' })).not.toBe(cell)
  })

  it('keep the labels they were made with', async () => {
    const metrics = metricsOf(() => ring)
    const labels = { reason: 'before' }
    metrics.dropped.cell(labels).value = 1
    labels.reason = 'after'
    expect(await values(metrics, 'xkeys_dropped_total')).toEqual({ before: 1 })
  })

  it('can be removed, and listed', async () => {
    const metrics = metricsOf(() => ring)
    for (const key of ['k1', 'k2']) metrics.keyVerifications.cell({ group: 'g', key, peer: 'p' }).value = 5
    metrics.keyVerifications.remove(({ key }) => key === 'k1')
    expect([...metrics.keyVerifications.entries()]).toEqual([
      { labels: { group: 'g', key: 'k2', peer: 'p' }, value: 5 },
    ])
    expect(await values(metrics, 'xkeys_key_verifications_total')).toEqual({ 'g,k2,p': 5 })
  })
})

describe('the second parser', () => {
  it.each([
    ['a timestamp', '# HELP a b\n# TYPE a counter\na 1 1700000000\n'],
    ['a series twice', '# HELP a b\n# TYPE a counter\na{x="1"} 1\na{x="1"} 2\n'],
    ['a value that is none', '# HELP a b\n# TYPE a counter\na one\n'],
    ['an unescaped quote', '# HELP a b\n# TYPE a counter\na{x="1"2"} 1\n'],
    ['no TYPE', '# HELP a b\na 1\n'],
    ['another family’s sample', '# HELP a b\n# TYPE a counter\nb 1\n'],
    ['no line feed at the end', '# HELP a b\n# TYPE a counter\na 1'],
  ])('refuses %s', (_, text) => {
    expect(() => parseExposition(text)).toThrow(Error)
  })
})
