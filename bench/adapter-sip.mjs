// @ts-check
/**
 * What the adapter costs a request and its response, beside what the package `sip` itself spends on them: from the
 * datagram to the handler, and back to the datagram of the 200. Sockets aside: both get one that only counts.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'
import dgram from 'node:dgram'
import { EventEmitter } from 'node:events'
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
import { LOCAL, SOURCE, invite } from './messages.mjs'
import { measure, report } from './measure.mjs'

/** Sockets in the order they were made; `send` counts. @type {any[]} */
const sockets = []
let sent = 0
// @ts-expect-error a stand-in for the one function that both use
dgram.createSocket = (_options, listener) => {
  const socket = new EventEmitter()
  if (listener) socket.on('message', listener)
  sockets.push(socket)
  return Object.assign(socket, {
    bind: (
      /** @type {unknown} */ _port,
      /** @type {unknown} */ _address,
      /** @type {(() => void) | undefined} */ done,
    ) => done?.(),
    address: () => LOCAL,
    send: () => sent++,
    setRecvBufferSize: () => {},
    getRecvBufferSize: () => 0,
    close: (/** @type {(() => void) | undefined} */ done) => done?.(),
  })
}
syncBuiltinESMExports()
const { createSip, makeResponse } = await import('auth-xkeys/sip')
const sip = createRequire(import.meta.url)('sip')

const keyring = parseKeyring(
  '[[groups.g.keys]]\nname = "k"\nvalue = "xks_bench-0000-0123456789abcdefghijklmnop"\n',
)
const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'g',
  algorithm: 'hmac-sha256',
  request: '$si:$fu:$ru:$hdr(CSeq)',
  response: '$rs:$fu:$ci:$hdr(CSeq)',
})
const signer = createSigner({ agreement, keyring })

/**
 * Each one once: a second time it would be a retransmission, which the transaction answers.
 * @param {string} method
 */
function requests(method) {
  const from = /** @type {const} */ ({ transport: 'udp', source: SOURCE, local: LOCAL })
  const pool = Array.from({ length: 60_000 }, (_, i) => {
    const bytes = Buffer.from(
      invite(i).toString('latin1').replaceAll('INVITE ', `${method} `).replace(' INVITE\r', ` ${method}\r`),
      'latin1',
    )
    const parsed = parseMessage(bytes)
    if (!parsed.ok) throw new Error(parsed.reason)
    const signed = signer.sign({ message: parsed.message, ...from })
    if (!signed.ok) throw new Error(signed.reason)
    return editHeaders(bytes, { add: [[signed.header, signed.token]] })
  })
  let next = 0
  return () => {
    const bytes = pool[next++]
    if (bytes === undefined) throw new Error('the pool is too small')
    return bytes
  }
}

/** A header of the app's own, as long as a token: what the host spends on one is no overhead of ours. */
const NOTE = { headers: { 'x-note': 'n'.repeat(64) } }
const remote = { ...SOURCE, family: 'IPv4', size: 0 }

/** @param {any} socket @param {() => Buffer} next */
const drive = (socket, next) => () => {
  const before = sent
  socket.emit('message', next(), remote)
  if (sent !== before + 1) throw new Error('not answered')
  return sent
}

async function ours() {
  const verifier = createVerifier({ agreement, keyring })
  const stack = createSip(
    {
      address: LOCAL.address,
      port: LOCAL.port,
      tcp: false,
      pipeline: createPipeline([verifyPeer({ peer: 'p', verifier })]),
      signers: [{ target: [SOURCE.address], signer }],
      limits: { transactions: 1_000_000 },
    },
    (request) => stack.send(makeResponse(request, 200, 'OK')),
  )
  await stack.ready
  return drive(sockets.at(-1), requests('OPTIONS'))
}

function theirs() {
  const stack = sip.create({ ...LOCAL, tcp: false }, (/** @type {any} */ request) =>
    stack.send(sip.makeResponse(request, 200, 'OK', NOTE)),
  )
  return drive(sockets.at(-1), requests('OPTIONS'))
}

const bytes = requests('OPTIONS')().length
const candidates = { 'auth-xkeys/sip, verified and signed': await ours(), 'sip alone': theirs() }
report(measure(candidates, { blocks: 15, blockTime: 40, warmUp: 300 }), { bytes })
// Timers of transactions would keep the process for half a minute.
process.exit()
