// @ts-check
/**
 * The little SIP that the demonstration's two ends need: building messages, reading a few fields.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** @param {string} address @param {number} port */
export async function openSocket(address, port) {
  const socket = createSocket('udp4')
  socket.bind(port, address)
  await once(socket, 'listening')
  socket.on('error', () => {})
  return socket
}

/** @param {readonly string[]} lines */
export function build(lines) {
  return Buffer.from([...lines, 'Content-Length: 0', '', ''].join('\r\n'), 'latin1')
}

/**
 * Answers a request.
 * @param {import('auth-xkeys').SipMessage} request @param {number} status @param {string} phrase
 * @param {readonly string[]} [more]
 */
export function answer(request, status, phrase, more = []) {
  const [to = ''] = request.headers('To')
  return build([
    `SIP/2.0 ${status} ${phrase}`,
    ...request.headers('Via').map((via) => `Via: ${via}`),
    ...request.headers('Record-Route').map((route) => `Record-Route: ${route}`),
    `From: ${request.headers('From')[0]}`,
    `To: ${to.includes(';tag=') ? to : `${to};tag=upstream`}`,
    `Call-ID: ${request.headers('Call-ID')[0]}`,
    `CSeq: ${request.headers('CSeq')[0]}`,
    ...more,
  ])
}
