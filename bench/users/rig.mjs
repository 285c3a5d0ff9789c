// @ts-check
/** What the runs with users share: an edge with a trunk and users, its load, what it uses and tells. */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PASSWORD, REALM, userName } from './database.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
export const SECRET = 'bench-shared-secret-0000-Zm9vYmFyYmF6'

/** The server has this core, all else the other. */
export const SERVER_CORE = ['taskset', '-c', '0']
export const OTHER_CORE = ['taskset', '-c', '1']

/** Ports that are free for UDP. @param {number} count */
export async function freePorts(count) {
  const sockets = Array.from({ length: count }, () => createSocket('udp4'))
  const ports = []
  for (const socket of sockets) {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    ports.push(socket.address().port)
  }
  await Promise.all(sockets.map((socket) => new Promise((done) => socket.close(() => done(undefined)))))
  return ports
}

/**
 * @typedef Ports
 * @property {number} listen where everybody sends to
 * @property {number} back the edge's side of the upstream
 * @property {number} upstream
 * @property {number} metrics
 * @property {number} users where users send from
 * @property {number} trunk where the trunk sends from
 */

/** @returns {Promise<Ports>} */
export async function allPorts() {
  const [listen = 0, back = 0, upstream = 0, metrics = 0, users = 0, trunk = 0] = await freePorts(6)
  return { listen, back, upstream, metrics, users, trunk }
}

/** Whoever wants to keep a user out is not stopped by the bans here. */
const FAILURES = 'per_source = 1000000\nper_user = 1000000\ncapacity = 100000\n'

/** A key group. @param {string} group */
const key = (group) => `[[groups.${group}.keys]]\nname = "k"\nvalue = "${SECRET}"\n`

/**
 * Writes what an edge is started with. @param {string} folder exists @param {Ports} ports @param {string} url of the
 * database @param {string} credentials more lines of `[users.credentials]`
 */
export function writeEdge(folder, { listen, back, upstream, metrics, trunk }, url, credentials, users = '') {
  writeFileSync(join(folder, 'keyring.toml'), key('bench') + key('nonces'))
  writeFileSync(join(folder, 'password'), PASSWORD, { mode: 0o600 })
  writeFileSync(
    join(folder, 'edge.toml'),
    `keyring = "keyring.toml"
[listen]
trunk = "127.0.0.1:${listen}"
upstream = "127.0.0.1:${back}"
[upstream]
target = "127.0.0.1:${upstream}"
[metrics]
listen = "127.0.0.1:${metrics}"
[log]
level = "error"
[limits]
refusals_per_second = 100000
drain_timeout = 0
[agreements.a]
header = "X-Auth"
group = "bench"
algorithm = "sha256"
request = "$si:$fu:$ru:$hdr(CSeq)"
[trunks.t]
sources = ["127.0.0.1:${trunk}"]
target = "127.0.0.1:${trunk}"
agreement = "a"
[users]
domains = ["${REALM}"]
${users}
nonce_group = "nonces"
algorithms = ["MD5"]
pending_per_source = 2000
[users.failures]
${FAILURES}[users.claims]
capacity = 1000000
[users.credentials]
source = "${url.replace(`:${PASSWORD}@`, '@')}"
password = "file:password"
${credentials}`,
  )
}

/** @typedef {{ pid: number, output(): string, stop(): Promise<void> }} Server */

/** Runs a program. @param {string[]} command @returns {Server} */
export function run([program = '', ...words]) {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => (output = (output + String(chunk)).slice(-10_000)))
  if (child.pid === undefined) throw new Error(`${program} cannot be started`)
  return {
    pid: child.pid,
    output: () => output,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await Promise.race([ended, sleep(7000)])
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Starts the edge and waits until it serves its metrics. @param {string} folder as `writeEdge` left it @param {Ports} ports */
export async function startEdge(folder, { metrics }) {
  const cli = join(here, '../../dist/cli/main.js')
  const edge = run([...SERVER_CORE, process.execPath, cli, 'run', '--config', join(folder, 'edge.toml')])
  const url = `http://127.0.0.1:${metrics}/metrics`
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(50)) {
    const isReady = await fetch(url).then(
      () => true,
      () => false,
    )
    if (isReady) return { ...edge, url }
  }
  await edge.stop()
  throw new Error(`the edge did not start: ${edge.output()}`)
}

/** Compiles the sender. @param {string} folder */
export function buildLoad(folder) {
  const program = join(folder, 'udpload')
  execFileSync('cc', ['-O2', '-o', program, join(here, '../edge/udpload.c'), '-lcrypto', '-lpthread'])
  return program
}

/** Writes messages for the sender. @param {string} path @param {string[]} messages */
export function writePool(path, messages) {
  const parts = messages.flatMap((text) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(Buffer.byteLength(text))
    return [length, Buffer.from(text)]
  })
  writeFileSync(path, Buffer.concat(parts))
}

/** Runs the sender to its end. @param {string} program @param {(string | number)[]} words @returns {Promise<any>} */
export async function load(program, ...words) {
  const child = spawn('taskset', ['-c', '1', program, ...words.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  const [exit] = await once(child, 'close')
  if (exit !== 0) throw new Error(`the sender ended with ${exit}`)
  return JSON.parse(text)
}

/** The lines of a request before its own. @param {string} method @param {string} uri @param {string} aor @param {number} i @param {number} port */
const head = (method, uri, aor, i, port) => [
  `${method} ${uri} SIP/2.0`,
  `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKp${String(i).padStart(7, '0')};rport`,
  'Max-Forwards: 70',
  `From: <${aor}>;tag=t${i.toString(16).padStart(8, '0')}`,
  `To: <${method === 'REGISTER' ? aor : uri}>`,
  `Call-ID: ${i.toString(16).padStart(8, '0')}-4f2a-11ee-be56-0242ac120002@${REALM}`,
  `CSeq: ${100_000 + i} ${method}`,
  `Contact: <sip:phone@127.0.0.1:${port};transport=udp>`,
]

/** A message that ends. @param {string[]} lines */
const end = (lines) => [...lines, 'Content-Length: 0', '', ''].join('\r\n')

/** A registration of a user. @param {number} i @param {number} port @param {string} name @param {string[]} more */
export const registerText = (i, port, name = userName(0), more = []) =>
  end([...head('REGISTER', `sip:${REALM}`, `sip:${name}@${REALM}`, i, port), 'Expires: 3600', ...more])

/** A call of the one user that the sender is. @param {number} i @param {number} port */
export const callText = (i, port) =>
  end(head('INVITE', `sip:+1555${i}@${REALM}`, `sip:${userName(0)}@${REALM}`, i, port))

/** The same from the trunk, with its token. @param {number} i @param {number} port */
export function trunkText(i, port) {
  const lines = head('INVITE', `sip:+1555${i}@${REALM}`, `sip:${userName(0)}@${REALM}`, i, port)
  const data = `127.0.0.1:sip:${userName(0)}@${REALM}:sip:+1555${i}@${REALM}:${100_000 + i} INVITE`
  return end([...lines, `X-Auth: ${createHash('sha256').update(`${SECRET}:${data}`).digest('hex')}`])
}

/** User and system time of a process and its threads so far, seconds. @param {number} pid */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
