/**
 * Flow URIs: a URI of ours that names a connection, so that a request goes back on it (RFC 5626 §5.2, as the package has
 * them). The token is bound to this process.
 * @module
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SipRemote, SipUri } from './sip-types.ts'

/** Makes and reads flow URIs. */
export interface Flows {
  /** A URI for `Path` or `Record-Route` that leads back to where a request came from. */
  encodeFlowUri(flow: SipRemote): SipUri
  /** The flow that a URI of ours names; undefined for any other. */
  decodeFlowUri(uri: SipUri): SipRemote | undefined
}

const MAC_BYTES = 16

/** Creates the flows of a stack. @param host the host part of its URIs */
export function createFlows(host: string): Flows {
  const secret = randomBytes(32)
  const mac = (text: string): Buffer =>
    createHmac('sha256', secret).update(text).digest().subarray(0, MAC_BYTES)
  return {
    encodeFlowUri({ protocol, address, port, local }) {
      const text = [protocol, address, port, local.address, local.port].join(',')
      const user = Buffer.concat([mac(text), Buffer.from(text)]).toString('base64url')
      return { schema: 'sip', user, host, params: {} }
    },
    decodeFlowUri(uri) {
      if (uri.host !== host || uri.user === undefined || uri.user.length > 400) return undefined
      const bytes = Buffer.from(uri.user, 'base64url')
      if (bytes.length <= MAC_BYTES) return undefined
      const text = bytes.toString('utf8', MAC_BYTES)
      if (!timingSafeEqual(mac(text), bytes.subarray(0, MAC_BYTES))) return undefined
      const [protocol = '', address = '', port, localAddress = '', localPort] = text.split(',')
      const local = { address: localAddress, port: Number(localPort) }
      return { protocol: protocol === 'TCP' ? 'TCP' : 'UDP', address, port: Number(port), local }
    },
  }
}
