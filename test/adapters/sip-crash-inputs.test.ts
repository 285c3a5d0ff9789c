/**
 * One app, twice: on the package `sip` as it comes, and on the adapter. Every input goes to both, signed, so that it is not
 * the missing token that saves ours.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { defineAgreement } from '../../src/xkeys/agreement.ts'
import { bytesOf, type Parts } from '../support/messages.ts'
import { signedBytes } from '../support/signed-messages.ts'
import { freePorts } from '../support/peers.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'
import { tcpEnd, type TcpEnd } from './sip-rig.ts'

const APP = fileURLToPath(new URL('./sip-app.mjs', import.meta.url))
const ADDRESS = '127.0.0.2'
const KINDS = ['stock', 'ours'] as const
type Kind = (typeof KINDS)[number]

const keyring = createKeyring([
  ['g', [createKey({ name: 'k', secret: 'xks_side-by-side-0123456789-abcdefghijklmnop' })]],
])
const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'g',
  algorithm: 'hmac-sha256',
  request: '$rm:$ci',
})

interface App {
  readonly kind: Kind
  readonly peer: UdpPeer
  readonly port: number
  /** Exit code once it ends. */
  readonly ended: Promise<string>
  /** What the app told: `smuggled`, `logged`. */
  readonly told: readonly Record<string, unknown>[]
  send(bytes: Buffer): Promise<void>
  /** `answers`, or how the process ended. */
  alive(): Promise<string>
  /** CPU time so far, microseconds. */
  cpu(): Promise<number>
  connect(): Promise<TcpEnd>
}

let probes = 0

async function startApp(kind: Kind): Promise<App> {
  const [peer, port] = await Promise.all([openPeer(), freePorts(1).then(([one]) => one!)])
  const child: ChildProcess = fork(APP, [kind, String(port), peer.at], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let errors = ''
  child.stderr!.on('data', (text) => (errors += text))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await peer.close()
  })
  const told: Record<string, unknown>[] = []
  child.on('message', (message: Record<string, unknown>) => told.push(message))
  const ended = once(child, 'exit').then(([code]) => `exit ${String(code)}`)
  const ready = once(child, 'message')
  const began = await Promise.race([ready.then(() => 'ready'), ended])
  if (began !== 'ready') throw new Error(`${kind} did not start, ${began}: ${errors}`)
  const to = { address: ADDRESS, port }
  return {
    kind,
    peer,
    port,
    ended,
    told,
    send: (bytes) => peer.send(bytes, to),
    async alive() {
      const id = `probe-${++probes}`
      const Via = `SIP/2.0/UDP ${peer.at};branch=z9hG4bK-${id};rport`
      const probe = requestOf('OPTIONS', { with: { Via, 'Call-ID': id } })
      const answered = async (): Promise<string> => {
        // A socket's queue is short while the process is busy, so a probe may be lost.
        for (let tried = 0; tried < 4 && child.exitCode === null; tried++) {
          await peer.send(probe, to)
          try {
            while (!(await peer.receive()).text.includes(`Call-ID: ${id}`));
            return 'answers'
          } catch {
            // Nothing for five seconds: once more.
          }
        }
        return 'silent'
      }
      return Promise.race([answered(), ended])
    },
    async cpu() {
      child.send('cpu')
      for (;;) {
        const [message] = (await once(child, 'message')) as [{ cpu?: number }]
        if (message.cpu !== undefined) return message.cpu
      }
    },
    async connect() {
      const socket = connect(port, ADDRESS)
      await once(socket, 'connect')
      return tcpEnd(socket)
    },
  }
}

/** A request with its token, however malformed the rest is: the token covers method and Call-ID alone. */
function requestOf(method: string, parts: Parts = {}): Buffer {
  const start = parts.start ?? `${method} sip:bob@127.0.0.1:9 SIP/2.0`
  const callId = parts.with?.['Call-ID'] ?? 'call-1'
  const headers = { 'Call-ID': callId, CSeq: `1 ${method}` }
  const plain = bytesOf({ start: `${method} sip:bob@127.0.0.1 SIP/2.0`, with: headers })
  const signed = signedBytes(plain, agreement, {}, keyring)
  const token = /^X-Auth: .*$/m.exec(signed.toString('latin1'))![0].trimEnd()
  const Via = 'SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK-x;rport'
  return bytesOf({
    ...parts,
    start,
    with: { Via, ...headers, ...parts.with },
    add: [token, ...(parts.add ?? [])],
  })
}

describe('what ends the stock process', () => {
  it.each<[string, string, Parts]>([
    ['S01 a Request-URI with port 99999', 'INVITE', { start: 'INVITE sip:a@127.0.0.1:99999 SIP/2.0' }],
    ['S02 Route with tel:', 'INVITE', { add: ['Route: <sip:127.0.0.1:9;lr>, <tel:+1;lr>'] }],
    ['S02 Record-Route with an IPv6 literal', 'INVITE', { add: ['Record-Route: <sip:[2001:db8::1];lr>'] }],
    ['S02 Path with an empty parameter', 'INVITE', { add: ['Path: <sip:a;x=;lr>'] }],
    ['S03 tel: behind an await', 'MESSAGE', { start: 'MESSAGE tel:+1 SIP/2.0' }],
    ['S03 an IPv6 literal behind an await', 'MESSAGE', { start: 'MESSAGE sip:[::1] SIP/2.0' }],
    [
      'S05 a nonce that is not ours, with the digest of the package',
      'REGISTER',
      {
        add: [
          `Authorization: Digest username="a", realm="b", nonce="${Buffer.from('x;y').toString('base64')}"`,
        ],
      },
    ],
    ['S06 no Contact where a hook reads it', 'NOTIFY', {}],
  ])('%s', async (_what, method, parts) => {
    const [stock, ours] = await Promise.all(KINDS.map(startApp))
    const bytes = requestOf(method, parts)
    await Promise.all([stock!.send(bytes), ours!.send(bytes)])
    expect({ stock: await stock!.ended, ours: await ours!.alive() }).toEqual({
      stock: 'exit 1',
      ours: 'answers',
    })
  })
})

/** How many times the work of ours the stock package must have done; the figures behind it are hundreds and more. */
const FACTOR = 10

describe('what stalls the stock process', () => {
  it.each<[string, Buffer]>([
    ['S10 From: < and spaces', requestOf('OPTIONS', { with: { From: `<${' '.repeat(1200)}` } })],
    ['S10 Contact: < and spaces', requestOf('OPTIONS', { add: [`Contact: <${' '.repeat(1200)}`] })],
    ['S11 line feeds', Buffer.alloc(32_000, '\n')],
    ['S11 spaces', Buffer.alloc(65_000, ' ')],
    ['S12 From and spaces', requestOf('OPTIONS', { with: { From: `a${' '.repeat(30_000)}` } })],
    ['S12 Via and spaces', requestOf('OPTIONS', { add: [`Via: SIP/2.0/UDP a${' '.repeat(30_000)}`] })],
    ['S13 Authorization: letters', requestOf('OPTIONS', { add: [`Authorization: ${'a'.repeat(32_000)}`] })],
    [
      'S13 Authorization: Digest and letters',
      requestOf('OPTIONS', { add: [`Authorization: Digest ${'a'.repeat(32_000)}`] }),
    ],
    ['S14 Route and commas', requestOf('OPTIONS', { add: [`Route: ${'a ,'.repeat(20_000)}a`] })],
  ])('%s', async (_what, bytes) => {
    const [stock, ours] = await Promise.all(
      KINDS.map(async (kind) => {
        const app = await startApp(kind)
        // Once before, so that what is measured is not the first use of code.
        await app.alive()
        const before = await app.cpu()
        await app.send(bytes)
        expect(await app.alive()).toBe('answers')
        return (await app.cpu()) - before
      }),
    )
    expect(stock).toBeGreaterThan(FACTOR * ours!)
  })

  it('S15 white space on TCP in small chunks', async () => {
    const [stock, ours] = await Promise.all(
      KINDS.map(async (kind) => {
        const app = await startApp(kind)
        await app.alive()
        const before = await app.cpu()
        const end = await app.connect()
        end.socket.setNoDelay(true)
        for (let sent = 0; sent < 36_000; sent += 100) {
          end.send(' '.repeat(100))
          await sleep(1)
        }
        // Answered by one, and the end of the connection for the other: either way all before it has been dealt with.
        end.send(requestOf('OPTIONS', { add: ['Content-Length: 0'] }))
        await Promise.race([end.receive(), end.rest()])
        return (await app.cpu()) - before
      }),
    )
    expect(stock).toBeGreaterThan(FACTOR * ours!)
  })
})

const both = async <T>(use: (app: App) => Promise<T>): Promise<{ stock: T; ours: T }> => {
  const [stock, ours] = await Promise.all(KINDS.map(async (kind) => use(await startApp(kind))))
  return { stock: stock!, ours: ours! }
}

const options = (length: string | null, body = ''): Buffer =>
  requestOf('OPTIONS', {
    with: { Via: 'SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-tcp' },
    add: length === null ? [] : [`Content-Length: ${length}`],
    body,
  })

/** What ours does is awaited; that the stock package does nothing is seen after it has done other things. */
async function outcome(app: App, bytes: Buffer): Promise<string> {
  const end = await app.connect()
  end.send(bytes)
  const closed = end.rest().then((text) => `${/^SIP\/2.0 (\d+)/.exec(text)?.[1] ?? 'nothing'}, closed`)
  if (app.kind === 'ours') return closed
  const other = await app.connect()
  other.send(requestOf('OPTIONS', { with: { 'Call-ID': 'other' }, add: ['Content-Length: 0'] }))
  await other.receive()
  return Promise.race([closed, app.alive().then(() => 'open')])
}

describe('streams', () => {
  it.each<[string, Buffer, string]>([
    ['S20 Content-Length: abc', options('abc', 'x'), '400, closed'],
    ['S21 0x5', options('0x5', 'hello'), '400, closed'],
    ['S21 2.5', options('2.5', 'hello'), '400, closed'],
    ['S21 -5', options('-5', 'hello'), '400, closed'],
    ['S21 no Content-Length', options(null), '400, closed'],
    ['a start line that is none', Buffer.from('hello\r\nContent-Length: 0\r\n\r\n'), 'nothing, closed'],
  ])('%s: the stock package keeps the connection', async (_what, bytes, ours) => {
    expect(await both((app) => outcome(app, bytes))).toEqual({ stock: 'open', ours })
  })

  it('S07 a forward to a port where nobody listens harms neither', async () => {
    const alive = await both(async (app) => {
      for (const id of ['a', 'b', 'c']) await app.send(requestOf('INVITE', { with: { 'Call-ID': id } }))
      return app.alive()
    })
    expect(alive).toEqual({ stock: 'answers', ours: 'answers' })
  })

  it('S08 a connection that is reset in mid message harms neither', async () => {
    const alive = await both(async (app) => {
      const end = await app.connect()
      end.send(options('100', 'half'))
      end.socket.resetAndDestroy()
      return app.alive()
    })
    expect(alive).toEqual({ stock: 'answers', ours: 'answers' })
  })

  it('S24 the body of a message that is none is a message for the stock package alone', async () => {
    const smuggled = requestOf('INFO', {
      with: { Via: 'SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK-s' },
      add: ['Content-Length: 0'],
    })
    const carrier = Buffer.from(
      `bad line\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled.toString('latin1')}`,
      'latin1',
    )
    const told = await both(async (app) => {
      const end = await app.connect()
      end.send(carrier)
      const smuggled = (): boolean => app.told.some((message) => 'smuggled' in message)
      if (app.kind === 'ours') await end.rest()
      else while (!smuggled()) await sleep(10)
      await app.alive()
      return smuggled()
    })
    expect(told).toEqual({ stock: true, ours: false })
  })

  it('S28 small messages in one chunk are a flood for the stock package alone', async () => {
    const one = options('0')
    const many = Buffer.concat(Array.from({ length: 250 }, () => one))
    expect(many.length).toBeGreaterThan(60_480)
    const answered = await both(async (app) => {
      const end = await app.connect()
      end.send(many)
      try {
        for (let i = 0; i < 250; i++) await end.receive()
        return 'all answered'
      } catch {
        return 'closed'
      }
    })
    expect(answered.ours).toBe('all answered')
  })
})

describe('datagrams that two parsers read in two ways', () => {
  async function answers(bytes: Buffer): Promise<Record<Kind, string>> {
    const [stock, ours] = await Promise.all(
      KINDS.map(async (kind) => {
        const app = await startApp(kind)
        await app.send(bytes)
        // Whatever the first one brought is there before the answer to the second.
        await app.send(
          requestOf('OPTIONS', { with: { Via: 'SIP/2.0/UDP a;branch=z9hG4bK-e;rport', 'Call-ID': 'end' } }),
        )
        const { text } = await app.peer.receive()
        if (text.includes('Call-ID: end')) return 'nothing'
        const header = (name: string): string => new RegExp(`^${name}: (.*)\r$`, 'im').exec(text)?.[1] ?? ''
        return `${text.slice(8, 11)} ${header('X-Content')} ${header('X-From')}`.trim()
      }),
    )
    return { stock: stock!, ours: ours! }
  }

  it.each<[string, Buffer, Record<Kind, string>]>([
    [
      'S22 bytes past Content-Length: 0',
      requestOf('OPTIONS', { add: ['Content-Length: 0'], body: 'smuggled' }),
      { stock: '200 smuggled sip:alice@atlanta.example', ours: '200  sip:alice@atlanta.example' },
    ],
    [
      'S23 a Content-Length that the datagram does not hold',
      requestOf('OPTIONS', { add: ['Content-Length: 9'], body: 'short' }),
      { stock: '200 short sip:alice@atlanta.example', ours: '400' },
    ],
    [
      'S40 two From',
      requestOf('OPTIONS', { add: ['From: <sip:eve@evil.example>;tag=1'] }),
      { stock: '200  sip:eve@evil.example', ours: 'nothing' },
    ],
    [
      'S42 a line feed inside of a value',
      requestOf('OPTIONS', { add: ['X-A: 1\nFrom: <sip:eve@evil.example>;tag=1'] }),
      { stock: '200  sip:alice@atlanta.example', ours: 'nothing' },
    ],
    [
      'S43 words behind the version',
      requestOf('OPTIONS', { start: 'OPTIONS sip:a SIP/2.0 and more' }),
      { stock: '200  sip:alice@atlanta.example', ours: 'nothing' },
    ],
    [
      'S41 a name in percents',
      Buffer.from(
        requestOf('OPTIONS')
          .toString('latin1')
          .replace('\r\nCall-ID', '\r\n%46rom: <sip:eve@evil.example>\r\nCall-ID'),
        'latin1',
      ),
      { stock: '200  sip:eve@evil.example', ours: 'nothing' },
    ],
  ])('%s', async (_what, bytes, expected) => {
    expect(await answers(bytes)).toEqual(expected)
  })
})
