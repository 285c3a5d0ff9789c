/**
 * IP addresses as text that two systems write alike.
 * @module
 */
import { SocketAddress, isIPv6 } from 'node:net'

/** Kamailio's form (`$si`, `$Ri`): IPv6 in lower case, compressed, without brackets or zone; IPv4 as it is. */
export function addressText(address: string): string {
  if (!address.includes(':')) return address
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  if (!isIPv6(bare)) return address
  const text = new SocketAddress({ address: bare, family: 'ipv6' }).address
  // A dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d; the peer knows itself as a.b.c.d.
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text
}

/** The form that stands in a URI: IPv6 in brackets. */
export function addressInUri(address: string): string {
  const text = addressText(address)
  return text.includes(':') ? `[${text}]` : text
}
