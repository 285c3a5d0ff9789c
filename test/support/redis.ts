/**
 * Real Redis servers on loopback, empty and without a disk, gone when the file's tests are over.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll } from 'vitest'
import { programPath, start, tempFolder, waitUntil, type Running } from './peers.ts'

/** How a server is started. */
export interface RedisServerOptions {
  readonly password?: string
  /** With TLS on its port, instead of plain TCP. */
  readonly tls?: TlsFiles
  /** Further words of its command line. */
  readonly args?: readonly string[]
}

/** A server that runs. */
export interface RedisServer {
  readonly port: number
  /** With the password where there is one. */
  readonly url: string
  readonly socket: string
  /** A client for what a test does behind the back of what is tested; closed with the server's file. */
  readonly client: () => Redis
  /** Ends it; safe to call twice. */
  stop(): Promise<void>
  /** Starts it anew on its port, empty. */
  restart(): Promise<void>
}

/** A certificate of its own for 127.0.0.1. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  /** The certificate, as text. */
  readonly ca: string
}

const clients = new Set<Redis>()
afterAll(() => {
  for (const client of clients) client.disconnect()
})

/** Makes a certificate. */
export function makeTlsFiles(): TlsFiles {
  const folder = tempFolder()
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert]
  execFileSync(programPath('openssl'), [...made, ...subject], { stdio: 'ignore' })
  return { cert, key, ca: readFileSync(cert, 'utf8') }
}

/** Starts a server and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { password, tls, args = [] } = options
  const folder = tempFolder()
  const socket = join(folder, 'redis.sock')
  const port = await freeTcpPort()
  const listening = tls
    ? ['--port', '0', '--tls-port', String(port), '--tls-cert-file', tls.cert, '--tls-key-file', tls.key]
    : ['--port', String(port)]
  const words = [
    ['--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', '--unixsocket', socket],
    listening,
    tls ? ['--tls-ca-cert-file', tls.cert, '--tls-auth-clients', 'no'] : [],
    password === undefined ? [] : ['--requirepass', password],
    args,
  ].flat()
  const ofTest = { ...(password !== undefined && { password }), retryStrategy: () => 50 }

  let program: Running
  async function run(): Promise<void> {
    program = start(programPath('redis-server'), words, folder)
    await waitUntil(program, () => program.output().includes('Ready to accept connections'))
  }

  await run()
  return {
    port,
    socket,
    url: `${tls ? 'rediss' : 'redis'}://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}/0`,
    client() {
      const client = new Redis({ ...ofTest, path: socket })
      client.on('error', () => {})
      clients.add(client)
      return client
    },
    stop: () => program.stop(),
    restart: run,
  }
}

/** Starts a sentinel that watches a server under the name `main`. */
export async function startSentinel(watched: RedisServer): Promise<{ readonly port: number }> {
  const folder = tempFolder()
  const port = await freeTcpPort()
  const file = join(folder, 'sentinel.conf')
  writeFileSync(
    file,
    `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsentinel monitor main 127.0.0.1 ${watched.port} 1\n`,
  )
  const program = start(programPath('redis-server'), [file, '--sentinel'], folder)
  await waitUntil(program, () => program.output().includes('+monitor master'))
  return { port }
}

/** Starts a Cluster of three masters and waits until it serves; its nodes as `host:port`. */
export async function startCluster(): Promise<readonly string[]> {
  const servers = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const bus = await freeTcpPort()
      const args = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(bus),
        '--cluster-node-timeout',
        '5000',
      ]
      return { bus, server: await startRedis({ args }) }
    }),
  )
  const clients = servers.map(({ server }) => server.client())
  const slots = [0, 5461, 10_923, 16_384] as const
  for (const [i, client] of clients.entries()) {
    await client.call('CLUSTER', 'ADDSLOTSRANGE', `${slots[i]}`, `${slots[i + 1]! - 1}`)
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`)
  }
  for (const { bus, server } of servers.slice(1))
    await clients[0]!.call('CLUSTER', 'MEET', '127.0.0.1', `${server.port}`, `${bus}`)
  for (const client of clients) {
    const serves = async (): Promise<boolean> => {
      const info = String(await client.call('CLUSTER', 'INFO'))
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')
    }
    while (!(await serves())) await new Promise((next) => setTimeout(next, 50))
  }
  return servers.map(({ server }) => `127.0.0.1:${server.port}`)
}

/** A way to a server that can be held up: then it takes what comes, and nothing goes on. */
export interface Proxy {
  readonly port: number
  stall(): void
  /** What was held up goes on. */
  resume(): void
  /** Cuts every connection; new ones are taken. */
  cut(): void
  close(): void
}

/** Opens a proxy to a port of this host, at a free port of `address`; gone with the file's tests. */
export async function openProxy(to: number, address = '127.0.0.1'): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let stalled = false
  const server = createServer((near) => {
    const far = createConnection({ port: to, host: '127.0.0.1' })
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      if (stalled) from.pause()
      from.on('data', (chunk) => into.write(chunk))
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        into.destroy()
      })
    }
  })
  await new Promise<void>((done) => {
    server.listen(0, address, done)
  })
  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    stall() {
      stalled = true
      for (const socket of sockets) socket.pause()
    },
    resume() {
      stalled = false
      for (const socket of sockets) socket.resume()
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    close() {
      server.close()
      proxy.cut()
    },
  }
  proxies.add(proxy)
  return proxy
}

const proxies = new Set<Proxy>()
afterAll(() => {
  for (const proxy of proxies) proxy.close()
})

/** A port that is free for TCP on 127.0.0.1. */
export async function freeTcpPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((done) => {
    server.close(done)
  })
  return port
}
