/**
 * Real programs as peers of a test: finding them, running them on loopback, leaving nothing of them behind.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { Endpoint } from '../../src/message/types.ts'

export type Program =
  | 'kamailio'
  | 'sipp'
  | 'openssl'
  | 'redis-server'
  | 'mariadbd'
  | 'mariadb-install-db'
  | 'postgres'
  | 'initdb'
  | 'script'

/** Servers live where the PATH of an ordinary user does not lead. */
const ALSO = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', ...postgresFolders()]

/** Debian keeps each version of PostgreSQL in a folder of its own. */
function postgresFolders(): readonly string[] {
  const versions = '/usr/lib/postgresql'
  return existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []
}

function findExecutable(name: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...ALSO]) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // The next folder.
    }
  }
  return undefined
}

/** Path of a program that is there. */
export function programPath(name: Program): string {
  const path = findExecutable(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  return path
}

/**
 * A suite that needs real programs. Where one is missing, its tests are skipped with the reason in the title, or, with
 * `PEERS=required` in the environment, fail.
 */
export function describePeers(title: string, programs: readonly Program[], define: () => void): void {
  const missing = programs.filter((name) => findExecutable(name) === undefined)
  const reason = `${missing.join(' and ')} not installed`
  /* eslint-disable vitest/valid-title, vitest/valid-describe-callback, vitest/no-conditional-tests -- a wrapper: titles and bodies are its callers' */
  if (missing.length === 0) {
    describe(title, define)
  } else if (process.env['PEERS'] === 'required') {
    describe(title, () => {
      it('has its peers', () => expect.fail(`PEERS=required, but ${reason}`))
    })
  } else {
    console.log(`${title}: skipped, ${reason}`)
    describe.skipIf(true)(`${title} [skipped: ${reason}]`, define)
  }
  /* eslint-enable */
}

// ── folders and ports ──

const folders = new Set<string>()

/** A folder that is gone when the file's tests are over, if not before. */
export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'xkeys-peers-'))
  folders.add(path)
  return path
}

function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true })
  folders.delete(path)
}

const FIRST_PORT = 26_300
const PORTS_PER_PROCESS = 100
const BLOCKS = 37
/** Test files run side by side, and so may whole runs: each process holds the first port of a block of its own. */
let block: Promise<number> | undefined
let nextPort = 0

async function claimBlock(): Promise<number> {
  for (let tried = 0; tried < BLOCKS; tried++) {
    const port = FIRST_PORT + ((process.pid + tried) % BLOCKS) * PORTS_PER_PROCESS
    const holder = createSocket('udp4')
    const held = await new Promise<boolean>((resolve) => {
      holder.once('error', () => resolve(false))
      holder.bind({ port, address: '0.0.0.0', exclusive: true }, () => resolve(true))
    })
    holder.unref()
    if (held) return port + 1
  }
  throw new Error(`no free block of ports from ${FIRST_PORT} on`)
}

/** Ports that are free for UDP on every loopback address, from 26300 to 29999. */
export async function freePorts(count: number): Promise<number[]> {
  const first = await (block ??= claimBlock())
  const size = PORTS_PER_PROCESS - 1
  const ports: number[] = []
  for (let tried = 0; ports.length < count && tried < 3 * size; tried++) {
    const port = first + nextPort
    nextPort = (nextPort + 1) % size
    if (!ports.includes(port) && (await isFree({ address: '0.0.0.0', port }))) ports.push(port)
  }
  if (ports.length < count) throw new Error(`no ${count} free ports from ${first} on`)
  return ports
}

/** Whether nobody listens there for UDP. */
export function isFree({ address, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => resolve(false))
    socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(true)))
  })
}

// ── processes ──

/** A program that runs. */
export interface Running {
  /** What it wrote so far, both streams. */
  output(): string
  /** Its exit code, once it ends by itself; null where a signal ended it. */
  readonly ended: Promise<number | null>
  /** Ends its whole process group. Safe to call twice. */
  stop(): Promise<void>
}

const running = new Map<ChildProcess, Running>()

/** Of every file that imports this: whatever it started ends with it. */
afterAll(async () => {
  await Promise.all(Array.from(running.values(), (program) => program.stop()))
  for (const path of folders) removeFolder(path)
})

/** The last resort where a file does not come to its end. */
process.once('exit', () => {
  for (const child of running.keys()) killGroup(child, 'SIGKILL')
  for (const path of folders) removeFolder(path)
})

/** Longest life of a program, seconds: it ends even where the test's own process is killed. */
const LIFETIME = Number(process.env['PEERS_LIFETIME'] ?? 240)
const watchdog = findExecutable('timeout')

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // The group is gone.
  }
}

/** Starts a program as a process group of its own. */
export function start(command: string, args: readonly string[], cwd?: string): Running {
  const [path, all] =
    watchdog === undefined
      ? [command, args]
      : [watchdog, ['--kill-after=2', String(LIFETIME), command, ...args]]
  const child = spawn(path, all, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  const collect = (chunk: Buffer): void => {
    text += chunk.toString('latin1')
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  child.on('error', (error) => {
    text += `${command}: ${error.message}\n`
  })
  // `close` and not `exit`: by then all that it wrote has been read.
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  const program: Running = {
    output: () => text,
    ended,
    async stop() {
      if (!running.has(child)) return
      killGroup(child, 'SIGTERM')
      await Promise.race([ended, sleep(2000, undefined, { ref: false })])
      killGroup(child, 'SIGKILL')
      await ended
    },
  }
  running.set(child, program)
  return program
}

/** Waits until `isReady`; throws with the program's output where it ends before, or takes more than 10 seconds. */
export async function waitUntil(program: Running, isReady: () => boolean | Promise<boolean>): Promise<void> {
  const ended = program.ended.then(() => 'ended')
  for (const until = Date.now() + 10_000; Date.now() < until;) {
    if (await isReady()) return
    if ((await Promise.race([ended, sleep(20, 'runs')])) === 'ended') break
  }
  const output = program.output()
  await program.stop()
  throw new Error(`it did not start:\n${output}`)
}

// ── Kamailio ──

/**
 * Starts Kamailio with a configuration and waits until it answers. The configuration must answer a request without
 * hops left, which goes to its first `listen`.
 */
export async function startKamailio(config: string): Promise<Running> {
  const folder = tempFolder()
  const file = join(folder, 'kamailio.cfg')
  writeFileSync(file, config)
  const [, address = '', port = ''] = /^listen=udp:([\d.]+):(\d+)/m.exec(config) ?? []
  const kamailio = start(
    programPath('kamailio'),
    // One worker, no TCP, log to standard error: by option, so that a configuration runs as it is written.
    [
      ['-f', file, '-DD', '-E', '-T', '-n', '1', '-x', 'fm', '-X', 'fm', '-m', '64', '-M', '8'],
      ['-P', join(folder, 'kamailio.pid'), '-Y', folder],
    ].flat(),
    folder,
  )
  const stop = async (): Promise<void> => {
    await kamailio.stop()
    removeFolder(folder)
  }
  try {
    await waitUntil(kamailio, () => answers({ address, port: Number(port) }))
  } catch (error) {
    await stop()
    throw error
  }
  return { ...kamailio, stop }
}

/** Whether a SIP element answers, within 100 ms, an OPTIONS that may go no further. */
async function answers(to: Endpoint): Promise<boolean> {
  const socket = createSocket('udp4')
  try {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const { port } = socket.address()
    const lines = [
      `OPTIONS sip:probe@${to.address}:${to.port} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKprobe${port};rport`,
      'Max-Forwards: 0',
      'From: <sip:probe@127.0.0.1>;tag=probe',
      `To: <sip:probe@${to.address}>`,
      `Call-ID: probe-${port}`,
      'CSeq: 1 OPTIONS',
      'Content-Length: 0',
    ]
    const answer = once(socket, 'message').then(() => true)
    socket.send(`${lines.join('\r\n')}\r\n\r\n`, to.port, to.address)
    return await Promise.race([answer, sleep(100, false)])
  } finally {
    socket.close()
  }
}
