// @ts-check
/**
 * A demonstration peer: the other end of the trunk. It signs the calls that it places and verifies what comes back.
 * Some calls go out wrong on purpose, so that refusals can be seen.
 */
import { randomBytes } from 'node:crypto'
import { createSigner, createVerifier, editHeaders, parseMessage } from 'auth-xkeys'
import { build, openSocket } from './sip.mjs'

/** A call that got no final answer by then is lost, milliseconds. */
const PATIENCE = 4000

/**
 * @param {{ address: string, port: number, edge: { address: string, port: number },
 *   agreement: import('auth-xkeys').Agreement, keyring: import('auth-xkeys').Keyring }} options
 */
export async function startPeer({ address, port, edge, agreement, keyring }) {
  const socket = await openSocket(address, port)
  const local = { address, port: socket.address().port }
  const signer = createSigner({ agreement, keyring })
  const verifier = createVerifier({ agreement, keyring })
  /** @type {Map<string, { state: string, started: number, wrong: boolean }>} */
  const calls = new Map()
  const state = { placed: 0, completed: 0, refused: 0, lost: 0, unverified: 0 }

  const context = (/** @type {import('auth-xkeys').SipMessage} */ message) =>
    /** @type {const} */ ({ message, transport: 'udp', source: edge, local })

  /** @param {string} method @param {string} id @param {string} to @param {'signed' | 'unsigned' | 'forged'} how */
  function send(method, id, to, how) {
    const cseq = method === 'BYE' ? 2 : 1
    const bytes = build([
      `${method} sip:+15550100@upstream.example SIP/2.0`,
      `Via: SIP/2.0/UDP ${local.address}:${local.port};branch=z9hG4bK${id}${method};rport`,
      'Max-Forwards: 70',
      `From: "Demo" <sip:demo@carrier.example>;tag=${id}`,
      `To: ${to}`,
      `Call-ID: ${id}@carrier.example`,
      `CSeq: ${cseq} ${method}`,
      `Contact: <sip:demo@${local.address}:${local.port}>`,
    ])
    socket.send(how === 'unsigned' ? bytes : sign(bytes, how), edge.port, edge.address)
  }

  /** @param {Buffer} bytes @param {'signed' | 'forged'} how */
  function sign(bytes, how) {
    const parsed = parseMessage(bytes)
    if (!parsed.ok) throw new Error(parsed.reason)
    const signed = signer.sign(context(parsed.message))
    if (!signed.ok) throw new Error(signed.reason)
    const token =
      how === 'signed' ? signed.token : signed.token.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
    return editHeaders(bytes, { add: [[signed.header, token]] })
  }

  socket.on('message', (bytes) => {
    const parsed = parseMessage(bytes)
    if (!parsed.ok || parsed.message.kind === 'request') return
    const { message } = parsed
    const id = message.headers('Call-ID')[0]?.split('@')[0] ?? ''
    const call = calls.get(id)
    const { status = 0 } = message
    if (call === undefined || status < 200) return
    if (status >= 300) {
      calls.delete(id)
      if (call.wrong) state.refused++
      else state.lost++
      return
    }
    if (!verifier.verify(context(message)).ok) state.unverified++
    const to = message.headers('To')[0] ?? ''
    if (message.method === 'INVITE' && call.state === 'calling') {
      call.state = 'up'
      send('ACK', id, to, 'signed')
      send('BYE', id, to, 'signed')
    } else if (message.method === 'BYE') {
      calls.delete(id)
      state.completed++
    }
  })

  /** @param {'signed' | 'unsigned' | 'forged'} how */
  function call(how) {
    const id = randomBytes(6).toString('hex')
    calls.set(id, { state: 'calling', started: Date.now(), wrong: how !== 'signed' })
    state.placed++
    send('INVITE', id, '<sip:+15550100@upstream.example>', how)
  }

  function expire() {
    for (const [id, { started }] of calls) {
      if (Date.now() - started < PATIENCE) break
      calls.delete(id)
      state.lost++
    }
  }

  return { local, state, call, expire, open: () => calls.size, close: () => socket.close() }
}
