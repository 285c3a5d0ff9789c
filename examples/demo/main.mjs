// @ts-check
/**
 * The demonstration that `npm start` runs: the edge on loopback with the published keys of keyrings/demo.toml, an
 * upstream behind it, and a peer that places signed calls through it.
 *
 * XKEYS_DEMO_SECONDS ends it by itself after that many seconds.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig, startService } from 'auth-xkeys/edge'
import { startPeer } from './peer.mjs'
import { startUpstream } from './upstream.mjs'

const CALLS_PER_SECOND = 50
const here = dirname(fileURLToPath(import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'xkeys-demo-'))

/** The example configuration, on free ports. @param {number} upstreamPort @param {number} peerPort */
function writeConfig(upstreamPort, peerPort) {
  const keyring = resolve(here, '../../keyrings/demo.toml')
  const text = readFileSync(join(here, 'edge.toml'), 'utf8')
    .replace(/^keyring = .*$/m, `keyring = ${JSON.stringify(keyring)}`)
    .replace(/:1506[02]"/g, ':0"')
    .replace(':19464"', ':0"')
    .replace(':15080"', `:${upstreamPort}"`)
    .replace(':15090"', `:${peerPort}"`)
  const path = join(folder, 'edge.toml')
  writeFileSync(path, text)
  return path
}

const address = '127.0.0.1'
const upstream = await startUpstream(address, 0)
// The peer's port must stand in the configuration before the edge runs, and the edge's before the peer calls.
const loaded = loadConfig(writeConfig(upstream.port, 1), process.env, new Date())
const service = await startService({ loaded, version: 'demo' })
const [trunk] = loaded.config.trunks
if (trunk === undefined) throw new Error('the example configuration has no trunk')
const peer = await startPeer({
  address,
  port: 0,
  edge: service.edge.sockets.trunk.local,
  agreement: trunk.agreement,
  keyring: loaded.keyring,
})

const { metrics } = service
const { group } = trunk.agreement
const total = (/** @type {string} */ outcome) => {
  let sum = 0
  for (const { labels, value } of metrics.verifications.entries())
    if (labels.outcome === outcome) sum += value
  return sum
}
const refusals = () => {
  const parts = []
  for (const { labels, value } of metrics.rejections.entries())
    if (value > 0) parts.push(`${labels.reason} ${value}`)
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

const admin = service.admin?.local
console.log(
  `edge on ${address}:${service.edge.sockets.trunk.local.port}, metrics at http://${address}:${admin?.port}/metrics`,
)
console.log('one line a second; Ctrl-C ends it')

let placed = 0
let completedBefore = 0
const caller = setInterval(() => {
  placed++
  // Every 50th call carries no token, every 75th a forged one.
  peer.call(placed % 50 === 0 ? 'unsigned' : placed % 75 === 0 ? 'forged' : 'signed')
}, 1000 / CALLS_PER_SECOND)
const ticker = setInterval(() => {
  peer.expire()
  const rate = peer.state.completed - completedBefore
  completedBefore = peer.state.completed
  const active = loaded.keyring.activeKey(group, new Date())?.name ?? 'none'
  console.log(
    `accepted ${total('accept')}  refused ${total('reject')}${refusals()}  calls/s ${rate}  active key ${active}`,
  )
}, 1000)

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  clearInterval(caller)
  // Calls that are up are let finish.
  const patience = Date.now() + 2000
  while (peer.open() > 0 && Date.now() < patience) await new Promise((wake) => setTimeout(wake, 20))
  clearInterval(ticker)
  await service.stop()
  peer.close()
  upstream.close()
  rmSync(folder, { recursive: true })
  const { placed: calls, completed, refused, lost, unverified } = peer.state
  console.log(
    `summary: ${calls} calls placed, ${completed} completed, ${refused} refused as they should be, ${lost} lost; ` +
      `${unverified} responses not verified; ${upstream.state.tokensSeen} tokens seen behind the edge`,
  )
}
process.on('SIGINT', () => void stop())
process.on('SIGTERM', () => void stop())
const seconds = Number(process.env['XKEYS_DEMO_SECONDS'] ?? 0)
if (seconds > 0) setTimeout(() => void stop(), seconds * 1000)
