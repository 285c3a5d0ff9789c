import { request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig, startService, type LoadedConfig, type Service } from '../../src/edge/service.ts'
import { formatIssue } from '../../src/errors.ts'
import { errorOf } from '../keyring/error-of.ts'
import { parseExposition } from '../support/exposition.ts'
import { folderWith } from '../support/folder.ts'
import { requestOf } from '../support/edge-rig.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { openPeer } from '../support/udp-peer.ts'

const now = new Date('2026-11-21T12:00:00Z')
const PUBLISHED = 'xks_DEMO-worthless-because-published-trunk-a-2026q4'
const keyringText = (secret: string = SECRETS.new): string =>
  `[[groups.trunk-a.keys]]\nname = "k1"\nvalue = "${secret}"\n`

interface Difference {
  readonly trunk?: string
  readonly upstream?: string
  readonly metrics?: string
  readonly target?: string
  readonly top?: string
  readonly group?: string
}

const edgeText = (difference: Difference = {}): string => {
  const { trunk = '127.0.0.1:0', upstream = '127.0.0.1:0', metrics = '127.0.0.1:0', top = '' } = difference
  const { target = '127.0.0.1:9', group = 'trunk-a' } = difference
  return `keyring = "keyring.toml"
${top}
[listen]
trunk = "${trunk}"
upstream = "${upstream}"
[upstream]
target = "${target}"
[metrics]
listen = "${metrics}"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "${group}"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`
}

const load = (difference: Difference = {}, keyring = keyringText()): LoadedConfig =>
  loadConfig(
    join(folderWith({ 'edge.toml': edgeText(difference), 'keyring.toml': keyring }), 'edge.toml'),
    {},
    now,
  )
const issuesOf = (run: () => unknown): readonly string[] => errorOf(run).issues.map(formatIssue)

describe('loadConfig', () => {
  it('finds the keyring beside the configuration', () => {
    const { config, keyring, warnings } = load()
    expect(config.trunks).toHaveLength(1)
    expect(keyring?.activeKey('trunk-a', now)?.name).toBe('k1')
    expect(warnings).toEqual([])
  })

  it.each([
    ['published', PUBLISHED],
    ['weak', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],
  ])('tolerates a %s key on loopback, with a warning', (_, secret) => {
    const { warnings } = load({}, keyringText(secret))
    expect(warnings).toMatchObject([{ path: 'groups.trunk-a.keys[0]' }])
    expect(JSON.stringify(warnings)).not.toContain(secret)
  })

  it.each<readonly [string, Difference]>([
    ['strict_keys is set', { top: 'strict_keys = true' }],
    ['a trunk listener is not loopback', { trunk: '192.0.2.1:5060' }],
    ['the upstream listener is not loopback', { upstream: '10.0.0.1:5060' }],
    ['a listener is IPv6 and not loopback', { trunk: '[2001:db8::1]:5060' }],
  ])('T35: refuses published and weak keys where %s', (_, difference) => {
    for (const secret of [PUBLISHED, 'secret']) {
      const issues = issuesOf(() => load(difference, keyringText(secret)))
      expect(issues).toHaveLength(1)
      expect(issues[0]).toMatch(/^groups\.trunk-a\.keys\[0\]: /)
      expect(issues[0]).not.toContain(PUBLISHED)
    }
    expect(load(difference).warnings).toEqual([])
  })

  it.each(['127.0.0.1:5060', '127.9.9.9:5060', '[::1]:5060'])('%s is loopback', (trunk) => {
    expect(load({ trunk }, keyringText(PUBLISHED)).warnings).toHaveLength(1)
  })

  it('tells of groups that the keyring lacks, and of weak keys, at once', () => {
    const issues = issuesOf(() =>
      load({ group: 'trunk-z', top: 'strict_keys = true' }, keyringText(PUBLISHED)),
    )
    expect(issues).toEqual([
      'trunks.carrier.agreement: its group "trunk-z" is not in the keyring',
      expect.stringMatching(/^groups\.trunk-a\.keys\[0\]: .*published/),
    ])
  })

  it('knows groups without regard to case, as Kamailio does', () => {
    expect(load({ group: 'TRUNK-A' }).config.trunks).toHaveLength(1)
  })

  it('tells where a file is missing', () => {
    const folder = folderWith({ 'edge.toml': edgeText() })
    expect(issuesOf(() => loadConfig(join(folder, 'no.toml'), {}, now))).toEqual([
      `${join(folder, 'no.toml')}: it cannot be read (ENOENT)`,
    ])
    expect(issuesOf(() => loadConfig(join(folder, 'edge.toml'), {}, now))).toEqual([
      `${join(folder, 'keyring.toml')}: it cannot be read (ENOENT)`,
    ])
  })
})

interface Running {
  readonly service: Service
  /** But for doubts about the configuration: port 0, which tests want, is one. */
  readonly log: readonly Record<string, unknown>[]
  readonly doubts: readonly unknown[]
  readonly text: () => string
}

async function start(loaded: LoadedConfig): Promise<Running> {
  const lines: string[] = []
  const service = await startService({
    loaded,
    version: '9.9.9',
    logTo: { write: (line) => lines.push(line) },
  })
  onTestFinished(() => service.stop())
  const parsedLines = () => lines.map((line): Record<string, unknown> => JSON.parse(line))
  return {
    service,
    get log() {
      return parsedLines().filter(({ event }) => event !== 'config')
    },
    get doubts() {
      return parsedLines()
        .filter(({ event }) => event === 'config')
        .map(({ path }) => path)
    },
    text: () => lines.join(''),
  }
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, unknown>>
}

function ask(service: Service, path: string, method = 'GET'): Promise<Answer> {
  const { address, port } = service.admin!.local
  return new Promise((resolve, reject) => {
    const asked = request({ host: address, port, path, method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode!, body, headers: response.headers }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

describe('a service', () => {
  it('logs how it started, one JSON object a line', async () => {
    const { service, log, doubts } = await start(load())
    const { trunk, upstream } = service.edge.sockets
    expect(doubts).toContain('listen.trunk')
    expect(log).toMatchObject([
      {
        level: 30,
        event: 'started',
        trunk: trunk.local,
        upstream: upstream.local,
        receiveBuffer: trunk.receiveBuffer,
        metrics: service.admin!.local,
      },
    ])
  })

  it('serves metrics, health and readiness, and nothing else', async () => {
    const { service } = await start(load())
    const metrics = await ask(service, '/metrics')
    expect(metrics.status).toBe(200)
    expect(metrics.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    const families = parseExposition(metrics.body)
    expect(families.get('xkeys_build_info')!.samples[0]!.labels).toEqual({ version: '9.9.9' })
    expect(families.has('process_cpu_seconds_total')).toBe(true)
    expect(await ask(service, '/metrics?x=y')).toMatchObject({ status: 200 })
    expect(await ask(service, '/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await ask(service, '/readyz')).toMatchObject({ status: 200, body: 'ready\n' })
    expect(await ask(service, '/healthz', 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(await ask(service, '/')).toMatchObject({ status: 404, body: '' })
    expect(await ask(service, '/metrics/../keyring.toml')).toMatchObject({ status: 404 })
    expect(await ask(service, '/metrics', 'POST')).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
  })

  it('lets go of its sockets when it stops, and may be stopped twice', async () => {
    const loaded = load()
    const running = await start(loaded)
    const { service } = running
    const { trunk, upstream } = service.edge.sockets
    const metrics = service.admin!.local
    await Promise.all([service.stop(), service.stop()])
    await service.stop()
    expect(running.log.map(({ event }) => event)).toEqual(['started', 'draining', 'stopped'])
    const again = await startService({
      loaded: {
        ...loaded,
        config: { ...loaded.config, listen: { trunk: trunk.local, upstream: upstream.local }, metrics },
      },
      version: 'again',
      logTo: { write: () => {} },
    })
    await again.stop()
  })

  it.each(['trunk', 'upstream', 'metrics'])(
    'leaves nothing open where the address for %s is taken',
    async (which) => {
      const { service } = await start(load())
      const { edge, admin } = service
      const taken = {
        trunk: edge.sockets.trunk.local,
        upstream: edge.sockets.upstream.local,
        metrics: admin!.local,
      }[which]!
      const free = await openPeer()
      await free.close()
      const other = { trunk: free.at, [which]: `${taken.address}:${taken.port}` }
      await expect(
        startService({ loaded: load(other), version: 'x', logTo: { write: () => {} } }),
      ).rejects.toMatchObject({
        code: 'EADDRINUSE',
      })
      // The other socket was let go of.
      const loaded = load(which === 'trunk' ? {} : { trunk: free.at })
      await (await startService({ loaded, version: 'x', logTo: { write: () => {} } })).stop()
    },
  )

  it('warns of published keys, and logs no secret, token or message', async () => {
    const upstream = await openPeer()
    onTestFinished(() => upstream.close())
    const running = await start(
      load({ target: upstream.at, top: '' }, keyringText(PUBLISHED).replace('[[', '# debug\n[[')),
    )
    const peer = await openPeer()
    onTestFinished(() => peer.close())
    await peer.send(
      requestOf('OPTIONS', peer, { add: [['X-Auth', 'ab'.repeat(32)]] }),
      running.service.edge.sockets.trunk.local,
    )
    expect((await peer.receive()).message.status).toBe(403)
    expect(running.log[0]).toMatchObject({ level: 40, event: 'weak-key', path: 'groups.trunk-a.keys[0]' })
    expect(running.text()).not.toMatch(/xks_|abab|OPTIONS sip/)
  })

  it('tells each decision at level debug', async () => {
    const loaded = load()
    const running = await start({ ...loaded, config: { ...loaded.config, log: { level: 'debug' } } })
    const peer = await openPeer()
    onTestFinished(() => peer.close())
    await peer.send(requestOf('OPTIONS', peer), running.service.edge.sockets.trunk.local)
    await peer.receive()
    expect(running.log.at(-1)).toMatchObject({
      level: 20,
      event: 'decided',
      peer: 'carrier',
      verdict: 'reject',
      reason: 'header-missing',
    })
  })

  it('runs without a metrics port', async () => {
    const loaded = load()
    const { service } = await start({ ...loaded, config: { ...loaded.config, metrics: undefined } })
    expect(service.admin).toBeUndefined()
  })
})
