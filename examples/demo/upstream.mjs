// @ts-check
/**
 * A demonstration upstream: the SIP server behind the edge. It answers every call, and trusts the edge.
 */
import { parseMessage } from 'auth-xkeys'
import { answer, openSocket } from './sip.mjs'

/** @param {string} address @param {number} port */
export async function startUpstream(address, port) {
  const socket = await openSocket(address, port)
  const local = socket.address()
  const state = { calls: 0, tokensSeen: 0 }
  socket.on('message', (bytes, from) => {
    const parsed = parseMessage(bytes)
    if (!parsed.ok || parsed.message.kind === 'response') return
    const { message } = parsed
    if (message.headers('X-Auth').length > 0) state.tokensSeen++
    const send = (/** @type {Buffer} */ response) => socket.send(response, from.port, from.address)
    if (message.method === 'INVITE') {
      state.calls++
      const contact = [`Contact: <sip:upstream@${local.address}:${local.port}>`]
      send(answer(message, 180, 'Ringing', contact))
      send(answer(message, 200, 'OK', contact))
    } else if (message.method !== 'ACK') {
      send(answer(message, 200, 'OK'))
    }
  })
  return { port: local.port, state, close: () => socket.close() }
}
