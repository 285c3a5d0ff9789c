// @ts-check
/**
 * An app on the package `sip`: a registrar's OPTIONS, and a proxy's INVITE and MESSAGE. `stock` runs it on the package
 * as it comes, `ours` on the adapter: the app itself is the same.
 */
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import {
  createPipeline,
  createSigner,
  createVerifier,
  parseKeyring,
  defineAgreement,
  verifyPeer,
} from 'auth-xkeys'

const require = createRequire(import.meta.url)
const stock = require('sip')
const digest = require('sip/digest')
const [kind, port, peer] = /** @type {[string, string, string]} */ (
  /** @type {unknown} */ (process.argv.slice(2))
)
const address = '127.0.0.2'

/** @param {any} request */
const handler = (request) => {
  if (request.method === 'OPTIONS') {
    const headers = { 'x-content': String(request.content ?? ''), 'x-from': request.headers.from.uri }
    stack.send(stock.makeResponse(request, 200, 'OK', { headers }))
  } else if (request.method === 'INVITE') forward(request)
  else if (request.method === 'MESSAGE') return Promise.resolve().then(() => forward(request))
  else if (request.method === 'REGISTER') return Promise.resolve().then(() => login(request))
  else if (request.method === 'INFO') process.send?.({ smuggled: request.uri })
  return undefined
}

/** With the package's own digest, as far as it comes. @param {any} request */
function login(request) {
  const nonce = request.headers.authorization[0].nonce.replaceAll('"', '')
  const status = digest.extractNonceTimestamp(nonce, 'tag') === undefined ? 401 : 200
  stack.send(stock.makeResponse(request, status, 'Done'))
}

/** @param {any} request */
function forward(request) {
  stack.send(stock.copyMessage(request), (/** @type {any} */ response) => {
    response.headers.via.shift()
    stack.send(response)
  })
}

const logger = {
  /** @param {any} message */
  recv(message) {
    if (message.method === 'NOTIFY') process.send?.({ logged: message.headers.contact[0].uri })
  },
}

async function start() {
  const options = { address, port: Number(port), logger }
  if (kind === 'stock') return stock.create(options, handler)
  const { createSip } = await import('auth-xkeys/sip')
  const keyring = parseKeyring(
    `[[groups.g.keys]]\nname = "k"\nvalue = "xks_side-by-side-0123456789-abcdefghijklmnop"`,
  )
  const agreement = defineAgreement({
    header: 'X-Auth',
    group: 'g',
    algorithm: 'hmac-sha256',
    request: '$rm:$ci',
  })
  const verifier = createVerifier({ agreement, keyring })
  const pipeline = createPipeline([verifyPeer({ peer: 'p', source: ['127.0.0.1'], verifier })])
  const signers = [{ target: [peer], signer: createSigner({ agreement, keyring }) }]
  const made = createSip({ ...options, pipeline, signers, limits: { refusalsPerSecond: 1000 } }, handler)
  await made.ready
  return made
}

const stack = await start()
// The stock package does not say when it listens.
for (;;) {
  const socket = connect(Number(port), address)
  const open = await new Promise((done) =>
    socket.once('connect', () => done(true)).once('error', () => done(false)),
  )
  socket.destroy()
  if (open) break
}
process.on('message', () => process.send?.({ cpu: process.cpuUsage().user }))
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
