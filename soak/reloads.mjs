// @ts-check
/**
 * `npm run soak:reloads`: RELOADS changes of the keyring of one running edge, while RATE messages a second pass it, in
 * rounds that alternate with rounds without reloads. Each change is written beside the file, renamed over it and told by
 * SIGHUP; keys come and go beside the one that signs, and every 50th file is broken. No message may be refused or lost;
 * the heap after a garbage collection must stay within 5 % from the end of the first round on; p99 of the latency is told
 * as the ratio to the rounds without. The first fault ends the soak, and no result is kept.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { median } from '../bench/statistics.mjs'
import { provenance } from '../bench/provenance.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const RELOADS = Number(process.env['SOAK_RELOADS'] ?? 10_000)
const ROUNDS = Number(process.env['SOAK_ROUNDS'] ?? 5)
const RATE = Number(process.env['SOAK_RATE'] ?? 2000)
/** Milliseconds between two changes. */
const EVERY = 20
const POOL = 2000
const SECRET = 'soak-shared-secret-0000-Zm9vYmFyYmF6'
const folder = mkdtempSync(join(tmpdir(), 'xkeys-soak-'))
const load = join(folder, 'udpload')
const poolFile = join(folder, 'pool.bin')
const keyring = join(folder, 'keyring.toml')
const heapFile = join(folder, 'heap.json')

/** @param {string} name @param {string} secret @param {string} more */
const key = (name, secret, more = '') =>
  `[[groups.soak.keys]]\nname = "${name}"\nvalue = "${secret}"\n${more}\n`
const signing = key('k', SECRET, 'active_from = 2020-01-01T00:00:00Z')

/** The keyring after so many changes: two other keys that differ each time. @param {number} i */
function keyringText(i) {
  if (i % 50 === 49) return `${signing}[[groups.soak.keys]]\nname = "broken`
  const other = createHash('sha256').update(`key ${i}`).digest('base64url')
  return (
    key(`before-${i}`, `xks_a${other}`, 'expires = 2099-01-01T00:00:00Z') +
    signing +
    key(`next-${i}`, `xks_b${other}`, 'active_from = 2099-01-01T00:00:00Z')
  )
}

/** @param {number} i */
function message(i) {
  const ru = `sip:+1555${String(i).padStart(7, '0')}@127.0.0.1:25080`
  const fu = `sip:alice${i}@atlanta.example.com`
  const cseq = `${100_000 + i} INVITE`
  const token = createHash('sha256').update(`${SECRET}:127.0.0.1:${fu}:${ru}:${cseq}`).digest('hex')
  return [
    `INVITE ${ru} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:25090;branch=z9hG4bKs${String(i).padStart(7, '0')};rport`,
    'Max-Forwards: 70',
    `From: <${fu}>;tag=t${i.toString(16).padStart(8, '0')}`,
    `To: <${ru}>`,
    `Call-ID: ${i.toString(16).padStart(8, '0')}-soak@atlanta.example.com`,
    `CSeq: ${cseq}`,
    'Contact: <sip:alice@127.0.0.1:25090>',
    `X-Auth: ${token}`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n')
}

async function freePorts(/** @type {number} */ count) {
  const sockets = Array.from({ length: count }, () => createSocket('udp4'))
  const ports = []
  for (const socket of sockets) {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    ports.push(socket.address().port)
  }
  for (const socket of sockets) socket.close()
  return ports
}

const [listen = 0, back = 0, sink = 0, metrics = 0] = await freePorts(4)

function prepare() {
  execFileSync('cc', ['-O2', '-o', load, join(here, '../bench/edge/udpload.c'), '-lcrypto', '-lpthread'])
  const parts = []
  for (let i = 0; i < POOL; i++) {
    const bytes = Buffer.from(message(i))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    parts.push(length, bytes)
  }
  writeFileSync(poolFile, Buffer.concat(parts))
  writeFileSync(keyring, keyringText(0))
  writeFileSync(
    join(folder, 'edge.toml'),
    `keyring = "keyring.toml"
state = "state"
node = "soak"
[listen]
trunk = "127.0.0.1:${listen}"
upstream = "127.0.0.1:${back}"
[upstream]
target = "127.0.0.1:${sink}"
[metrics]
listen = "127.0.0.1:${metrics}"
[log]
level = "fatal"
[limits]
drain_timeout = 0
[agreements.a]
header = "X-Auth"
group = "soak"
algorithm = "sha256"
request = "$si:$fu:$ru:$hdr(CSeq)"
[trunks.t]
sources = ["127.0.0.1"]
target = "127.0.0.1:25090"
agreement = "a"
`,
  )
}

/** Tells the heap after a garbage collection, asked by SIGUSR2. */
const HOOK = `data:text/javascript,import fs from 'node:fs';process.on('SIGUSR2',()=>{gc();gc();fs.writeFileSync(${JSON.stringify(`${heapFile}.new`)},JSON.stringify(process.memoryUsage()));fs.renameSync(${JSON.stringify(`${heapFile}.new`)},${JSON.stringify(heapFile)})})`

/** @param {import('node:child_process').ChildProcess} edge */
async function heapOf(edge) {
  rmSync(heapFile, { force: true })
  edge.kill('SIGUSR2')
  for (const until = Date.now() + 20_000; !existsSync(heapFile); await sleep(20))
    if (Date.now() > until) throw new Error('the edge does not tell its heap')
  return JSON.parse(readFileSync(heapFile, 'utf8'))
}

/** The samples of a metric, added up. @param {string} name @param {string} [label] */
async function count(name, label = '') {
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** @param {number} seconds */
async function send(seconds) {
  const words = [
    '-m',
    'pace',
    '-p',
    poolFile,
    '-t',
    listen,
    '-n',
    Math.round(RATE * seconds),
    '-R',
    RATE,
    '-s',
    sink,
  ]
  const sender = spawn('taskset', ['-c', '1', load, ...words.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  sender.stdout.on('data', (chunk) => (text += chunk))
  const [exit] = await once(sender, 'close')
  if (exit !== 0) throw new Error(`the sender ended with ${exit}`)
  return JSON.parse(text)
}

let written = 0
/** @param {import('node:child_process').ChildProcess} edge @param {number} changes */
async function change(edge, changes) {
  const begin = performance.now()
  for (let i = 0; i < changes; i++) {
    writeFileSync(`${keyring}.new`, keyringText(++written))
    renameSync(`${keyring}.new`, keyring)
    edge.kill('SIGHUP')
    await sleep(Math.max(0, begin + (i + 1) * EVERY - performance.now()))
  }
}

/** @param {unknown} holds @param {string} what */
function must(holds, what) {
  if (holds !== true) throw new Error(what)
}

prepare()
const edge = spawn(
  'taskset',
  ['-c', '0', process.execPath, '--expose-gc', '--import', HOOK, join(here, '../dist/cli/main.js')].concat([
    'run',
    '--config',
    join(folder, 'edge.toml'),
  ]),
  { stdio: 'ignore' },
)
const rounds = []
try {
  for (const until = Date.now() + 20_000; ; await sleep(100)) {
    if (await count('xkeys_build_info').then(Boolean, () => false)) break
    must(Date.now() < until && edge.exitCode === null, 'the edge did not start')
  }
  const perRound = Math.ceil(RELOADS / ROUNDS)
  // What is compiled and cached by then is no growth.
  const warmUp = Math.min(1000, RELOADS / 4)
  await Promise.all([send((warmUp * EVERY) / 1000), change(edge, warmUp)])
  // A signal that comes before the one before it was seen is none: then there is a round more.
  let reloads = 0
  for (let round = 0; reloads < RELOADS; round++) {
    must(round < 2 * ROUNDS, `only ${reloads} reloads: most signals were lost`)
    const seconds = (perRound * EVERY) / 1000
    const quiet = await send(seconds)
    const before = await count('xkeys_keyring_reloads_total')
    const [reloading] = await Promise.all([send(seconds), change(edge, perRound)])
    const now = (await count('xkeys_keyring_reloads_total')) - before
    reloads += now
    const heap = await heapOf(edge)
    rounds.push({ quiet, reloading, reloads: now, heap })
    process.stderr.write(
      `round ${round + 1}: ${now} reloads, p99 ${quiet.p99_us} → ${reloading.p99_us} µs, heap ${(heap.heapUsed / 1e6).toFixed(2)} MB\n`,
    )
    for (const { sent, sink: arrived } of [quiet, reloading])
      must(sent === arrived, `${sent - arrived} of ${sent} messages did not arrive`)
    must((await count('xkeys_rejections_total')) === 0, 'messages were refused')
  }
  const failed = await count('xkeys_keyring_reloads_total', 'outcome="failed"')
  must(failed > 0, 'no broken file was noticed')
  const first = rounds[0]?.heap.heapUsed ?? 0
  const growth = Math.max(...rounds.map(({ heap }) => heap.heapUsed / first - 1))
  must(growth < 0.05, `the heap grew by ${(growth * 100).toFixed(1)} %`)
  const series = await fetch(`http://127.0.0.1:${metrics}/metrics`).then((answer) => answer.text())
  must(!/before-0"|next-1"/.test(series), 'series of keys that are gone are left')
  const ratio = median(rounds.map(({ quiet, reloading }) => reloading.p99_us / quiet.p99_us))
  const result = {
    question: 'reloads',
    ...provenance(),
    rate: RATE,
    every: EVERY,
    reloads,
    failed,
    rounds,
  }
  if (process.env['BENCH_KEEP'] !== 'no') {
    mkdirSync(join(here, '../bench/results/soak'), { recursive: true })
    writeFileSync(join(here, '../bench/results/soak/reloads.json'), `${JSON.stringify(result)}\n`)
  }
  process.stdout.write(
    `${reloads} reloads, ${failed} of them of a broken file, under ${RATE} messages a second: 0 refused, 0 lost; ` +
      `heap at most ${(growth * 100).toFixed(1)} % above that of the first round; p99 ${ratio.toFixed(2)} of that without reloads\n`,
  )
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  edge.kill('SIGTERM')
  await Promise.race([once(edge, 'exit'), sleep(7000)])
  edge.kill('SIGKILL')
  rmSync(folder, { recursive: true })
}
