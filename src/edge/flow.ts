/**
 * The way to a phone: the address and port that its packets come from, behind whatever NAT. Kept nowhere; it travels in
 * branches, Path and Record-Route, written as hexadecimal digits.
 * @module
 */
import { SocketAddress, isIPv4, isIPv6 } from 'node:net'
import type { Endpoint } from '../message/types.ts'

/** IPv4 and port, or IPv6 and port. */
const WRITTEN = /^(?:[0-9a-f]{12}|[0-9a-f]{36})$/

/** Writes an address and port; undefined for an address with a zone, which means nothing on another node. */
export function writeFlow({ address, port }: Endpoint): string | undefined {
  const tail = port.toString(16).padStart(4, '0')
  if (isIPv4(address)) return address.split('.').map(byteText).join('') + tail
  if (!isIPv6(address) || address.includes('%')) return undefined
  const [head = '', rest] = address.split('::', 2)
  const first = groupsOf(head)
  const last = groupsOf(rest ?? '')
  const gap = '0000'.repeat(8 - first.length - last.length)
  return first.join('') + gap + last.join('') + tail
}

/** Reads what `writeFlow` wrote; undefined where it is none. */
export function parseFlow(text: string): Endpoint | undefined {
  if (!WRITTEN.test(text)) return undefined
  const port = Number.parseInt(text.slice(-4), 16)
  if (port === 0) return undefined
  const digits = text.slice(0, -4)
  if (digits.length === 8) return { address: [...Buffer.from(digits, 'hex')].join('.'), port }
  const groups = digits.match(/.{4}/g)!.join(':')
  // The spelling that sockets tell: addresses are compared as text.
  return { address: new SocketAddress({ address: groups, family: 'ipv6' }).address, port }
}

function byteText(byte: string): string {
  return Number(byte).toString(16).padStart(2, '0')
}

/** The groups of a part of an IPv6 address, four digits each. */
function groupsOf(text: string): readonly string[] {
  return text === ''
    ? []
    : text.split(':').flatMap((group) => {
        if (!group.includes('.')) return [group.padStart(4, '0')]
        const bytes = group.split('.').map(byteText).join('')
        return [bytes.slice(0, 4), bytes.slice(4)]
      })
}
