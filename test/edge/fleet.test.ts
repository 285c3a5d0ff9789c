import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { openClaims } from '../../src/edge/open-claims.ts'
import { loadConfig, startService } from '../../src/edge/service.ts'
import { viewFleet } from '../../src/keyring/fleet.ts'
import { resealKeyring, sealKeyring } from '../../src/keyring/seal.ts'
import { fleetPlace, NAME, RING, sealedRing, type FleetPlace, type Node } from '../support/fleet.ts'
import { describePeers } from '../support/peers.ts'
import { openProxy, startRedis } from '../support/redis.ts'
import { KEK, OTHER_KEK, shown, SOURCE } from '../support/sealed.ts'
import { repositoryFile } from '../support/xkeys.ts'

/** Waits as long as it takes; a fleet that never gets there fails by the test's own time. */
const until = (check: () => Promise<void> | void): Promise<void> =>
  vi.waitFor(check, { timeout: 60_000, interval: 30 })

const FIRST = sealedRing()
const SECOND = resealKeyring(
  FIRST,
  FIRST.replace('name = "k1"\n', 'name = "k1"\nrevoked = 2026-02-01T00:00:00Z\n'),
  SOURCE,
)
const THIRD = resealKeyring(SECOND, SECOND, SOURCE)

/** What the fleet knows of each node: status, revision, why it refuses. */
async function statusOf({ store }: FleetPlace): Promise<Record<string, string>> {
  const nodes = viewFleet(await store.heartbeats(), 'unknown')
  return Object.fromEntries(
    nodes.map(({ node, status, revision, refuses }) => [
      node,
      [status, revision, ...(refuses === undefined ? [] : [refuses])].join(' '),
    ]),
  )
}

const nothingShown = (...nodes: readonly Node[]): void =>
  expect(shown(nodes.map((node) => node.text()).join(''))).toEqual([])

describePeers('nodes that share a keyring', ['redis-server'], () => {
  vi.setConfig({ testTimeout: 90_000 })

  it('take it up when it changes, and say so', async () => {
    const place = await fleetPlace()
    const nodes = [await place.node('n1'), await place.node('n2')]
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 1', n2: 'current 1' }))
    await place.put(SECOND)
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 2', n2: 'current 2' }))
    for (const node of nodes) {
      expect(node.said()).toEqual(['loaded 2'])
      expect(await node.values('xkeys_key_state')).toMatchObject({ 'gw,k1,revoked': 1 })
      expect(await node.values('xkeys_keyring_revision')).toEqual({ '': 2 })
      expect(await node.values('xkeys_keyring_store_up')).toEqual({ '': 1 })
    }
    const found = await place.store.heartbeats()
    expect(found.get('n1')).toMatchObject({ version: 'test', report: { node: 'n1', revision: 2 } })
    await nodes[1]!.stop()
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 2', n2: 'silent 2' }))
    nothingShown(...nodes)
  })

  it('go on without the store, start without it, and catch up when it is back', async () => {
    const place = await fleetPlace({ text: FIRST })
    const node = await place.node('n1')
    const kept = join(place.folder, 'state-n1', 'n1.keyring.toml')
    await until(() => expect(readFileSync(kept, 'utf8')).toBe(FIRST))
    await place.redis.stop()
    await until(async () => expect(await node.values('xkeys_keyring_store_up')).toEqual({ '': 0 }))
    expect(node.said()).toEqual(['store-away'])
    expect(await node.values('xkeys_fleet_nodes')).toEqual({})
    expect(await node.values('xkeys_group_signable')).toEqual({ gw: 1 })
    await node.stop()

    const again = await place.node('n1')
    expect(again.said()).toEqual(['store-away'])
    expect(await again.values('xkeys_keyring_revision')).toEqual({ '': 1 })
    await place.redis.restart()
    await until(() => expect(again.said()).toEqual(['store-away', 'store-empty']))
    expect(await again.values('xkeys_group_signable')).toEqual({ gw: 1 })
    await place.put(SECOND)
    await until(() => expect(again.said()).toEqual(['store-away', 'store-empty', 'store-back', 'loaded 2']))
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 2' }))
    nothingShown(node, again)
  })

  it('do not start with neither store nor copy, and say what is wrong with both', async () => {
    const place = await fleetPlace({ text: '' })
    await expect(place.node('n1')).rejects.toThrow(/no keyring/)
    await place.redis.stop()
    await expect(place.node('n1')).rejects.toThrow(/ECONNREFUSED/)
  })

  it('refuse what is older, brings back a revoked key, or cannot be opened, and say why', async () => {
    const place = await fleetPlace({ text: THIRD })
    const node = await place.node('n1')
    /** A store that lost everything, and got something else. */
    const instead = async (text: string): Promise<void> => {
      await place.redis.client().flushall()
      await place.put(text)
    }
    const becomes = (status: string): Promise<void> =>
      until(async () => expect(await statusOf(place)).toEqual({ n1: status }))
    await instead(FIRST)
    await becomes('refusing 3 older')
    await instead(sealedRing(RING, 7))
    await becomes('refusing 3 revoked-key')
    await instead(sealKeyring(RING, { kek: OTHER_KEK, keyring: NAME, revision: 8 }))
    await becomes('refusing 3 kek')
    await instead(THIRD.replace('revision = 3', 'revision = 9'))
    await becomes('refusing 3 seal')
    expect(await node.values('xkeys_keyring_last_reload_success')).toEqual({ redis: 0 })
    expect(await node.values('xkeys_key_state')).toMatchObject({ 'gw,k1,revoked': 1 })
    await instead(resealKeyring(THIRD, THIRD, SOURCE))
    await becomes('current 4')
    expect(node.said().filter((line) => line.startsWith('store-'))).toEqual(
      expect.arrayContaining(['store-older', 'store-back']),
    )
    nothingShown(node)
  })

  it('refuse what lacks the group of a trunk', async () => {
    const place = await fleetPlace()
    const node = await place.node('n1')
    await place.put(sealedRing(RING.replaceAll('groups.gw', 'groups.other'), 2))
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'refusing 1 group-missing' }))
    expect(await node.values('xkeys_group_signable')).toEqual({ gw: 1 })
  })

  it('take what is no sealed keyring for no answer', async () => {
    const place = await fleetPlace()
    const node = await place.node('n1')
    await place.redis.client().hset(`xkeys:{${NAME}}:keyring`, 'revision', '2', 'text', RING)
    await until(() => expect(node.said()).toEqual(['store-away']))
    expect(node.text()).toContain('"detail":"the keyring in it is damaged"')
    expect(await node.values('xkeys_keyring_store_up')).toEqual({ '': 0 })
    expect(await place.run('key list CONFIG')).toMatchObject({
      stderr: expect.stringContaining('the keyring in it is damaged') as string,
      exit: 78,
    })
  })

  it('remember what was revoked over a restart', async () => {
    const place = await fleetPlace({ text: THIRD })
    await (await place.node('n1')).stop()
    await place.redis.client().flushall()
    await place.put(sealedRing(RING, 7))
    const again = await place.node('n1')
    expect(await again.values('xkeys_keyring_revision')).toEqual({ '': 3 })
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'refusing 3 revoked-key' }))
  })

  it('see each other', async () => {
    const place = await fleetPlace({ text: SECOND })
    const first = await place.node('n1')
    const second = await place.node('n2')
    await until(async () =>
      expect(await second.values('xkeys_fleet_nodes')).toEqual({
        current: 2,
        behind: 0,
        silent: 0,
        refusing: 0,
      }),
    )
    await first.stop()
    await until(async () =>
      expect(await second.values('xkeys_fleet_nodes')).toEqual({
        current: 1,
        behind: 0,
        silent: 1,
        refusing: 0,
      }),
    )
  })

  it('are silent to the others while they are cut off, and catch up', async () => {
    const place = await fleetPlace({ text: FIRST })
    const proxy = await openProxy(place.redis.port)
    const node = await place.node('n1', `redis://127.0.0.1:${proxy.port}/0`)
    await place.node('n2')
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 1', n2: 'current 1' }))
    proxy.stall()
    await place.put(SECOND)
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'silent 1', n2: 'current 2' }))
    expect(await node.values('xkeys_keyring_store_up')).toEqual({ '': 0 })
    expect(await node.values('xkeys_key_state')).toMatchObject({ 'gw,k1,active': 1 })
    proxy.resume()
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 2', n2: 'current 2' }))
    expect(node.said()).toEqual(['store-away', 'store-back', 'loaded 2'])
  })

  it('need no other rights in Redis than the manual names', async () => {
    const place = await fleetPlace({
      more: '[keyring.redis]\nusername = "edge"\npassword = "env:EDGE_PASSWORD"',
    })
    const [rights = ''] =
      /~xkeys:\{trunks\}[^`]+/.exec(repositoryFile('docs/fleet.md').replaceAll('\n', ' ')) ?? []
    await place.redis.client().call('ACL', 'SETUSER', 'edge', 'on', '>of-the-edge', ...rights.split(' '))
    vi.stubEnv('EDGE_PASSWORD', 'of-the-edge')
    const node = await place.node('n1')
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 1' }))
    const env = { EDGE_PASSWORD: 'of-the-edge' }
    const revoked = await place.run('key revoke k2 CONFIG --group gw', env)
    expect(revoked).toMatchObject({ stderr: '', exit: 0 })
    expect(node.said()).toEqual(['loaded 2'])
    const claims = await openClaims(
      loadConfig(join(place.folder, 'n1.toml'), env, new Date()),
      { capacity: 10, shared: undefined },
      { log: node.service.log, time: Date.now, monotonic: () => performance.now() },
    )
    await until(async () => expect(await claims.claims.claim('key', 'value', 60_000)).toMatch(/new|same/))
    expect(claims.state?.()).toBe('shared')
    await claims.close()
  })

  it('take the password from where it is kept, and never show it', async () => {
    const password = 'a-password-nobody-shall-see'
    const redis = await startRedis({ password })
    const more = '[keyring.redis]\npassword = "file:password"'
    const place = await fleetPlace({ redis, url: `redis://127.0.0.1:${redis.port}/0`, more })
    writeFileSync(join(place.folder, 'password'), `${password}\n`)
    const node = await place.node('n1')
    await until(async () => expect(await statusOf(place)).toEqual({ n1: 'current 1' }))
    expect(node.text()).not.toContain(password)
    const wrong = 'another-password'
    writeFileSync(join(place.folder, 'password'), wrong)
    const outcome = await place.run('fleet status CONFIG')
    expect(outcome).toMatchObject({ stdout: '', exit: 78 })
    expect(outcome.stderr).toMatch(/WRONGPASS|password/i)
    expect(outcome.stderr).not.toContain(wrong)
  })

  it('leave nothing open where they cannot start', async () => {
    const place = await fleetPlace()
    const node = await place.node('n1')
    const { port } = node.service.edge.sockets.trunk.local
    const path = join(place.folder, 'n2.toml')
    const text = readFileSync(join(place.folder, 'n1.toml'), 'utf8').replace(
      'trunk = "127.0.0.1:0"',
      `trunk = "127.0.0.1:${port}"`,
    )
    writeFileSync(path, text.replaceAll('n1', 'n2'))
    const before = process.getActiveResourcesInfo().length
    const start = startService({
      loaded: loadConfig(path, {}, new Date()),
      version: 'test',
      logTo: { write: () => {} },
    })
    await expect(start).rejects.toThrow('EADDRINUSE')
    await until(() => expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before))
    // It never began, so the others do not know it.
    expect(Object.keys(await statusOf(place))).toEqual(['n1'])
  })
})

it('the revisions of these tests are what they are taken for', () => {
  const revisions = [FIRST, SECOND, THIRD].map((toml) => /^revision = (\d)$/m.exec(toml)?.[1])
  expect(revisions).toEqual(['1', '2', '3'])
  expect(KEK.id).not.toBe(OTHER_KEK.id)
})
