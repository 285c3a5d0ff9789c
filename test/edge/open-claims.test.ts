import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { RedisConfig } from '../../src/edge/config-redis.ts'
import { openClaims } from '../../src/edge/open-claims.ts'
import { loadConfig } from '../../src/edge/service.ts'
import { fleetPlace, RING } from '../support/fleet.ts'
import { describePeers } from '../support/peers.ts'

const MINUTE = 60_000
const until = (check: () => Promise<void> | void): Promise<void> =>
  vi.waitFor(check, { timeout: 15_000, interval: 30 })

async function open(path: string, shared?: RedisConfig) {
  const lines: string[] = []
  const log = pino({ base: null }, { write: (line) => void lines.push(line) })
  const config = { capacity: 100, shared }
  const clocks = { time: Date.now, monotonic: () => performance.now() }
  const opened = await openClaims(loadConfig(path, {}, new Date()), config, { log, ...clocks })
  onTestFinished(() => opened.close())
  return { ...opened, events: () => lines.map((line) => (JSON.parse(line) as { event: string }).event) }
}

describePeers('claims of an edge', ['redis-server'], () => {
  it('are its own where its keyring is a file', async () => {
    const { folder } = await fleetPlace()
    const path = join(folder, 'file.toml')
    writeFileSync(join(folder, 'keys.toml'), RING)
    const rest = `[listen]\ntrunk = "127.0.0.1:0"\nupstream = "127.0.0.1:0"\n[upstream]\ntarget = "127.0.0.1:9"\n`
    const trunk = `[agreements.a]\nheader = "X-Auth"\ngroup = "gw"\nalgorithm = "hmac-sha256"\nrequest = "$ru"\n[trunks.t]\nsources = ["127.0.0.2"]\ntarget = "127.0.0.2:9"\nagreement = "a"\n`
    writeFileSync(path, `keyring = "keys.toml"\n${rest}${trunk}`)
    const { claims, state } = await open(path)
    expect([claims.claim('k', 'v', MINUTE), claims.claim('k', 'v', MINUTE), state]).toEqual([
      'new',
      'same',
      undefined,
    ])
  })

  it('are known to every node that shares a keyring, and to each alone while Redis is away', async () => {
    const place = await fleetPlace()
    const path = join(place.folder, 'operator.toml')
    const [one, other] = [await open(path), await open(path)]
    await until(async () => expect(await one.claims.claim('first', 'v', MINUTE)).toMatch(/new|same/))
    await until(async () => expect(await other.claims.claim('first', 'w', MINUTE)).toBe('other'))
    expect([one.state?.(), one.events()]).toEqual(['shared', []])
    await place.redis.stop()
    await until(() => expect(one.events()).toEqual(['claims-local']))
    expect(one.state?.()).toBe('local')
    expect([one.claims.claim('second', 'v', MINUTE), one.claims.claim('first', 'w', MINUTE)]).toEqual([
      'new',
      'other',
    ])
    await place.redis.restart()
    await until(() => expect(one.events()).toEqual(['claims-local', 'claims-shared']))
  })
})
