// @ts-check
/**
 * What the drachtio middleware costs a message, beside what drachtio-srf itself spends on it: from the frame of the
 * server to the handler, and to the frame of the 200. Sockets and timers aside; the messages are those of messages.mjs.
 */
import { createRequire } from 'node:module'
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
import { guardDrachtio, signDrachtioResponses } from 'auth-xkeys/drachtio'
import { LOCAL, SOURCE, VARIANTS, invite } from './messages.mjs'
import { measure, report } from './measure.mjs'

const require = createRequire(import.meta.url)
const Srf = require('drachtio-srf')
const Agent = require('drachtio-srf/lib/drachtio-agent.js')

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
const context = /** @type {const} */ ({ transport: 'udp', source: SOURCE, local: LOCAL })

const frames = Array.from({ length: VARIANTS }, (_, i) => {
  const bytes = invite(i)
  const parsed = parseMessage(bytes)
  if (!parsed.ok) throw new Error(parsed.reason)
  const signed = signer.sign({ message: parsed.message, ...context })
  if (!signed.ok) throw new Error(signed.reason)
  const text = editHeaders(bytes, { add: [[signed.header, signed.token]] }).toString()
  const from = `${SOURCE.address}|${SOURCE.port}`
  const meta = `u|sip|network|${text.length}|udp|${from}|10:00:00.000|t${i}||${LOCAL.address}|${LOCAL.port}|s`
  return `${meta}\r\n${text}`
})

/** A header of the application's own, as long as a token: what the host spends on one is no overhead of ours. */
const NOTE = 'n'.repeat(64)

/**
 * An application without its sockets: what a frame does to it.
 * @param {readonly import('auth-xkeys/drachtio').DrachtioMiddleware[]} layers
 * @param {'silent' | 'answers'} handler
 */
function application(layers, handler) {
  const srf = new Srf()
  for (const layer of layers) srf.use(layer)
  let reached = 0
  srf.use(
    'invite',
    (/** @type {unknown} */ _req, /** @type {{ send(status: number, options: object): void }} */ res) => {
      reached++
      if (handler === 'answers') res.send(200, { headers: { 'X-Note': NOTE } })
    },
  )
  const agent = new Agent(srf.app)
  const socket = new (require('node:net').Socket)()
  agent.wp = { send: (/** @type {unknown} */ _socket, /** @type {string} */ text) => Buffer.byteLength(text) }
  const server = agent['_initServer'](socket)
  return (/** @type {number} */ i) => {
    const before = reached
    agent['_onMsg'](socket, frames[i % VARIANTS])
    if (reached === before) throw new Error('refused')
    server.pendingNetworkInvites.clear()
    return reached
  }
}

const guard = guardDrachtio(
  createPipeline([verifyPeer({ peer: 'p', verifier: createVerifier({ agreement, keyring }) })]),
)
const signs = signDrachtioResponses({ agreement, keyring })

report(
  measure({
    'drachtio-srf with the guard': application([guard], 'silent'),
    'drachtio-srf alone': application([], 'silent'),
    'drachtio-srf with the guard, 200 signed': application([signs, guard], 'answers'),
    'drachtio-srf alone, 200': application([], 'answers'),
  }),
  { bytes: frames[0]?.length },
)
