// @ts-check
/**
 * `npm run soak:kill-node`: `kill -9` of an edge that writes evidence, KILLS times, on one state directory. Half are killed
 * at a random time of their life, half while the report is being written: at the moment its temporary file is seen, or up
 * to 2 ms later. Meanwhile requests come in under keys that change. After each kill the report must be whole, the next
 * start must be clean, with what was known before, and say that what may be lost is unknown; after the last one an orderly
 * end must leave nothing else behind. The first fault ends the soak, and no result is kept.
 */
import { spawn } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadReport } from '../dist/stores/report-file.js'
import { provenance } from '../bench/provenance.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const KILLS = Number(process.env['SOAK_KILLS'] ?? 100)
const NODE = 'soak'
const GROUP = 'soak'
const folder = mkdtempSync(join(tmpdir(), 'xkeys-soak-'))
const state = join(folder, 'state')
const keyring = join(folder, 'keyring.toml')

/** @param {number} i */
const secretOf = (i) => `xks_${createHash('sha256').update(`soak ${i}`).digest('base64url')}`

/** Three keys of which the oldest goes with each kill. @param {number} i */
function writeKeyring(i) {
  const keys = [i, i + 1, i + 2].map(
    (n) => `[[groups.${GROUP}.keys]]\nname = "k${n}"\nvalue = "${secretOf(n)}"\n`,
  )
  writeFileSync(`${keyring}.new`, keys.join(''))
  renameSync(`${keyring}.new`, keyring)
}

const sender = createSocket('udp4')
sender.bind(0, '127.0.0.1')
await once(sender, 'listening')
const { port } = sender.address()
sender.on('message', () => {})

writeFileSync(
  join(folder, 'edge.toml'),
  `keyring = "keyring.toml"
state = "state"
node = "${NODE}"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[limits]
drain_timeout = 0
[agreements.a]
header = "X-Auth"
group = "${GROUP}"
algorithm = "sha256"
request = "$ci"
[trunks.t]
sources = ["127.0.0.1:${port}"]
target = "127.0.0.1:${port}"
agreement = "a"
`,
)

let calls = 0
/** A request under key `i`. @param {number} i @param {number} to */
function send(i, to) {
  const call = `call-${++calls}`
  const token = createHash('sha256')
    .update(`${secretOf(i)}:${call}`)
    .digest('hex')
  const lines = [
    'OPTIONS sip:soak@127.0.0.1:25080 SIP/2.0',
    `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${call};rport`,
    'Max-Forwards: 70',
    'From: <sip:soak@127.0.0.1>;tag=soak',
    'To: <sip:soak@127.0.0.1>',
    `Call-ID: ${call}`,
    'CSeq: 1 OPTIONS',
    `X-Auth: ${token}`,
    'Content-Length: 0',
  ]
  sender.send(`${lines.join('\r\n')}\r\n\r\n`, to, '127.0.0.1')
}

/** @param {unknown} holds @param {string} what */
function must(holds, what) {
  if (holds !== true) throw new Error(what)
}

/** Starts the edge; `events` grows with its log. */
function start() {
  const edge = spawn(
    process.execPath,
    [join(here, '../dist/cli/main.js'), 'run', '--config', join(folder, 'edge.toml')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  /** @type {any[]} */
  const events = []
  let rest = ''
  edge.stdout.setEncoding('utf8').on('data', (/** @type {string} */ chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) events.push(JSON.parse(line))
  })
  return { edge, events, ended: once(edge, 'close') }
}

/** @param {() => unknown} holds @param {string} what */
async function until(holds, what) {
  for (const end = Date.now() + 20_000; holds() === undefined || holds() === false; await sleep(2))
    must(Date.now() < end, `it takes too long: ${what}`)
}

/** Uses as `key first last`. @param {any} report */
const usesOf = (report) =>
  new Map(report.uses.map((/** @type {any} */ use) => [use.key, use.firstVerified?.getTime()]))

/** @param {number} round @param {'random' | 'writing'} how */
async function killOnce(round, how) {
  const before = loadReport(state, NODE)
  writeKeyring(round)
  const { edge, events, ended } = start()
  const life = how === 'random' ? randomInt(0, 4000) : Infinity
  const timer = setTimeout(() => edge.kill('SIGKILL'), Math.min(life, 60_000))
  // The first report comes before the start, the next ones as keys are seen.
  const skip = randomInt(0, 14)
  let seen = 0
  const watcher =
    how === 'writing'
      ? watch(state, (_, name) => {
          if (name?.endsWith('.tmp') !== true || seen++ < skip) return
          const end = performance.now() + randomInt(0, 2000) / 1000
          while (performance.now() < end);
          edge.kill('SIGKILL')
        })
      : undefined
  const to = () => events.find(({ event }) => event === 'started')?.trunk.port
  while (edge.exitCode === null && edge.signalCode === null) {
    const at = to()
    if (at !== undefined) for (const key of [round, round + 1, round + 2]) send(key, at)
    await Promise.race([sleep(50), ended])
  }
  await ended
  clearTimeout(timer)
  watcher?.close()
  must(edge.signalCode === 'SIGKILL', `it ended by itself: ${JSON.stringify(events.at(-1))}`)
  must(!events.some(({ event }) => /^(?:report-|keyring-refused)/.test(event)), 'the start was not clean')
  const after = loadReport(state, NODE)
  must(after !== 'damaged', 'the report is damaged')
  must(after !== 'missing' || before === 'missing', 'the report is lost')
  if (typeof after !== 'string' && typeof before !== 'string') {
    const isNew = after.at.getTime() !== before.at.getTime()
    must(
      !isNew || after.since.getTime() > before.at.getTime(),
      'what may be lost after a kill is taken for known',
    )
    const [were, are] = [usesOf(before), usesOf(after)]
    const held = new Set(after.keys.map(({ key }) => key))
    for (const [key, first] of were)
      must(!held.has(key) || are.get(key) === first, `what was known of ${key} is lost`)
  }
  const litter = readdirSync(state).filter((name) => name.endsWith('.tmp')).length
  must(litter <= 1, 'temporary files pile up')
  return { how, started: to() !== undefined, litter, uses: typeof after === 'string' ? 0 : after.uses.length }
}

/** The last run: clean start, orderly end, nothing left. @param {number} round */
async function endInOrder(round) {
  const { edge, events, ended } = start()
  await until(() => events.some(({ event }) => event === 'started'), 'the start')
  for (const key of [round, round + 1, round + 2]) send(key, events.at(-1).trunk.port)
  await sleep(300)
  edge.kill('SIGTERM')
  const [exit] = await ended
  const report = loadReport(state, NODE)
  must(exit === 0 && typeof report !== 'string' && report.stopped !== undefined, 'the end was not in order')
  must(readdirSync(state).join() === `${NODE}.report.json`, `left behind: ${readdirSync(state).join()}`)
}

const kills = []
const started = performance.now()
try {
  mkdirSync(state, { mode: 0o700 })
  for (let round = 0; round < KILLS; round++) {
    kills.push(await killOnce(round, round % 2 === 0 ? 'random' : 'writing'))
    if ((round + 1) % 20 === 0) process.stderr.write(`${round + 1} kills\n`)
  }
  await endInOrder(KILLS - 1)
  const result = {
    question: 'kill-node',
    ...provenance(),
    seconds: Math.round((performance.now() - started) / 1000),
    kills,
  }
  if (process.env['BENCH_KEEP'] !== 'no') {
    mkdirSync(join(here, '../bench/results/soak'), { recursive: true })
    writeFileSync(join(here, '../bench/results/soak/kill-node.json'), `${JSON.stringify(result)}\n`)
  }
  const count = (/** @type {(kill: any) => boolean} */ wanted) => kills.filter(wanted).length
  process.stdout.write(
    `${kills.length} nodes killed (${count(({ started }) => !started)} before they were started): ` +
      `${count(({ litter }) => litter > 0)} left a temporary file, which the next start removed; ` +
      `no torn report, nothing known was lost, every next start clean\n`,
  )
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  sender.close()
  rmSync(folder, { recursive: true })
}
