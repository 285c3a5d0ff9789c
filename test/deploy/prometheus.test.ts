import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig, startService, type Service } from '../../src/edge/service.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { sealKeyring } from '../../src/keyring/seal.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { openRedisKeyringStore } from '../../src/stores/redis-keyring.ts'
import { startEdge, type EdgeProcess } from '../interop/edge-process.ts'
import {
  RULES,
  deployFile,
  panelExpressions,
  readDashboard,
  readRules,
  withoutVariables,
} from '../support/deploy-files.ts'
import { describeWith, pathOf } from '../support/deploy-programs.ts'
import { requestOf } from '../support/edge-rig.ts'
import { start, tempFolder, waitUntil, type Running } from '../support/peers.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { KEK, KEK_BYTES } from '../support/sealed.ts'
import { SECRETS, agreementOf, forged, signedBytes } from '../support/signed-messages.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'

const rules = deployFile(RULES)

const NONCE_SECRET = 'xks_Wm4nTz8rBx1yKc6vLq3pHd9sJg2fUa7eRoIiNqMtYkZ'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const STARTED = Date.now()
const at = (offset: number): string => new Date(STARTED + offset).toISOString()

/** `k1` is on its way out, `k2` signs and ends too soon; of `trunk-b` each node holds another key. */
const keyringText = (ofTrunkB: string): string => `
[[groups.trunk-a.keys]]
name = "k1"
value = "${SECRETS.old}"
expires = ${at(12 * HOUR)}
[[groups.trunk-a.keys]]
name = "k2"
value = "${SECRETS.new}"
active_from = ${at(-30 * DAY)}
expires = ${at(3 * DAY)}
[[groups.trunk-b.keys]]
name = "${ofTrunkB}"
value = "${SECRETS.other}"
[[groups.nonces.keys]]
name = "n1"
value = "${NONCE_SECRET}"
`

const TEXT = '$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)'
const configText = (carrier: UdpPeer, upstream: UdpPeer): string => `
keyring = "keyring.toml"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "${upstream.at}"
[metrics]
listen = "127.0.0.1:0"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = "${TEXT}"
[trunks.carrier]
sources = ["${carrier.at}"]
target = "${carrier.at}"
agreement = "main"
[trunks.silent]
sources = ["127.0.0.77"]
target = "127.0.0.77:9"
agreement = "main"
[users]
domains = ["example.org"]
nonce_group = "nonces"
[users.credentials]
source = "users.toml"
`

/** An edge that shares its keyring; the store of claims is the digest stage's. */
async function startSharing(): Promise<{ readonly service: Service; readonly redis: RedisServer }> {
  const redis = await startRedis()
  const folder = tempFolder()
  const key = `[[groups.shared.keys]]\nname = "k1"\nvalue = "${SECRETS.other}"\n`
  const text = sealKeyring(key, { kek: KEK, keyring: 'xkeys' })
  const store = await openRedisKeyringStore({ url: redis.url, name: 'xkeys' })
  await store.replace({ before: 'empty', after: { text, revision: 1 }, audit: '{}' })
  await store.close()
  writeFileSync(join(folder, 'kek'), KEK_BYTES.one)
  const config = `keyring = "${redis.url}"
state = "state"
node = "n1"
[kek]
from = "file:kek"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[metrics]
listen = "127.0.0.1:0"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "shared"
algorithm = "hmac-sha256"
request = "${TEXT}"
[trunks.silent]
sources = ["127.0.0.78"]
target = "127.0.0.78:9"
agreement = "main"
`
  writeFileSync(join(folder, 'edge.toml'), config)
  const loaded = loadConfig(join(folder, 'edge.toml'), {}, new Date())
  const service = await startService({ loaded, version: 'test', logTo: { write: () => {} } })
  service.metrics.observe({ claims: () => 'shared' })
  return { service, redis }
}

interface Started {
  readonly trunk: Endpoint
  readonly upstream: Endpoint
  readonly metrics: Endpoint
}

function startedOf(edge: EdgeProcess): Started {
  const line = edge
    .output()
    .split('\n')
    .find((text) => text.includes('"event":"started"'))
  return JSON.parse(line ?? '{}') as Started
}

/** One sample of an answer, its value as a number. */
interface Result {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** The answer, once it is as wanted: scrapes and rules take their time. */
async function settled<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  let answer = await ask()
  for (const until = Date.now() + 15_000; !wanted(answer) && Date.now() < until; answer = await ask())
    await sleep(100)
  return answer
}

/** The keyring of a peer that has one key. */
const ring = (name: string, secret: string) => createKeyring([['trunk-a', [createKey({ name, secret })]]])

describeWith('Prometheus', ['prometheus', 'redis-server'], () => {
  let sharing: Awaited<ReturnType<typeof startSharing>>
  const running: Running[] = []
  const peers: UdpPeer[] = []
  let api = ''

  const get = async (path: string): Promise<{ status: string; error?: string; data: unknown }> => {
    const response = await fetch(`${api}${path}`)
    return (await response.json()) as { status: string; error?: string; data: unknown }
  }

  /** The answer to a query at this instant. */
  async function query(expr: string): Promise<Result[]> {
    const { status, error, data } = await get(`/api/v1/query?query=${encodeURIComponent(expr)}`)
    if (status !== 'success') throw new Error(`${expr}: ${error}`)
    const { result } = data as { result: { metric: Record<string, string>; value: [number, string] }[] }
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
  }

  /** Starts Prometheus on a free port; `targets` are scraped twice a second. */
  async function startPrometheus(targets: readonly Endpoint[]): Promise<void> {
    const folder = tempFolder()
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'xkeys-alerts.yml'), rules.replace('interval: 30s', 'interval: 500ms'))
    writeFileSync(
      join(folder, 'prometheus.yml'),
      JSON.stringify({
        global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
        rule_files: ['xkeys-alerts.yml'],
        scrape_configs: [
          {
            job_name: 'xkeys',
            static_configs: [{ targets: targets.map(({ address, port }) => `${address}:${port}`) }],
          },
        ],
      }),
    )
    const address = `127.0.0.1:${await freeTcpPort()}`
    const server = start(
      pathOf('prometheus'),
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
        '--log.level=warn',
      ],
      folder,
    )
    running.push(server)
    api = `http://${address}`
    await waitUntil(server, () =>
      fetch(`${api}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
  }

  beforeAll(async () => {
    peers.push(await openPeer(), await openPeer(), await openPeer())
    const [carrier, upstream, stranger] = peers as [UdpPeer, UdpPeer, UdpPeer]
    const config = configText(carrier, upstream)
    const edges = await Promise.all(
      ['b1', 'b2'].map((name) => startEdge(config, keyringText(name), { 'users.toml': '' })),
    )
    running.push(...edges)
    const [first] = edges.map(startedOf) as [Started, Started]
    sharing = await startSharing()
    await startPrometheus([...edges.map((edge) => startedOf(edge).metrics), sharing.service.admin!.local])
    // Counters are seen at 0 before they move.
    await settled(
      () => query('count(count_over_time(xkeys_build_info[1m]) >= 2)'),
      (answer) => answer[0]?.value === 3,
    )

    const agreement = agreementOf({ request: TEXT })
    const rings = [ring('k1', SECRETS.old), ring('k2', SECRETS.new)]
    const request = (id: string): Buffer => requestOf('OPTIONS', carrier, { with: { 'Call-ID': id } })
    for (let i = 0; i < 40; i++) {
      const bytes = request(`signed-${i}`)
      await carrier.send(signedBytes(bytes, agreement, {}, rings[i % 2]), first.trunk)
    }
    for (let i = 0; i < 8; i++) {
      await carrier.send(forged(signedBytes(request(`forged-${i}`), agreement, {}, rings[0])), first.trunk)
      await carrier.send(request(`unsigned-${i}`), first.trunk)
      await carrier.send(Buffer.from('no SIP at all\r\n\r\n'), first.trunk)
      await stranger.send(request(`strange-${i}`), first.trunk)
      const bytes = requestOf('OPTIONS', upstream, {
        start: `OPTIONS sip:x@${carrier.at} SIP/2.0`,
        with: { 'Call-ID': `down-${i}` },
      })
      await upstream.send(bytes, first.upstream)
    }
    await settled(
      () => query('sum(xkeys_sip_messages_total{direction="in"})'),
      (answer) => (answer[0]?.value ?? 0) >= 40 + 8 * 4,
    )
  })

  afterAll(async () => {
    await sharing.service.stop()
    await sharing.redis.stop()
    await Promise.all([...running.map((program) => program.stop()), ...peers.map((peer) => peer.close())])
  })

  it('scrapes every edge', async () => {
    const up = await query('up{job="xkeys"}')
    expect(up.map(({ value }) => value)).toEqual([1, 1, 1])
  })

  it('tells who still uses the old key', async () => {
    const used = await query(
      'sum by (peer) (increase(xkeys_key_verifications_total{group="trunk-a",key="k1"}[7d])) > 0',
    )
    expect(used.map(({ labels }) => labels)).toEqual([{ peer: 'carrier' }])
    // It was 20; Prometheus adds what may have been before its first sample.
    expect(used[0]?.value).toBeGreaterThanOrEqual(20)
  })

  it('tells, peer by peer, who does not', async () => {
    const free = await query(
      'sum by (peer) (increase(xkeys_key_verifications_total{group="trunk-a",key="k1"}[7d])) == 0',
    )
    expect(free).toEqual([{ labels: { peer: 'silent' }, value: 0 }])
  })

  it('knows the age of each signing key', async () => {
    const ages = await query('time() - xkeys_key_active_from_timestamp_seconds')
    expect(ages).toHaveLength(2)
    for (const { labels, value } of ages) {
      expect(labels).toMatchObject({ group: 'trunk-a', key: 'k2' })
      expect(value).toBeCloseTo((Date.now() - STARTED + 30 * DAY) / 1000, -2)
    }
  })

  it('knows the days to each end', async () => {
    const days = await query('(xkeys_key_not_after_timestamp_seconds - time()) / 86400')
    const byKey = Object.fromEntries(days.map(({ labels, value }) => [labels['key'], value]))
    expect(byKey).toEqual({ k1: expect.closeTo(0.5, 1), k2: expect.closeTo(3, 1) })
  })

  it('knows the share of accepted messages of a peer, and of a silent one none', async () => {
    const shares = await query(
      'sum by (peer) (rate(xkeys_verifications_total{outcome="accept"}[5m])) / sum by (peer) (rate(xkeys_verifications_total[5m]))',
    )
    const byPeer = Object.fromEntries(shares.map(({ labels, value }) => [labels['peer'], value]))
    expect(byPeer).toEqual({ carrier: expect.closeTo(40 / 56, 2), silent: NaN })
  })

  it('tells on which groups the nodes agree', async () => {
    const versions = await query('count by (group) (count by (group, fingerprint) (xkeys_keyring_info))')
    const byGroup = Object.fromEntries(versions.map(({ labels, value }) => [labels['group'], value]))
    expect(byGroup).toEqual({ nonces: 1, shared: 1, 'trunk-a': 1, 'trunk-b': 2 })
  })

  it('evaluates every rule without an error, and raises the alerts that it should', async () => {
    const alerts = await settled(
      async () => {
        const { data } = await get('/api/v1/alerts')
        const found = data as { alerts: { labels: Record<string, string>; state: string }[] }
        return found.alerts
          .map(({ labels: { alertname, group, key, peer }, state }) =>
            [alertname, group, key, peer, state].filter((word) => word !== undefined).join(' '),
          )
          .toSorted()
      },
      (found) => found.length >= 4,
    )
    expect(alerts).toEqual([
      'XkeysKeySkewAcrossNodes trunk-b pending',
      'XkeysOldKeyStillInUseNearRetirement trunk-a k1 firing',
      'XkeysPeerRejectRatioHigh carrier pending',
      'XkeysSigningKeyExpiresSoon trunk-a k2 pending',
    ])
    const { data } = await get('/api/v1/rules')
    const { groups } = data as { groups: { rules: { name: string; health: string }[] }[] }
    const health = groups.flatMap((group) => group.rules.map((rule) => [rule.name, rule.health]))
    expect(health).toEqual(readRules(rules).map(({ name }) => [name, 'ok']))
  })

  it.each(panelExpressions())('has something to show in the panel $where', async ({ expr }) => {
    const shown = await settled(
      () => query(expr),
      (results) => results.length > 0,
    )
    expect(shown).not.toEqual([])
  })

  it('tells of each peer whether the old key can go', async () => {
    const { targets = [] } = readDashboard().panels.find(({ title }) => title === 'Can the old key go?') ?? {}
    const rows = await query(withoutVariables(targets[0]!.expr))
    const answers = rows.map(({ labels, value }) => `${labels['peer']} ${labels['key']} ${Math.sign(value)}`)
    // Less than 0: it sent nothing, which proves nothing.
    expect(answers.toSorted()).toEqual(['carrier k1 1', 'silent k1 -1'])
  })
})
