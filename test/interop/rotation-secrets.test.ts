import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { freePorts } from '../support/peers.ts'
import { openParty, startLoad } from './rotation-load.ts'
import { eachMemory, heapTexts, shownIn } from './rotation-memory.ts'
import { newKeyring, peerKeys, startRotatedEdge } from './rotation-rig.ts'

const ROTATIONS = 3
const at = (port: number | undefined): string => `127.0.0.1:${port}`
const on = ['--group', 'carrier']

/** Names of the keys that the node reports to hold. */
function heldBy(state: string): readonly string[] {
  const report = JSON.parse(readFileSync(join(state, 'edge-1.report.json'), 'utf8')) as {
    readonly keys: readonly { readonly key: string }[]
  }
  return report.keys.map(({ key }) => key)
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await isSo()) return
    await sleep(100)
  }
  throw new Error('it does not come to pass')
}

describe('a run with rotations', () => {
  it('shows no secret in logs, metrics, error texts, audit, state or heap', async () => {
    const [a, b, c, d] = await freePorts(4)
    const config = `
[listen]
trunk = "${at(a)}"
upstream = "${at(b)}"
[upstream]
target = "${at(c)}"
[metrics]
listen = "127.0.0.1:0"
[log]
level = "debug"
[agreements.main]
header = "X-Auth"
group = "carrier"
algorithm = "hmac-sha256"
request = { sender = "$Ri:$rm:$fu:$ru:$ci", receiver = "$si:$rm:$fu:$ru:$ci" }
response = { sender = "$Ri:$rs:$fu:$ci", receiver = "$si:$rs:$fu:$ci" }
[trunks.carrier]
sources = ["${at(d)}"]
target = "${at(d)}"
agreement = "main"
`
    const edge = await startRotatedEdge(config, newKeyring('carrier'), ['--heapsnapshot-signal=SIGUSR2'])
    const keyringPath = join(edge.folder, 'keyring.toml')
    const secretsNow = (): readonly string[] =>
      Array.from(readFileSync(keyringPath, 'utf8').matchAll(/"(xks_[\w-]+)"/g), ([, secret]) => secret!)
    const secrets = new Set(secretsNow())
    const { agreement } = parseEdgeConfig(`keyring = "keyring.toml"\n${config}`).trunks[0]!
    const [trunkAt, upstreamAt, upstream, peerAt] = [a, b, c, d].map((port) => ({
      address: '127.0.0.1',
      port: port!,
    }))
    const peer = peerKeys(agreement, peerAt!, trunkAt!)
    peer.take(await edge.lines('carrier'))
    const inside = await openParty(upstream!)
    const outside = await openParty(peerAt!, peer.hooks)
    const load = startLoad(
      [
        { from: outside, to: trunkAt!, uri: 'sip:bob@biloxi.example' },
        { from: inside, to: upstreamAt!, uri: `sip:bob@${at(d)}` },
      ],
      50,
    )
    let told = ''
    const step = async (...words: readonly string[]): Promise<void> => {
      told += await edge.step(...words)
    }
    const ask = async (...words: readonly string[]): Promise<void> => {
      const { stdout, stderr } = await edge.cli(...words)
      told += stdout + stderr
    }

    let old = 'first'
    for (let n = 1; n <= ROTATIONS; n++) {
      const next = `key-${n}`
      await step('rotate', 'start', ...on, '--name', next, '--json')
      for (const secret of secretsNow()) secrets.add(secret)
      await ask('rotate', 'promote', ...on)
      peer.take(await edge.lines('carrier', 'new'))
      await step('rotate', 'promote', ...on, '--json')
      await ask('rotate', 'status', ...on)
      await ask('rotate', 'status', ...on, '--json')
      await ask('rotate', 'abort', ...on)
      await step('rotate', 'promote', ...on)
      await step('key', 'retire', old, ...on, '--in', '1s')
      old = next
    }
    // A slip of a hand: the secret where a name belongs, and a file that is no keyring.
    const right = readFileSync(keyringPath, 'utf8')
    for (const wrong of [right.replace('value = ', 'valeu = '), right.replace('"\n', '\n')]) {
      const refusals = (): number => edge.output().split('"keyring-refused"').length
      const before = refusals()
      writeFileSync(keyringPath, wrong)
      await ask('rotate', 'status', ...on)
      await ask('key', 'list')
      await until(() => refusals() > before)
    }
    writeFileSync(keyringPath, right)
    await until(async () => (await edge.metric('xkeys_keyring_last_reload_success')) === 1)
    await load.stop()
    told += await edge.exposition()

    const all = [...secrets]
    expect(all).toHaveLength(ROTATIONS + 1)
    const state = join(edge.folder, 'state')
    const texts: Readonly<Record<string, string>> = {
      'what commands and metrics told': told,
      log: edge.output(),
      audit: readFileSync(`${keyringPath}.audit`, 'utf8'),
      ...Object.fromEntries(
        readdirSync(state).map((name) => [name, readFileSync(join(state, name), 'utf8')]),
      ),
    }
    for (const [what, text] of Object.entries(texts)) {
      expect({
        what,
        empty: text === '',
        shows: shownIn(Buffer.from(text, 'latin1'), all),
      }).toEqual({ what, empty: false, shows: [] })
    }

    expect({ heap: shownIn(await heapTexts(edge.pid(), edge.folder), all) }).toEqual({ heap: [] })
    await until(async () => {
      await step('key', 'prune')
      return secretsNow().length === 1
    })
    expect(secretsNow()).toEqual([all.at(-1)])
    await until(() => heldBy(state).length === 1)
    const pruned = all.slice(0, -1)
    expect({ heap: shownIn(await heapTexts(edge.pid(), edge.folder), pruned) }).toEqual({ heap: [] })
    // The whole memory, garbage too: what strings and buffers leave until it is used again is only told.
    const found = new Set<string>()
    eachMemory(edge.pid(), 64, (piece) => {
      for (const what of shownIn(piece, all)) found.add(what)
    })
    console.log(`memory of the process: ${[...found].join(', ') || 'nothing'}`)
    expect([...found].filter((what) => /hex|base64/i.test(what))).toEqual([])
    inside.close()
    outside.close()
    await edge.stop()
  }, 180_000)
})
