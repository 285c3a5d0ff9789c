import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { loadConfig, startService } from '../../src/edge/service.ts'
import { countFleet } from '../../src/keyring/fleet.ts'
import {
  CASES,
  DEFAULT_LIMITS,
  RULES,
  deployFile,
  panelExpressions,
  readDashboard,
  readRules,
  withoutVariables,
} from '../support/deploy-files.ts'
import { namesOf } from '../support/deploy-promql.ts'
import { parseExposition } from '../support/exposition.ts'
import { tempFolder } from '../support/peers.ts'
import { requestOf } from '../support/edge-rig.ts'
import { SECRETS, signedBytes } from '../support/signed-messages.ts'
import { openPeer } from '../support/udp-peer.ts'

const FILES = {
  'keys.toml': `
[[groups.gw.keys]]
name = "k1"
value = "${SECRETS.old}"
expires = 2100-01-01T00:00:00Z
[[groups.gw.keys]]
name = "k2"
value = "${SECRETS.new}"
active_from = 2026-01-01T00:00:00Z
[[groups.nonces.keys]]
name = "n1"
value = "${SECRETS.other}"
`,
  'users.toml': '',
  'edge.toml': `
keyring = "keys.toml"
state = "state"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
[users]
domains = ["example.org"]
nonce_group = "nonces"
[users.credentials]
source = "users.toml"
`,
}

/** What an edge shows right after its start: each metric, its labels, and their values. */
async function exported(): Promise<Map<string, Map<string, Set<string>>>> {
  const folder = tempFolder()
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text)
  const loaded = loadConfig(join(folder, 'edge.toml'), {}, new Date())
  const service = await startService({ loaded, version: 'test', logTo: { write: () => {} } })
  service.metrics.observe({
    // What a node shows that shares its keyring: test/edge/fleet.test.ts has one that does.
    fleet: { isStoreUp: () => true, nodes: async () => countFleet([]) },
    claims: () => 'shared',
  })
  // A key that was never used has no last use.
  const peer = await openPeer()
  const request = requestOf('OPTIONS', peer)
  const { agreement } = loaded.config.trunks[0]!
  await peer.send(signedBytes(request, agreement, {}, loaded.keyring), service.edge.sockets.trunk.local)
  const scrape = (): Promise<string> => service.metrics.registry.metrics()
  const text = await vi.waitFor(
    async () => {
      const scraped = await scrape()
      expect(scraped).toContain('xkeys_key_last_used_timestamp_seconds{')
      return scraped
    },
    { timeout: 10_000 },
  )
  await Promise.all([service.stop(), peer.close()])
  const found = new Map<string, Map<string, Set<string>>>()
  for (const family of parseExposition(text).values()) {
    found.set(family.name, new Map())
    for (const { name, labels } of family.samples) {
      if (!found.has(name)) found.set(name, new Map())
      const values = found.get(name)!
      for (const [label, value] of Object.entries(labels)) {
        if (!values.has(label)) values.set(label, new Set())
        values.get(label)!.add(value)
      }
    }
  }
  return found
}

/** Labels that Prometheus adds when it scrapes. */
const OF_THE_TARGET = ['instance', 'job']
/** Labels whose values come from the configuration: any value goes. */
const CONFIGURED = new Set(['peer', 'group', 'key', 'instance', 'job', 'backend', 'store'])

const rules = readRules(deployFile(RULES))
const recorded = new Map(
  rules.filter(({ kind }) => kind === 'record').map(({ name, expr }) => [name, namesOf(expr).grouping]),
)
let metrics: Map<string, Map<string, Set<string>>>
beforeAll(async () => {
  metrics = await exported()
})

/** Labels of a metric, with the values that are known. */
function labelsOf(metric: string): Map<string, Set<string>> | undefined {
  const grouping = recorded.get(metric)
  if (grouping !== undefined) return new Map(grouping.map((label) => [label, new Set()]))
  return metrics.get(metric)
}

/** What is wrong with the names in an expression. */
function faults(expr: string, labelsShown: readonly string[] = []): string[] {
  const { selectors, grouping } = namesOf(expr)
  const found: string[] = []
  const labels = new Set(OF_THE_TARGET)
  for (const { metric, matchers } of selectors) {
    const known = labelsOf(metric)
    if (known === undefined) {
      found.push(`there is no metric ${metric}`)
      continue
    }
    for (const label of known.keys()) labels.add(label)
    for (const { label, values } of matchers) {
      if (!known.has(label) && !OF_THE_TARGET.includes(label)) found.push(`${metric} has no label ${label}`)
      else if (!CONFIGURED.has(label)) {
        for (const value of values) {
          if (known.get(label)?.has(value) !== true) found.push(`${metric} never has ${label}="${value}"`)
        }
      }
    }
  }
  for (const label of [...grouping, ...labelsShown])
    if (!labels.has(label)) found.push(`nothing there has a label ${label}`)
  return found
}

const shown = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, name]) => name!)

describe('the check of names', () => {
  it.each([
    ['xkeys_verifications{outcome="accept"}', 'there is no metric xkeys_verifications'],
    ['xkeys_verifications_total{reason="x"}', 'xkeys_verifications_total has no label reason'],
    ['xkeys_key_state{state="retiring"} == 1', 'xkeys_key_state never has state="retiring"'],
    [
      'rate(xkeys_rejections_total{reason=~"token-mismatch|bad"}[5m])',
      'xkeys_rejections_total never has reason="bad"',
    ],
    ['sum by (realm) (rate(xkeys_verifications_total[5m] offset 5m))', 'nothing there has a label realm'],
    ['xkeys_group_signable and on (user) xkeys_group_signable', 'nothing there has a label user'],
  ])('finds what is wrong with %s', (expr, fault) => {
    expect(faults(expr)).toEqual([fault])
  })

  it.each(['@', 'a ? b', '"open'])('refuses what is no PromQL: %s', (expr) => {
    expect(() => namesOf(expr)).toThrow(Error)
  })
})

describe('each rule', () => {
  it.each(rules)('$name asks for what there is', ({ expr, text }) => {
    expect(faults(expr, shown(text, /\$labels\.(\w+)/g))).toEqual([])
  })

  it('has a name of its own, and a severity where it is an alert', () => {
    const names = rules.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { kind, text } of rules)
      expect(/severity: (?:warning|critical) /.test(text)).toBe(kind === 'alert')
  })

  it('on the table of INVITEs warns at nine tenths of it', () => {
    const { expr = '' } = rules.find(({ name }) => name === 'XkeysInviteTableFull') ?? {}
    expect(Number(expr.split('>').at(-1))).toBe(0.9 * DEFAULT_LIMITS.invites)
  })

  it('that is an alert has a case in which it fires, one in which it does not, and a line in the README', () => {
    const readme = deployFile('README.md')
    const cases = [...deployFile(CASES).matchAll(/alertname: (\w+)\n\s+exp_alerts:( \[\])?/g)].map(
      ([, name, silent]) => `${name} ${silent === undefined ? 'fires' : 'does not'}`,
    )
    const alerts = rules.filter(({ kind }) => kind === 'alert')
    for (const { name } of alerts) {
      expect(cases).toContain(`${name} fires`)
      expect(cases).toContain(`${name} does not`)
      expect(readme).toContain(`| \`${name}\` |`)
    }
    expect(readme).toContain(`${alerts.length} alerts, ${rules.length - alerts.length} recording rule`)
  })
})

describe('the dashboard', () => {
  const dashboard = readDashboard()
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')

  it.each(panelExpressions())('asks for what there is: $where', ({ expr, legend }) => {
    expect(faults(expr, shown(legend, /\{\{(\w+)\}\}/g))).toEqual([])
  })

  it('has variables that exist, each of them used, and no others', () => {
    const text = JSON.stringify(dashboard)
    const used = new Set(shown(text, /\$\{?([a-z]\w*)/g))
    const defined = dashboard.templating.list.map(({ name }) => name)
    expect(defined).toEqual(['datasource', 'instance', 'group', 'peer'])
    expect([...used].toSorted()).toEqual(defined.toSorted())
    for (const { definition } of dashboard.templating.list) {
      if (definition === undefined) continue
      const [, expr = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? []
      expect(faults(withoutVariables(expr), [label])).toEqual([])
    }
    for (const { expr } of dashboard.annotations.list) expect(faults(withoutVariables(expr))).toEqual([])
  })

  it('filters by every variable that a metric has a label for', () => {
    for (const { where, expr } of panelExpressions()) {
      for (const { metric, matchers } of namesOf(expr).selectors) {
        const filtered = matchers.map(({ label }) => label)
        const wanted = ['group', 'peer'].filter((label) => labelsOf(metric)?.has(label))
        if (!recorded.has(metric)) wanted.push('instance')
        expect(filtered, `${where}: ${metric}`).toEqual(expect.arrayContaining(wanted))
      }
    }
  })

  it('has the rows of the outline, in order', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(38)
    const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title)
    expect(rows).toEqual(['Now', 'Rotation', 'Peers', 'Threats', 'Service', 'Users'])
  })

  it('has panels side by side, none over another, each with an id and queries of its own', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const places = dashboard.panels.flatMap(({ title, gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => ({
        title,
        place: `${x + (i % w)},${y + Math.floor(i / w)}`,
        x: x + (i % w),
      })),
    )
    const owner = new Map(places.map(({ place, title }) => [place, title]))
    expect(places.filter(({ place, title }) => owner.get(place) !== title)).toEqual([])
    expect(places.filter(({ x }) => x >= 24)).toEqual([])
    const refs = panels.map(({ title, targets }) => [title, targets?.map(({ refId }) => refId).join('')])
    for (const [, ids] of refs) expect('ABC').toContain(ids)
    expect(refs.filter(([, ids]) => ids === '')).toEqual([])
  })
})
