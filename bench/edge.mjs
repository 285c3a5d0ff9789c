// @ts-check
/**
 * `npm run bench:edge`: our edge and the installed Kamailio in turn, the same sender and sink, the server pinned to one
 * core and the sender to another. Both check one key, take the header out and forward statelessly. Pair by pair:
 * messages a second at saturation, CPU per message, p99 latency at half of the slower one's rate.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median, quantile } from './statistics.mjs'
import { provenance } from './provenance.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const PAIRS = Number(process.env['BENCH_PAIRS'] ?? 5)
const MESSAGES = Number(process.env['BENCH_MESSAGES'] ?? 300_000)
const POOL = 2000
const SECRET = 'bench-shared-secret-0000-Zm9vYmFyYmF6'
const folder = mkdtempSync(join(tmpdir(), 'xkeys-bench-'))
const load = join(folder, 'udpload')
const poolFile = join(folder, 'pool.bin')

function build() {
  execFileSync('cc', ['-O2', '-o', load, join(here, 'edge/udpload.c'), '-lcrypto', '-lpthread'])
  const parts = []
  for (let i = 0; i < POOL; i++) {
    const bytes = Buffer.from(message(i))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    parts.push(length, bytes)
  }
  writeFileSync(poolFile, Buffer.concat(parts))
}

const SDP =
  'v=0\r\no=alice 2890844526 2890844526 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n' +
  'm=audio 49172 RTP/AVP 0 8 18 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\n' +
  'a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n'

/** @param {number} i */
function message(i) {
  const number = String(i).padStart(7, '0')
  const fu = `sip:alice${String(i % 1000).padStart(4, '0')}@atlanta.example.com`
  const ru = `sip:+1555${number}@127.0.0.1:25080`
  const cseq = `${100000 + i} INVITE`
  const token = createHash('sha256').update(`${SECRET}:127.0.0.1:${fu}:${ru}:${cseq}`).digest('hex')
  return [
    `INVITE ${ru} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:25090;branch=z9hG4bKp${number};rport`,
    'Max-Forwards: 70',
    `From: "Alice Example" <${fu}>;tag=t${i.toString(16).padStart(8, '0')}`,
    `To: <${ru}>`,
    `Call-ID: ${i.toString(16).padStart(8, '0')}-4f2a-11ee-be56-0242ac120002@atlanta.example.com`,
    `CSeq: ${cseq}`,
    `Contact: <sip:alice@127.0.0.1:25090;transport=udp>`,
    'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, PRACK, UPDATE',
    'Supported: 100rel, timer, replaces',
    'User-Agent: bench/1.0',
    `P-Asserted-Identity: <${fu}>`,
    'Content-Type: application/sdp',
    `X-Auth: ${token}`,
    `Content-Length: ${SDP.length}`,
    '',
    SDP,
  ].join('\r\n')
}

/** @param {number} count */
async function freePorts(count) {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = createSocket('udp4')
      socket.bind(0, '127.0.0.1')
      await once(socket, 'listening')
      return socket
    }),
  )
  const ports = sockets.map((socket) => socket.address().port)
  await Promise.all(sockets.map((socket) => new Promise((done) => socket.close(() => done(undefined)))))
  return ports
}

/** User and system time of a process and its threads, seconds. @param {number} pid */
function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** The process that works: of Kamailio, the one UDP receiver. @param {number} pid @param {string} who */
function worker(pid, who) {
  if (who === 'auth-xkeys') return pid
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
  return Math.min(...children.map(Number))
}

/** @param {'auth-xkeys' | 'kamailio'} who @param {number} listen @param {number} back @param {number} sink */
async function start(who, listen, back, sink) {
  const run = join(folder, `${who}-${listen}`)
  execFileSync('mkdir', ['-p', run])
  let command
  if (who === 'kamailio') {
    const config = readFileSync(join(here, 'edge/kamailio.cfg'), 'utf8')
      .replace('LISTEN', String(listen))
      .replace('SINK', String(sink))
      .replace('SECRET', SECRET)
    writeFileSync(join(run, 'kamailio.cfg'), config)
    command = [
      'kamailio',
      '-f',
      join(run, 'kamailio.cfg'),
      '-DD',
      '-x',
      'fm',
      '-X',
      'fm',
      '-m',
      '64',
      '-M',
      '8',
      '-P',
      join(run, 'pid'),
      '-Y',
      run,
    ]
  } else {
    writeFileSync(join(run, 'keyring.toml'), `[[groups.bench.keys]]\nname = "k"\nvalue = "${SECRET}"\n`)
    writeFileSync(
      join(run, 'edge.toml'),
      `keyring = "keyring.toml"
[listen]
trunk = "127.0.0.1:${listen}"
upstream = "127.0.0.1:${back}"
[upstream]
target = "127.0.0.1:${sink}"
[log]
level = "error"
[agreements.a]
header = "X-Auth"
group = "bench"
algorithm = "sha256"
request = "$si:$fu:$ru:$hdr(CSeq)"
[trunks.t]
sources = ["127.0.0.1"]
target = "127.0.0.1:25090"
agreement = "a"
`,
    )
    command = [process.execPath, join(here, '../dist/cli/main.js'), 'run', '--config', join(run, 'edge.toml')]
  }
  const child = spawn('taskset', ['-c', '0', ...command], { stdio: 'ignore' })
  await new Promise((wake) => setTimeout(wake, 1500))
  if (child.exitCode !== null || child.pid === undefined) throw new Error(`${who} did not start`)
  return { child, pid: worker(child.pid, who) }
}

/** @param {string[]} words */
function send(...words) {
  const { stdout, stderr, status } = spawnSync('taskset', ['-c', '1', load, '-p', poolFile, ...words], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** @param {'auth-xkeys' | 'kamailio'} who @param {(listen: number, sink: number, pid: number) => any} use */
async function withServer(who, use) {
  const [listen = 0, back = 0, sink = 0] = await freePorts(3)
  const { child, pid } = await start(who, listen, back, sink)
  try {
    return await use(listen, sink, pid)
  } finally {
    child.kill('SIGTERM')
    await Promise.race([once(child, 'exit'), new Promise((wake) => setTimeout(wake, 7000))])
    child.kill('SIGKILL')
  }
}

/** @param {'auth-xkeys' | 'kamailio'} who */
const saturate = (who) =>
  withServer(who, (listen, sink, pid) => {
    send('-m', 'flood', '-q', '200000', '-t', String(listen), '-n', '60000', '-s', String(sink))
    const before = cpuSeconds(pid)
    const result = send(
      '-m',
      'flood',
      '-q',
      '200000',
      '-t',
      String(listen),
      '-n',
      String(MESSAGES),
      '-s',
      String(sink),
    )
    return { ...result, cpu_us: ((cpuSeconds(pid) - before) / MESSAGES) * 1e6 }
  })

/** @param {'auth-xkeys' | 'kamailio'} who @param {number} rate */
const pace = (who, rate) =>
  withServer(who, (listen, sink) => {
    send('-m', 'flood', '-q', '200000', '-t', String(listen), '-n', '60000', '-s', String(sink))
    return send(
      '-m',
      'pace',
      '-t',
      String(listen),
      '-n',
      String(Math.min(2000 * Math.ceil((rate * 5) / 2000), 400_000)),
      '-R',
      String(rate),
      '-s',
      String(sink),
    )
  })

build()
const pairs = []
try {
  for (let pair = 0; pair < PAIRS; pair++) {
    const ours = await saturate('auth-xkeys')
    const theirs = await saturate('kamailio')
    const rate = Math.floor(Math.min(ours.msg_per_s, theirs.msg_per_s) / 2)
    const latency = { ours: await pace('auth-xkeys', rate), theirs: await pace('kamailio', rate) }
    pairs.push({ ours, theirs, latency })
    process.stderr.write(
      `pair ${pair + 1}: ${ours.msg_per_s.toFixed(0)} : ${theirs.msg_per_s.toFixed(0)} messages/s = ${(ours.msg_per_s / theirs.msg_per_s).toFixed(2)}, ` +
        `CPU ${ours.cpu_us.toFixed(2)} : ${theirs.cpu_us.toFixed(2)} µs, p99 at ${rate}/s ${latency.ours.p99_us} : ${latency.theirs.p99_us} µs, ` +
        `sink ${ours.sink}/${ours.sent} : ${theirs.sink}/${theirs.sent}\n`,
    )
  }
  const ratio = pairs.map(({ ours, theirs }) => ours.msg_per_s / theirs.msg_per_s)
  const cpu = pairs.map(({ ours, theirs }) => ours.cpu_us / theirs.cpu_us)
  const result = {
    question: 'edge',
    ...provenance(),
    pairs,
  }
  if (process.env['BENCH_KEEP'] !== 'no')
    writeFileSync(join(here, 'results/edge.json'), `${JSON.stringify(result)}\n`)
  process.stdout.write(
    `messages/s, ours : Kamailio, median of ${PAIRS} pairs: ${median(ratio).toFixed(2)} (${quantile(ratio, 0).toFixed(2)}–${quantile(ratio, 1).toFixed(2)}); ` +
      `CPU per message ${median(cpu).toFixed(2)} of Kamailio's\n`,
  )
} finally {
  rmSync(folder, { recursive: true })
}
