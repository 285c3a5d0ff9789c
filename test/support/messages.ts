import type { MessageContext, SipMessage, Tolerance } from '../../src/message/types.ts'
import { parseMessage } from '../../src/message/parse.ts'

/** A header line: name and value, or a whole line as it stands. */
export type Line = string | readonly [name: string, value: string]

const BASE: readonly (readonly [string, string])[] = [
  ['Via', 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport'],
  ['Max-Forwards', '70'],
  ['From', '"Alice" <sip:alice@atlanta.example>;tag=1928301774'],
  ['To', '<sip:bob@biloxi.example>'],
  ['Call-ID', 'a84b4c76e66710@pc33.atlanta.example'],
  ['CSeq', '314159 INVITE'],
]

/** What differs from the plain message. */
export interface Parts {
  readonly start?: string
  /** Values that replace those of the plain message; null removes the header. */
  readonly with?: Readonly<Record<string, string | null>>
  /** Lines behind the others. */
  readonly add?: readonly Line[]
  readonly body?: string
}

/** The bytes of a message; text is latin1. */
export function bytesOf(parts: Parts = {}): Buffer {
  const { start = 'INVITE sip:bob@biloxi.example SIP/2.0', add = [], body = '' } = parts
  const lines: Line[] = BASE.flatMap(([name, value]): Line[] => {
    const given = parts.with?.[name]
    return given === null ? [] : [[name, given ?? value]]
  })
  lines.push(...add)
  const head = lines.map((line) => (typeof line === 'string' ? line : `${line[0]}: ${line[1]}`))
  return Buffer.from([start, ...head, '', body].join('\r\n'), 'latin1')
}

/** A response with the headers of the plain message. */
export function responseBytes(status = '200 OK', parts: Omit<Parts, 'start'> = {}): Buffer {
  return bytesOf({ ...parts, start: `SIP/2.0 ${status}` })
}

/** The message in `bytes`; refused ones are a failure. */
export function parsed(bytes: Buffer, tolerance: Tolerance = 'strict'): SipMessage {
  const result = parseMessage(bytes, { tolerance })
  if (!result.ok) throw new Error(`refused: ${result.reason} at ${result.offset}`)
  return result.message
}

/** `accepted`, or why not. */
export function outcome(bytes: Buffer, tolerance: Tolerance = 'strict'): string {
  const result = parseMessage(bytes, { tolerance })
  return result.ok ? 'accepted' : result.reason
}

/** Where messages come from in tests, unless they say otherwise. */
const TRAVEL: Omit<MessageContext, 'message'> = {
  transport: 'udp',
  source: { address: '192.0.2.1', port: 5060 },
  local: { address: '198.51.100.7', port: 5080 },
}

/** A message with where it came from. */
export function contextOf(
  message: Buffer | SipMessage,
  travel: Partial<Omit<MessageContext, 'message'>> = {},
  tolerance: Tolerance = 'strict',
): MessageContext {
  return { message: Buffer.isBuffer(message) ? parsed(message, tolerance) : message, ...TRAVEL, ...travel }
}
