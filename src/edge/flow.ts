/**
 * The way to a phone: the address and port that its packets come from, behind whatever NAT. Kept nowhere; it travels in
 * branches, Path and Record-Route, written as hexadecimal digits.
 * @module
 */
import { SocketAddress, isIPv4, isIPv6 } from 'node:net'
import type { Endpoint } from '../message/types.ts'

/** IPv4 and port, or IPv6 and port. */
const WRITTEN = /^(?:[0-9a-f]{12}|[0-9a-f]{36})$/

const DOT = 46

/** Writes an address and port; undefined for an address with a zone, which means nothing on another node. */
export function writeFlow({ address, port }: Endpoint): string | undefined {
  const tail = port.toString(16).padStart(4, '0')
  if (isIPv4(address)) return writeIPv4(address) + tail
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
  if (digits.length === 8) {
    const bits = Number.parseInt(digits, 16)
    return { address: `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`, port }
  }
  const groups = digits.match(/.{4}/g)!.join(':')
  // The spelling that sockets tell: addresses are compared as text.
  return { address: new SocketAddress({ address: groups, family: 'ipv6' }).address, port }
}

function writeIPv4(address: string): string {
  let bits = 0
  let byte = 0
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i)
    if (code === DOT) {
      bits = bits * 256 + byte
      byte = 0
    } else byte = byte * 10 + code - 48
  }
  return (bits * 256 + byte).toString(16).padStart(8, '0')
}

/** The groups of a part of an IPv6 address, four digits each. */
function groupsOf(text: string): readonly string[] {
  return text === ''
    ? []
    : text.split(':').flatMap((group) => {
        if (!group.includes('.')) return [group.padStart(4, '0')]
        const bytes = writeIPv4(group)
        return [bytes.slice(0, 4), bytes.slice(4)]
      })
}
