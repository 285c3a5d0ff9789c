// @ts-check
/**
 * `npm run bench:sip-soak`: memory after many calls (INVITE, 200, ACK, BYE, 200), then after as many requests
 * that the app never answers; the adapter and the package `sip` alone, each in a process of its own, side by side over
 * loopback. Raw results to bench/results/soak.
 */
import { fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { provenance } from './provenance.mjs'
import {
  createPipeline,
  createSigner,
  createVerifier,
  defineAgreement,
  editHeaders,
  parseKeyring,
  parseMessage,
  verifyPeer,
} from 'auth-xkeys'

const CALLS = Number(process.env['BENCH_CALLS'] ?? 100_000)
const UNANSWERED = Number(process.env['BENCH_UNANSWERED'] ?? 20_000)
/** Calls a second: with 32 s that a transaction lives for, this decides how many there are at once. */
const RATE = Number(process.env['BENCH_RATE'] ?? 800)
/** Until the transactions of the last call are over, milliseconds. */
const EXPIRED = 40_000

const keyring = parseKeyring(
  '[[groups.g.keys]]\nname = "k"\nvalue = "xks_bench-0000-0123456789abcdefghijklmnop"\n',
)
const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'g',
  algorithm: 'hmac-sha256',
  request: '$rm:$fu:$ci',
  response: '$rs:$fu:$ci',
})

const signer = createSigner({ agreement, keyring })

/** Bytes for people. @param {number} bytes */
const mib = (bytes) => (bytes / 2 ** 20).toFixed(1)

/** @param {string} kind @param {number} port */
async function app(kind, port) {
  const sip = createRequire(import.meta.url)('sip')
  const options = { address: '127.0.0.1', port, tcp: false }
  const handler = (/** @type {any} */ request) => {
    if (request.method !== 'ACK' && request.method !== 'MESSAGE')
      stack.send(sip.makeResponse(request, 200, 'OK'))
  }
  /** @type {any} */
  let stack
  if (kind === 'sip') stack = sip.create(options, handler)
  else {
    const { createSip } = await import('auth-xkeys/sip')
    const pipeline = createPipeline([
      verifyPeer({ peer: 'p', verifier: createVerifier({ agreement, keyring }) }),
    ])
    const signers = [{ target: ['127.0.0.1'], signer }]
    stack = createSip({ ...options, pipeline, signers, limits: { transactions: 500_000 } }, handler)
    await stack.ready
  }
  process.on('message', () => {
    globalThis.gc?.()
    const { heapUsed, rss } = process.memoryUsage()
    process.send?.({ heap: heapUsed, rss, cpu: process.cpuUsage() })
  })
  process.send?.('ready')
}

/** @param {string} method @param {number} call @param {number} port */
function request(method, call, port) {
  const bytes = Buffer.from(
    [
      `${method} sip:bob@biloxi.example SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${method}${call};rport`,
      'Max-Forwards: 70',
      `From: <sip:alice${call % 1000}@atlanta.example>;tag=t${call}`,
      `To: <sip:bob@biloxi.example>${method === 'INVITE' ? '' : ';tag=app'}`,
      `Call-ID: ${call}@atlanta.example`,
      `CSeq: ${method === 'BYE' ? 2 : 1} ${method}`,
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  )
  const parsed = parseMessage(bytes)
  if (!parsed.ok) throw new Error(parsed.reason)
  const at = { address: '127.0.0.1', port: 5060 }
  const signed = signer.sign({ message: parsed.message, transport: 'udp', source: at, local: at })
  if (!signed.ok) throw new Error(signed.reason)
  return editHeaders(bytes, { add: [[signed.header, signed.token]] })
}

/** @param {string} kind */
async function soak(kind) {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 }).bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const probe = createSocket('udp4').bind(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  await new Promise((done) => probe.close(() => done(undefined)))
  const child = fork(fileURLToPath(import.meta.url), [kind, String(port)], { execArgv: ['--expose-gc'] })
  await once(child, 'message')
  const memory = async () => {
    child.send('memory')
    const [{ heap, rss, cpu }] = await once(child, 'message')
    return { heap, rss, cpu }
  }
  let answered = 0
  socket.on('message', (bytes) => {
    if (bytes.toString('latin1', 8, 11) === '200') answered++
  })
  /** @param {number} count @param {(i: number) => void} send */
  const paced = async (count, send) => {
    const start = performance.now()
    for (let i = 0; i < count; i++) {
      send(i)
      // Evenly: the package's socket holds less than a hundred datagrams.
      const ahead = (i / RATE) * 1000 - (performance.now() - start)
      if (ahead > 1) await sleep(ahead)
    }
  }
  const own = socket.address().port
  const fire = (/** @type {string} */ method, /** @type {number} */ call) =>
    socket.send(request(method, call, own), port, '127.0.0.1')
  const before = await memory()
  await paced(CALLS, (call) => {
    fire('INVITE', call)
    fire('ACK', call)
    fire('BYE', call)
  })
  await sleep(1000)
  const during = await memory()
  await sleep(EXPIRED)
  const after = await memory()
  await paced(UNANSWERED, (call) => fire('MESSAGE', call))
  await sleep(EXPIRED)
  const unanswered = await memory()
  child.kill()
  socket.close()
  return {
    kind,
    calls: CALLS,
    rate: RATE,
    answered,
    expected: 2 * CALLS,
    unansweredRequests: UNANSWERED,
    before,
    during,
    after,
    unanswered,
  }
}

const [kind, port] = process.argv.slice(2)
if (kind !== undefined) await app(kind, Number(port))
else {
  const results = await Promise.all([soak('auth-xkeys/sip'), soak('sip')])
  const here = fileURLToPath(new URL('.', import.meta.url))
  mkdirSync(`${here}results/soak`, { recursive: true })
  const result = { question: 'adapter-sip-soak', ...provenance(), results }
  writeFileSync(`${here}results/soak/adapter-sip.json`, `${JSON.stringify(result)}\n`)
  for (const one of results) {
    const heaps = [one.before, one.during, one.after, one.unanswered].map(({ heap }) => mib(heap)).join(' → ')
    process.stdout.write(
      `${one.kind}: ${one.answered}/${one.expected} answers; heap MiB before, during, after, after unanswered: ${heaps}\n`,
    )
  }
}
