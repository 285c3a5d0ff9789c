/**
 * The messages of a plain call.
 */
import type { Endpoint } from '../../src/message/types.ts'

/** The requests of a call, as `from` sends them: INVITE, CANCEL, ACK, BYE, and two outside a dialog. */
export function call(from: Endpoint, to: Endpoint): Buffer[] {
  return ['INVITE', 'CANCEL', 'ACK', 'BYE', 'OPTIONS', 'MESSAGE'].map((method) => {
    const cseq = method === 'BYE' ? 2 : 1
    const tag = method === 'BYE' || method === 'ACK' ? ';tag=remote' : ''
    const body = method === 'MESSAGE' ? 'hello' : ''
    const lines = [
      `${method} sip:bob@${to.address}:${to.port} SIP/2.0`,
      `Via: SIP/2.0/UDP ${from.address}:${from.port};branch=z9hG4bK${method};rport`,
      'Max-Forwards: 70',
      'From: "Alice" <sip:alice@atlanta.example>;tag=local',
      `To: <sip:bob@biloxi.example>${tag}`,
      'Call-ID: call-1@atlanta.example',
      `CSeq: ${cseq} ${method}`,
      // What somebody else left there must not survive.
      'X-Auth: 0123',
      `Content-Length: ${body.length}`,
      '',
      body,
    ]
    return Buffer.from(lines.join('\r\n'), 'latin1')
  })
}

/** A response to a request that came to its sender through `proxy`, from `to`. */
export function forwardedResponse(request: Buffer, status: string, proxy: Endpoint, to: Endpoint): Buffer {
  const kept = request
    .toString('latin1')
    .split('\r\n')
    .filter((line) => /^(?:From|To|Call-ID|CSeq): /.test(line))
    .map((line) => (line.startsWith('To: ') && !line.includes(';tag=') ? `${line};tag=remote` : line))
  const lines = [
    `SIP/2.0 ${status}`,
    `Via: SIP/2.0/UDP ${proxy.address}:${proxy.port};branch=z9hG4bKproxy`,
    `Via: SIP/2.0/UDP ${to.address}:${to.port};branch=z9hG4bKback`,
    ...kept,
    'X-Auth: 0123',
    'Content-Length: 0',
    '',
    '',
  ]
  return Buffer.from(lines.join('\r\n'), 'latin1')
}
