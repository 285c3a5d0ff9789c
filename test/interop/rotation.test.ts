import { beforeAll, describe, expect, it } from 'vitest'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import type { Endpoint } from '../../src/message/types.ts'
import { describePeers, freePorts, startKamailio } from '../support/peers.ts'
import { placed, withKeys, type Places } from './documented.ts'
import { openParty, startLoad, type Account } from './rotation-load.ts'
import { newKeyring, peerKeys, startRotatedEdge, type PeerKeys, type RotatedEdge } from './rotation-rig.ts'

const PEERS = ['carrier', 'branch'] as const
const ROTATIONS_EACH = 10

const at = ({ address, port }: Endpoint): string => `${address}:${port}`

/** Two trunks with a group of their own. */
function configOf(
  edge: Endpoint,
  edgeUpstream: Endpoint,
  upstream: Endpoint,
  peers: readonly Endpoint[],
): string {
  const trunks = PEERS.map(
    (name, i) => `
[agreements.${name}]
header = "X-Auth"
group = "${name}"
algorithm = "hmac-sha256"
request = { sender = "$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)", receiver = "$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)" }
response = { sender = "$Ri:$rs:$fu:$tu:$ci:$hdr(CSeq)", receiver = "$si:$rs:$fu:$tu:$ci:$hdr(CSeq)" }
[trunks.${name}]
sources = ["${at(peers[i]!)}"]
target = "${at(peers[i]!)}"
agreement = "${name}"
`,
  )
  return `
[listen]
trunk = "${at(edge)}"
upstream = "${at(edgeUpstream)}"
[upstream]
target = "${at(upstream)}"
[metrics]
listen = "127.0.0.1:0"
${trunks.join('')}`
}

/** Tells how much went through, for whoever reads the log of the tests. */
function tell(what: string, { sent, seconds, excused }: Account): void {
  const rate = Math.round((2 * sent) / seconds)
  console.log(`${what}: ${sent} transactions, ${rate} messages a second, ${excused} while the peer restarted`)
}

async function counted(edge: RotatedEdge) {
  return {
    rejections: await edge.metric('xkeys_rejections_total'),
    dropped: await edge.metric('xkeys_dropped_total'),
    unsigned: await edge.metric('xkeys_signatures_total', 'outcome="error"'),
    reloadsFailed: await edge.metric('xkeys_keyring_reloads_total', 'failed'),
  }
}

const NOTHING = { rejections: 0, dropped: 0, unsigned: 0, reloadsFailed: 0 }

/** One rotation from start to retire, in either order. */
async function rotate(
  edge: RotatedEdge,
  group: string,
  peer: PeerKeys,
  names: readonly [string, string],
  order: string,
) {
  const [old, next] = names
  const on = ['--group', group]
  await edge.step('rotate', 'start', ...on, '--name', next)
  if (order === 'peer first') {
    peer.take(await edge.lines(group, 'new'))
    await edge.step('rotate', 'promote', ...on)
  } else {
    peer.take(await edge.lines(group))
    await edge.step('rotate', 'confirm', group, ...on)
    await edge.step('rotate', 'promote', ...on)
    peer.take(await edge.lines(group))
  }
  await edge.step('key', 'retire', old, ...on)
}

/** A step that must not be safe yet. */
async function refused(edge: RotatedEdge, ...words: readonly string[]): Promise<void> {
  const { exit, stdout } = await edge.cli(...words)
  if (exit !== 1) throw new Error(`xkeys ${words.join(' ')}: ${exit}\n${stdout}`)
}

describe('guided rotations by the command line, under load', () => {
  it(`${2 * ROTATIONS_EACH} of two groups, on one edge: nothing valid refused, nothing lost`, async () => {
    const ports = await freePorts(5)
    const [trunkAt, upstreamAt, upstream, ...peers] = ports.map((port) => ({ address: '127.0.0.1', port }))
    const config = configOf(trunkAt!, upstreamAt!, upstream!, peers)
    const edge = await startRotatedEdge(config, newKeyring(...PEERS))
    const { trunks } = parseEdgeConfig(`keyring = "keyring.toml"\n${config}`)
    const inside = await openParty(upstream!)
    const keys = trunks.map(({ agreement }, i) => peerKeys(agreement, peers[i]!, trunkAt!))
    for (const [i, peer] of keys.entries()) peer.take(await edge.lines(PEERS[i]!))
    const outside = await Promise.all(peers.map((local, i) => openParty(local, keys[i]!.hooks)))
    // 4 flows of 63 requests a second and as many answers: 500 messages.
    const load = startLoad(
      outside.flatMap((party) => [
        { from: party, to: trunkAt!, uri: 'sip:bob@biloxi.example' },
        { from: inside, to: upstreamAt!, uri: `sip:bob@${at(party.local)}` },
      ]),
      63,
    )
    try {
      await Promise.all(
        PEERS.map(async (group, i) => {
          let old = 'first'
          for (let n = 1; n <= ROTATIONS_EACH; n++) {
            const next = `key-${n}`
            await rotate(edge, group, keys[i]!, [old, next], n % 2 === 1 ? 'peer first' : 'we first')
            await edge.step('key', 'prune')
            old = next
          }
        }),
      )
    } finally {
      const account = await load.stop()
      tell('rotations under load', account)
      expect(account).toMatchObject({ refused: {}, lost: 0, answered: account.sent })
      for (const party of [inside, ...outside]) party.close()
    }
    expect(await counted(edge)).toEqual(NOTHING)
    const accepted = await edge.metric('xkeys_key_verifications_total', 'key="key-10"')
    expect(accepted).toBeGreaterThan(0)
    await edge.stop()
  }, 240_000)
})

describePeers('a rotation with a Kamailio peer', ['kamailio'], () => {
  let places: Required<Places>
  beforeAll(async () => {
    const [a, b, c, d, e] = await freePorts(5)
    places = {
      core: { address: '127.0.0.1', port: a! },
      kamailio: { address: '127.0.0.2', port: b! },
      edge: { address: '127.0.0.3', port: c! },
      edgeUpstream: { address: '127.0.0.4', port: d! },
      upstream: { address: '127.0.0.5', port: e! },
    }
  })

  /** What Kamailio runs with: the document's configuration and the lines that were handed over. */
  const script = (lines: string): string => withKeys(placed('kamailio.cfg', places), lines)

  it.each(['peer first', 'we first'])(
    '%s: nothing refused, and nothing lost but while it restarts',
    async (order) => {
      const config = placed('edge.toml', places).replace(/^keyring = .*\n/m, '')
      const edge = await startRotatedEdge(config, newKeyring('trunk-a'))
      const on = ['--group', 'trunk-a']
      let kamailio = await startKamailio(script(await edge.lines('trunk-a')))
      const core = await openParty(places.core)
      const inside = await openParty(places.upstream)
      const load = startLoad(
        [
          { from: core, to: places.kamailio, uri: 'sip:bob@biloxi.example' },
          { from: inside, to: places.edgeUpstream, uri: `sip:bob@${at(places.kamailio)}` },
        ],
        40,
      )
      const restart = async (lines: string): Promise<void> => {
        load.excuse()
        await kamailio.stop()
        kamailio = await startKamailio(script(lines))
        load.expect()
      }
      try {
        await edge.step('rotate', 'start', ...on, '--name', 'second')
        if (order === 'peer first') {
          await restart(await edge.lines('trunk-a', 'new'))
          await edge.step('rotate', 'promote', ...on)
        } else {
          await restart(await edge.lines('trunk-a'))
          await refused(edge, 'rotate', 'promote', ...on)
          await edge.step('rotate', 'confirm', 'kamailio', ...on)
          await edge.step('rotate', 'promote', ...on)
          await refused(edge, 'key', 'retire', 'first', ...on)
          await restart(await edge.lines('trunk-a'))
        }
        await edge.step('key', 'retire', 'first', ...on)
        await restart(await edge.lines('trunk-a'))
      } finally {
        const account = await load.stop()
        tell(`kamailio, ${order}`, account)
        expect(account).toMatchObject({ refused: {}, lost: 0 })
        expect(account.answered + account.excused).toBe(account.sent)
        expect(account.answered).toBeGreaterThan(0)
        core.close()
        inside.close()
        await kamailio.stop()
      }
      expect(await counted(edge)).toEqual(NOTHING)
      await edge.stop()
    },
    120_000,
  )
})
