import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig, startService, type Service } from '../../src/edge/service.ts'
import type { NodeReport } from '../../src/keyring/evidence.ts'
import { loadReport } from '../../src/stores/report-file.ts'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { createKek, sealKeyring } from '../../src/keyring/seal.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { requestOf } from '../support/edge-rig.ts'
import { parseExposition } from '../support/exposition.ts'
import { folderWith } from '../support/folder.ts'
import { contextOf } from '../support/messages.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'

const key = (name: string, secret: string = SECRETS.new, more = '', group = 'trunk-a'): string =>
  `[[groups.${group}.keys]]\nname = "${name}"\nvalue = "${secret}"\n${more}`
const K1 = key('k1', SECRETS.old)
const K2 = key('k2', SECRETS.new)

const edgeText = (
  carrier: string,
  upstream: string,
  top = 'state = "state"',
): string => `keyring = "keys.toml"
node = "edge-1"
${top}
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "${upstream}"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "Trunk-A"
algorithm = "hmac-sha256"
request = "$rm:$ru:$ci"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "${carrier}"
agreement = "main"
`

interface Node {
  readonly service: Service
  readonly folder: string
  readonly carrier: UdpPeer
  readonly upstream: UdpPeer
  /** Events of the log, but for doubts about the configuration. */
  readonly log: () => readonly Record<string, unknown>[]
  /** Writes the keyring and reads it at once. */
  rewrite(text: string): void
  /** Sends a request signed by the keyring of `text`, which reaches the upstream. */
  accepts(call: string, text: string): Promise<void>
  /** The same, and it is answered 403. */
  refuses(call: string, text: string): Promise<void>
  /** Sends a request of the upstream's to the carrier; the token that it carries there. */
  call(call: string): Promise<string>
  values(name: string): Promise<Record<string, number>>
  /** The report as it is written when the node ends. */
  end(): Promise<NodeReport>
}

async function start(
  keys: string,
  more: { readonly top?: string; readonly folder?: string; readonly env?: Record<string, string> } = {},
): Promise<Node> {
  const [carrier, upstream] = await Promise.all([openPeer(), openPeer()])
  onTestFinished(async () => {
    await Promise.all([carrier.close(), upstream.close()])
  })
  const folder = more.folder ?? folderWith({})
  writeFileSync(join(folder, 'keys.toml'), keys)
  const text = edgeText(carrier.at, upstream.at, more.top)
  writeFileSync(join(folder, 'edge.toml'), text)
  const lines: string[] = []
  const service = await startService({
    loaded: loadConfig(join(folder, 'edge.toml'), more.env ?? {}, new Date()),
    version: 'test',
    logTo: { write: (line) => lines.push(line) },
  })
  onTestFinished(() => service.stop())
  const { trunk, upstream: inside } = service.edge.sockets
  const { agreement } = parseEdgeConfig(text).trunks[0]!
  const send = async (call: string, by: string): Promise<void> => {
    const bytes = requestOf('OPTIONS', carrier, { with: { 'Call-ID': call } })
    const signed = createSigner({ agreement, keyring: parseKeyring(by) }).sign(contextOf(bytes))
    if (!signed.ok) throw new Error(signed.reason)
    await carrier.send(editHeaders(bytes, { add: [[signed.header, signed.token]] }), trunk.local)
  }
  return {
    service,
    folder,
    carrier,
    upstream,
    log: () =>
      lines
        .map((line): Record<string, unknown> => JSON.parse(line))
        .filter(({ event }) => !['config', 'started', 'refused'].includes(String(event))),
    rewrite(next) {
      writeFileSync(join(folder, 'keys.toml'), next)
      service.reload()
    },
    async accepts(call, by) {
      await send(call, by)
      expect((await upstream.receive()).message.headers('Call-ID')).toEqual([call])
    },
    async refuses(call, by) {
      await send(call, by)
      expect((await carrier.receive()).message.status).toBe(403)
    },
    async call(call) {
      const bytes = requestOf('OPTIONS', upstream, {
        start: `OPTIONS sip:bob@${carrier.at} SIP/2.0`,
        with: { 'Call-ID': call },
      })
      await upstream.send(bytes, inside.local)
      return (await carrier.receive()).message.headers('X-Auth')[0] ?? ''
    },
    async values(name) {
      const family = parseExposition(await service.metrics.registry.metrics()).get(name)!
      return Object.fromEntries(
        family.samples.map(({ labels, value }) => [Object.values(labels).join(','), value]),
      )
    },
    async end() {
      await service.stop()
      const report = loadReport(join(folder, 'state'), 'edge-1')
      if (typeof report === 'string') throw new Error(report)
      return report
    },
  }
}

describe('a keyring that is changed while the edge runs', () => {
  it('is in force with the next message: a new key verifies, a pruned one does not', async () => {
    const node = await start(K1)
    await node.accepts('1', K1)
    await node.refuses('2', K2)
    node.rewrite(K1 + K2)
    await node.accepts('3', K1)
    await node.accepts('4', K2)
    node.rewrite(K2)
    await node.refuses('5', K1)
    await node.accepts('6', K2)
    expect(node.log().map(({ event }) => event)).toEqual(['keyring-loaded', 'keyring-loaded'])
  })

  it('brings no ended key back where the clock has stepped backwards', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-21T12:00:59Z') })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const ending = key('k1', SECRETS.old, 'expires = 2026-11-21T12:01:00Z\n')
    const node = await start(ending + K2)
    await node.accepts('1', K1)
    vi.setSystemTime(new Date('2026-11-21T12:01:00Z'))
    await node.refuses('2', K1)
    vi.setSystemTime(new Date('2026-11-21T11:00:00Z'))
    node.rewrite(`${ending}# changed\n${K2}`)
    await node.refuses('3', K1)
    await node.accepts('4', K2)
    expect(await node.values('xkeys_key_state')).toMatchObject({ 'trunk-a,k1,expired': 1 })
  })

  it('comes into force by itself, too', async () => {
    const node = await start(K1)
    writeFileSync(join(node.folder, 'keys.toml'), K2)
    await vi.waitFor(
      () =>
        expect(node.log()).toMatchObject([
          { event: 'keyring-loaded', change: 'changed', groups: 1, keys: 1 },
        ]),
      { timeout: 20_000 },
    )
    await node.accepts('1', K2)
  }, 60_000)

  it('signs with the key that is active now', async () => {
    const node = await start(K1)
    const first = await node.call('1')
    node.rewrite(K1 + K2)
    const second = await node.call('1')
    expect(second).not.toBe(first)
    node.rewrite(K1)
    expect(await node.call('1')).toBe(first)
  })

  it('series of a new key begin at 0, those of a pruned key end', async () => {
    const node = await start(K1)
    await node.accepts('1', K1)
    await node.call('2')
    node.rewrite(K1 + K2)
    expect(await node.values('xkeys_key_verifications_total')).toEqual({
      'Trunk-A,k1,carrier': 1,
      'Trunk-A,k2,carrier': 0,
    })
    await node.accepts('3', K2)
    node.rewrite(K2)
    expect(await node.values('xkeys_key_verifications_total')).toEqual({ 'Trunk-A,k2,carrier': 1 })
    expect(await node.values('xkeys_signatures_total')).toEqual({
      'Trunk-A,,request,error': 0,
      'Trunk-A,,response,error': 0,
      'Trunk-A,k2,request,ok': 0,
      'Trunk-A,k2,response,ok': 0,
    })
    const text = await node.service.metrics.registry.metrics()
    expect(text).not.toContain('k1')
    // And from nothing it is born again.
    node.rewrite(K1 + K2)
    expect(await node.values('xkeys_key_verifications_total')).toMatchObject({ 'Trunk-A,k1,carrier': 0 })
  })

  it('reloads are counted, and shown while they fail', async () => {
    const node = await start(K1)
    const state = async () => [
      await node.values('xkeys_keyring_reloads_total'),
      await node.values('xkeys_keyring_last_reload_success'),
    ]
    expect(await state()).toEqual([{ 'file,ok': 0, 'file,failed': 0 }, { file: 1 }])
    const { file: begun } = await node.values('xkeys_keyring_last_reload_timestamp_seconds')
    node.rewrite(K1 + K2)
    node.rewrite(`${K1}nonsense`)
    expect(await state()).toEqual([{ 'file,ok': 1, 'file,failed': 1 }, { file: 0 }])
    const { file: loaded } = await node.values('xkeys_keyring_last_reload_timestamp_seconds')
    expect(loaded).toBeGreaterThanOrEqual(begun!)
    node.rewrite(K1)
    expect(await state()).toEqual([{ 'file,ok': 2, 'file,failed': 1 }, { file: 1 }])
  })

  it('one that is broken is logged with file, path and line, and no secret; the one before stays in force', async () => {
    const node = await start(K1)
    node.rewrite(`${K1}expires = "${SECRETS.other}"\n`)
    expect(node.log()).toMatchObject([
      {
        level: 50,
        event: 'keyring-refused',
        file: join(node.folder, 'keys.toml'),
        issues: [{ path: 'groups.trunk-a.keys[0].expires', line: 4 }],
      },
    ])
    expect(JSON.stringify(node.log())).not.toContain('xks_')
    await node.accepts('1', K1)
  })

  it('one that lacks the group of a trunk is refused, as at the start', async () => {
    const node = await start(K1 + key('x', SECRETS.other, '', 'spare'))
    node.rewrite(key('x', SECRETS.other, '', 'spare'))
    const issues = [
      { path: 'trunks.carrier.agreement', message: 'its group "Trunk-A" is not in the keyring' },
    ]
    expect(node.log()).toMatchObject([{ event: 'keyring-refused', issues }])
    await node.accepts('1', K1)
    // A group that nobody uses may go, and the peer can be cut off by revoking.
    node.rewrite(key('k1', SECRETS.old, 'revoked = true\n'))
    await node.refuses('2', K1)
  })

  it('a weak key is warned of, or refused where keys are strict', async () => {
    const weak = K1 + key('weak', 'abc-abc-abc-abc-abc-abc')
    const lax = await start(K1)
    lax.rewrite(weak)
    expect(lax.log()).toMatchObject([
      { event: 'keyring-loaded' },
      { level: 40, event: 'weak-key', path: 'groups.trunk-a.keys[1]' },
    ])
    const strict = await start(K1, { top: 'strict_keys = true' })
    strict.rewrite(weak)
    expect(strict.log()).toMatchObject([
      { event: 'keyring-refused', issues: [{ path: 'groups.trunk-a.keys[1]', kind: 'weak' }] },
    ])
    expect(JSON.stringify(strict.log())).not.toContain('abc-abc')
  })
})

describe('a sealed keyring', () => {
  const kek = createKek(Buffer.alloc(32, 7))
  const env = { KEK: '07'.repeat(32) }
  const sealed = (text: string, revision: number): string =>
    sealKeyring(text, { kek, keyring: 'trunks', revision })
  const table = '[kek]\nfrom = "env:KEK"'

  it('of an older revision does not come back: what was revoked since stays revoked', async () => {
    const old = sealed(K1 + K2, 1)
    const node = await start(old, { env, top: `state = "state"\n${table}` })
    await node.accepts('1', K1)
    node.rewrite(sealed(key('k1', SECRETS.old, 'revoked = true\n') + K2, 2))
    await node.refuses('2', K1)
    node.rewrite(old)
    expect(node.log().at(-1)).toMatchObject({ event: 'keyring-refused', issues: [{ path: 'seal.revision' }] })
    await node.refuses('3', K1)
    expect((await node.end()).revision).toBe(2)
    // Nor over a restart.
    const again = start(old, { env, top: `state = "state"\n${table}`, folder: node.folder })
    await expect(again).rejects.toMatchObject({ issues: [{ path: 'seal.revision' }] })
  })

  it('of an older revision does not come back while the edge runs, without a state directory', async () => {
    const node = await start(sealed(K1 + K2, 5), { env, top: table })
    node.rewrite(sealed(K2, 6))
    node.rewrite(sealed(K1 + K2, 5))
    await node.refuses('1', K1)
    await node.accepts('2', K2)
    expect(node.log().at(-1)).toMatchObject({ event: 'keyring-refused', issues: [{ path: 'seal.revision' }] })
  })
})

/** Key, peer and which times are there. */
const told = (report: NodeReport): readonly string[] =>
  report.uses.map((use) =>
    [
      use.key,
      use.peer,
      ...(['firstVerified', 'lastVerified', 'lastSigned'] as const).filter((time) => use[time] !== undefined),
    ].join(' '),
  )

describe('evidence', () => {
  it('is in the report: what verified, what signed, what is held', async () => {
    const node = await start(K1 + K2)
    await node.accepts('1', K1)
    await node.call('2')
    const { since, stopped, ...report } = await node.end()
    expect(told({ since, ...report })).toEqual([
      'k1 carrier firstVerified lastVerified',
      'k2 carrier lastSigned',
    ])
    expect(report.keys.map((held) => [held.group, held.key])).toEqual([
      ['trunk-a', 'k1'],
      ['trunk-a', 'k2'],
    ])
    expect(report.groups).toMatchObject([{ group: 'trunk-a' }])
    expect(stopped).toEqual(report.at)
    expect(since.getTime()).toBeLessThanOrEqual(report.uses[0]!.firstVerified!.getTime())
    expect(JSON.stringify(report)).not.toContain('xks_')
  })

  it('is there from the start: a crash before the first use is no proof of none', async () => {
    const node = await start(K1)
    expect(loadReport(join(node.folder, 'state'), 'edge-1')).toMatchObject({ node: 'edge-1', uses: [] })
    expect(loadReport(join(node.folder, 'state'), 'edge-1')).not.toHaveProperty('stopped')
  })

  it('goes over a restart, and through a keyring that changed meanwhile', async () => {
    const first = await start(K1 + K2)
    await first.accepts('1', K1)
    await first.accepts('2', K2)
    const before = await first.end()
    const second = await start(K2, { folder: first.folder })
    const after = await second.end()
    expect(after.since).toEqual(before.since)
    expect(after.uses).toEqual(before.uses.filter((use) => use.key === 'k2'))
    expect(after.keys).toEqual(before.keys.filter((held) => held.key === 'k2'))
  })

  it.each<[string, (text: string) => string]>([
    ['lost', () => ''],
    ['damaged', (text) => text.slice(0, -20)],
    ['not of an orderly end', (text) => text.replace(/"stopped":"[^"]*",/, '')],
  ])('that is %s is unknown before the start', async (how, damage) => {
    const first = await start(K1)
    await first.accepts('1', K1)
    const { at } = await first.end()
    const path = join(first.folder, 'state', 'edge-1.report.json')
    writeFileSync(path, damage(readFileSync(path, 'utf8')))
    const second = await start(K1, { folder: first.folder })
    const crashed = how === 'not of an orderly end'
    expect(second.log()).toMatchObject(crashed ? [] : [{ level: 40, event: 'report-damaged' }])
    const after = await second.end()
    expect(after.since.getTime()).toBeGreaterThanOrEqual(at.getTime())
    expect(told(after)).toEqual(crashed ? ['k1 carrier firstVerified lastVerified'] : [])
  })

  it('no replayed or refused token counts', async () => {
    const node = await start(K1 + K2)
    await node.accepts('1', K1)
    const before = await node.values('xkeys_key_last_used_timestamp_seconds')
    expect(Object.keys(before)).toEqual(['trunk-a,k1,verify'])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    await node.accepts('1', K1)
    await node.refuses('2', key('no', SECRETS.other))
    expect(await node.values('xkeys_key_last_used_timestamp_seconds')).toEqual(before)
    await node.accepts('3', K1)
    const after = await node.values('xkeys_key_last_used_timestamp_seconds')
    expect(after['trunk-a,k1,verify']).toBeGreaterThan(before['trunk-a,k1,verify']! + 59)
  })

  it('is not kept where there is no state directory, but shown', async () => {
    const node = await start(K1, { top: '' })
    await node.accepts('1', K1)
    expect(await node.values('xkeys_key_last_used_timestamp_seconds')).toHaveProperty('trunk-a,k1,verify')
    expect(await node.values('xkeys_report_written_timestamp_seconds')).toEqual({})
    await node.service.stop()
    expect(loadReport(join(node.folder, 'state'), 'edge-1')).toBe('missing')
  })

  it('needs a state directory that can be written', async () => {
    const folder = folderWith({ file: '' })
    await expect(start(K1, { folder, top: 'state = "file"' })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: 'state: "file" cannot be written (EEXIST)',
    })
  })

  it('is not touched by a start that fails because the edge runs already', async () => {
    const node = await start(K1)
    const { trunk, upstream } = node.service.edge.sockets
    const loaded = loadConfig(join(node.folder, 'edge.toml'), {}, new Date())
    const listen = { trunk: trunk.local, upstream: upstream.local }
    const second = startService({
      loaded: { ...loaded, config: { ...loaded.config, listen } },
      version: 'test',
      logTo: { write: () => {} },
    })
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await node.accepts('1', K1)
    expect(told(await node.end())).toEqual(['k1 carrier firstVerified lastVerified'])
    expect(node.log().map(({ event }) => event)).not.toContain('report-foreign')
  })

  it('needs a report that can be written, and lets go of the sockets where not', async () => {
    const folder = folderWith({})
    mkdirSync(join(folder, 'state', 'edge-1.report.json', 'in-the-way'), { recursive: true })
    await expect(start(K1, { folder })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  })

  it('of another node of the same name is noticed: what keys were used for is unknown', async () => {
    const one = await start(K1)
    const other = await start(K1, { folder: one.folder })
    const { at } = await other.end()
    const { since } = await one.end()
    expect(one.log().find(({ event }) => event === 'report-foreign')).toMatchObject({
      level: 50,
      node: 'edge-1',
    })
    expect(since.getTime()).toBeGreaterThanOrEqual(at.getTime())
  })
})
