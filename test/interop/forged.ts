/**
 * Requests that claim to be of a call between a Kamailio and an edge, made from what the callee has received of it.
 */
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { editHeaders } from '../../src/message/edit.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { contextOf } from '../support/messages.ts'
import { documented, placed, type Places } from './documented.ts'
import { headerOf } from './endpoint.ts'

/** Headers that differ from those of the call; `line` is the request line. */
export type Changes = Readonly<Record<string, string>>

/** The second Via of a request at the callee, which is Kamailio's, as Kamailio sent it. */
function viaOfKamailio(request: string): string {
  const via = [...request.matchAll(/^Via: (.*)\r$/gm)][1]?.[1]
  if (via === undefined) throw new Error(`the callee got no second Via:\n${request}`)
  return via.replace(/;(?:received|rport)=[^;]*/g, '')
}

function build(line: string, headers: Changes, changes: Changes): Buffer {
  const { line: changed = line, ...others } = changes
  const lines = Object.entries({ ...headers, ...others }).map(([name, value]) => `${name}: ${value}`)
  return Buffer.from(`${[changed, ...lines, 'Content-Length: 0'].join('\r\n')}\r\n\r\n`, 'latin1')
}

/** What belongs to the INVITE's own transaction: its CANCEL, the ACK of its failure. */
export function ofInvite(
  method: 'CANCEL' | 'ACK',
  invite: string,
  to: string,
  changes: Changes = {},
): Buffer {
  const [start = ''] = invite.split('\r\n')
  return build(
    start.replace('INVITE', method),
    {
      Via: viaOfKamailio(invite),
      'Max-Forwards': '69',
      From: headerOf(invite, 'From')!,
      To: to,
      'Call-ID': headerOf(invite, 'Call-ID')!,
      CSeq: `${Number.parseInt(headerOf(invite, 'CSeq')!, 10)} ${method}`,
    },
    changes,
  )
}

/** The BYE that the caller will send, as Kamailio will. @param ack of the call, at the callee */
export function byeOf(ack: string, changes: Changes = {}): Buffer {
  const [start = ''] = ack.split('\r\n')
  return build(
    start.replace('ACK', 'BYE'),
    {
      Via: `${viaOfKamailio(ack).replace(/;branch=.*/, '')};branch=z9hG4bKforged`,
      'Max-Forwards': '69',
      From: headerOf(ack, 'From')!,
      To: headerOf(ack, 'To')!,
      'Call-ID': headerOf(ack, 'Call-ID')!,
      CSeq: '2 BYE',
    },
    changes,
  )
}

/** Signs as Kamailio does, with the keys of the document or others. */
export function signerAt(places: Places, keyring = documented('keyring.toml')): (bytes: Buffer) => string {
  const { agreement } = parseEdgeConfig(placed('edge.toml', places)).trunks[0]!
  const signer = createSigner({ agreement, keyring: parseKeyring(keyring) })
  return (bytes) => {
    const result = signer.sign(contextOf(bytes, { local: places.kamailio, source: places.edge }))
    if (!result.ok) throw new Error(`not signed: ${result.reason}`)
    return result.token
  }
}

/** The request with this token. */
export function withToken(bytes: Buffer, token: string): Buffer {
  return editHeaders(bytes, { add: [['X-Auth', token]] })
}
