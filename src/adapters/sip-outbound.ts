/**
 * The way out: a message object becomes text by the package, bytes and a token by us. Retransmissions and the ACK of a
 * failure come this way too, since the package's transactions know no other.
 * @module
 */
import { isIPv6, SocketAddress } from 'node:net'
import { editHeaders } from '../message/edit.ts'
import { headerSelector } from '../message/header-names.ts'
import { parseMessage } from '../message/parse.ts'
import { splice } from '../message/splice.ts'
import type { Endpoint, SipMessage } from '../message/types.ts'
import { viewOf, type MessageView } from '../message/view.ts'
import type { TcpConnection } from '../transport/tcp-connection.ts'
import type { TcpTransport } from '../transport/tcp.ts'
import type { UdpSocket } from '../transport/udp.ts'
import type { Signer } from '../xkeys/sign.ts'
import type { SipOptions, SipSettings, SipStackEvent } from './sip-options.ts'
import { stringify } from './sip-package.ts'
import type { ClientConnection, ServerConnection } from './sip-transactions.ts'
import type { Target } from '../transport/resolve.ts'
import type { SipRequest, SipResponse } from './sip-types.ts'

/** Open sockets. */
export interface SipSockets {
  readonly udp: UdpSocket | undefined
  readonly tcp: TcpTransport | undefined
}

/** What the way out needs. */
export interface OutboundOptions {
  readonly options: SipOptions
  readonly settings: SipSettings
  readonly sockets: SipSockets
  /** Via's sent-by. */
  readonly host: string
  readonly port: number
  readonly tell: (event: SipStackEvent) => void
}

/** The way out. */
export interface Outbound {
  /** To a next hop. `onFailure` comes later than `send` returns, and at most once a send. */
  connect(target: Target, onFailure: (error: Error) => void): ClientConnection
  /** Back on the way that a request came. @param sign whether responses are signed */
  reply(source: Endpoint, tcp: TcpConnection | undefined, sign: boolean): ServerConnection
}

const DEFAULT_PORT = 5060

/** Most that a datagram holds, with some room for a token. */
const MAX_DATAGRAM = 65_300

type Made = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly reason: string }

/** Creates the way out. */
export function createOutbound({ options, settings, sockets, host, port, tell }: OutboundOptions): Outbound {
  const { logger } = options

  const signerOf = (to: Endpoint): Signer | undefined =>
    settings.signers.find(({ matches }) => matches(to))?.signer

  /** The address that a message leaves from, as the peer sees it. */
  function localOf(transport: 'udp' | 'tcp', tcp: TcpConnection | undefined): Endpoint {
    const local = transport === 'udp' ? sockets.udp!.local : (tcp?.local ?? sockets.tcp!.local)
    const wildcard = local.address === '0.0.0.0' || local.address === '::'
    return wildcard ? { address: options.publicAddress ?? local.address, port: local.port } : local
  }

  /** Bytes of a message, with its token. What an app made of it may still be no message at all: that never throws. */
  function make(
    message: SipRequest | SipResponse,
    transport: 'udp' | 'tcp',
    target: Endpoint,
    tcp: TcpConnection | undefined,
    sign = true,
  ): Made {
    try {
      stamp(message, transport === 'udp' ? 'UDP' : 'TCP')
      return signed(message, transport, target, tcp, sign)
    } catch (error) {
      return { ok: false, reason: `the package cannot write it: ${String(error)}` }
    }
  }

  function signed(
    message: SipRequest | SipResponse,
    transport: 'udp' | 'tcp',
    target: Endpoint,
    tcp: TcpConnection | undefined,
    sign: boolean,
  ): Made {
    if (logger?.send !== undefined) {
      try {
        logger.send(message, { protocol: transport.toUpperCase(), ...target })
      } catch (error) {
        tell({ event: 'hook-failed', reason: 'logger.send threw', error, remote: target })
      }
    }
    const made = serialise(message)
    if (!made.ok) return made
    if (transport === 'udp' && made.bytes.length > MAX_DATAGRAM) return TOO_LONG
    const signer = sign ? signerOf(target) : undefined
    if (signer === undefined) return made
    const context = { message: made.message, transport, source: target, local: localOf(transport, tcp) }
    const result = signer.sign(context)
    if (result.ok) return { ok: true, bytes: withToken(viewOf(made.message), result.header, result.token) }
    const { status, method, kind } = made.message
    // 100 and the responses to a CANCEL pass without a token; a template may ask for the To tag that a 100 has not got.
    const passes = status === 100 || (kind === 'response' && method === 'CANCEL')
    if (result.reason === 'direction-unsigned' || passes) return made
    tell({ event: 'sign-failed', reason: result.reason, remote: target })
    return { ok: false, reason: `cannot be signed: ${result.reason}` }
  }

  /** Fills in what a request's top Via says of us. */
  function stamp(message: SipRequest | SipResponse, protocol: 'UDP' | 'TCP'): void {
    if (message.method === undefined) return
    const via = message.headers.via[0]
    if (via === undefined) return
    via.host = host
    via.port = port
    via.protocol = protocol
    if (protocol === 'UDP' && (options.rport ?? true)) via.params['rport'] = null
  }

  /** Writes made bytes; a reason where they did not go. */
  function write(made: Made, to: Endpoint, transport: 'udp' | 'tcp', tcp: TcpConnection | undefined): string {
    if (!made.ok) return made.reason
    if (transport === 'tcp') return tcp?.send(made.bytes) === true ? '' : 'there is no connection'
    if (sockets.udp === undefined) return 'udp is off'
    sockets.udp.send(made.bytes, to)
    return ''
  }

  /** The connection of a request is gone: its response goes to where its sender listens (RFC 3261 §18.2.2). */
  function reopened({ headers }: SipRequest | SipResponse, { address }: Endpoint, bytes: Buffer): boolean {
    const port = headers.via[0]?.port ?? DEFAULT_PORT
    return Number.isInteger(port) && sockets.tcp?.open({ address, port })?.send(bytes) === true
  }

  return {
    connect(target, onFailure) {
      const { transport } = target
      const protocol = transport === 'udp' ? 'UDP' : 'TCP'
      const fail = (reason: string): void => {
        // Not at once: the package's state machines cannot be called while they send.
        queueMicrotask(() => onFailure(new Error(reason)))
      }
      const tcp = transport === 'tcp' ? sockets.tcp?.open(target) : undefined
      const letGo = tcp?.hold()
      const quiet = tcp?.onClose((error) => fail(error.message))
      return {
        protocol,
        // From another port: a NAT, or a connection of the peer's own, unless somebody else lives there.
        isFrom: (source) =>
          isSameAddress(source.address, target.address) &&
          (source.port === target.port || signerOf(source) === signerOf(target)),
        send(message) {
          const missing = transport === 'udp' ? !reaches(sockets.udp, target) : tcp === undefined
          const made = missing ? NO_WAY : make(message, transport, target, tcp)
          const reason = write(made, target, transport, tcp)
          if (reason === '') return
          tell({ event: 'not-sent', reason, remote: target })
          fail(reason)
        },
        release() {
          quiet?.()
          letGo?.()
        },
      }
    },
    reply(source, tcp, sign) {
      const transport = tcp === undefined ? 'udp' : 'tcp'
      const letGo = tcp?.hold()
      let last: unknown
      let ready: { readonly message: SipResponse; readonly made: Made } | undefined
      return {
        protocol: transport === 'udp' ? 'UDP' : 'TCP',
        usable(response) {
          if (response.status < 200) return response
          const made = make(response, transport, source, tcp, sign)
          if (!made.ok) {
            tell({ event: 'not-sent', reason: made.reason, remote: source })
            return failure(response)
          }
          ready = { message: response, made }
          return response
        },
        send(message) {
          // Timer G is for datagrams (RFC 3261 §17.2.1); the package runs it on streams as well.
          const again = tcp !== undefined && message === last && (message.status ?? 0) >= 300
          last = message
          if (again) return
          const made = ready?.message === message ? ready.made : make(message, transport, source, tcp, sign)
          ready = undefined
          const reason = write(made, source, transport, tcp)
          if (reason === '' || (made.ok && tcp !== undefined && reopened(message, source, made.bytes))) return
          tell({ event: 'not-sent', reason, remote: source })
        },
        release: () => letGo?.(),
      }
    },
  }
}

/** The bytes with one token header, directly before the empty line; what an app has set under that name goes. */
function withToken(view: MessageView, header: string, token: string): Buffer {
  const { bytes, layout } = view
  if (view.find(headerSelector(header), 0) >= 0) {
    return editHeaders(bytes, { remove: [header], add: [[header, token]] })
  }
  const at = layout.headersEnd
  return splice(bytes, 0, bytes.length, [{ start: at, end: at, text: `${header}: ${token}\r\n` }])
}

/** IPv6 has many spellings, and a socket shows one. */
function isSameAddress(a: string, b: string): boolean {
  return a === b || (isIPv6(a) && isIPv6(b) && canonical(a) === canonical(b))
}

function canonical(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address
}

/** A socket of IPv4 sends nothing to IPv6. */
function reaches(udp: UdpSocket | undefined, to: Endpoint): boolean {
  return udp !== undefined && isIPv6(udp.local.address) === isIPv6(to.address)
}

const TOO_LONG: Made = { ok: false, reason: 'longer than a datagram' }
const NO_WAY: Made = { ok: false, reason: 'no transport, or too many connections' }

/** 500 in the place of a response. */
function failure({ headers: { via, to, from, cseq, 'call-id': callId }, version }: SipResponse): SipResponse {
  const headers = { via, to, from, 'call-id': callId, cseq }
  return { status: 500, reason: 'Server Internal Error', version, headers }
}

type Serialised =
  | { readonly ok: true; readonly bytes: Buffer; readonly message: SipMessage }
  | { readonly ok: false; readonly reason: string }

/** Text by the package, and the proof that it is one message and the one that was meant. */
function serialise(message: SipRequest | SipResponse): Serialised {
  if (holdsLineBreak(message, 0)) return { ok: false, reason: 'a header value holds a line break' }
  const text = stringify(message)
  // Cut down to a byte, U+010A would be a line feed.
  if (!isLatin1(text)) return { ok: false, reason: 'it holds characters outside latin1' }
  const bytes = Buffer.from(text, 'latin1')
  const parsed = parseMessage(bytes)
  if (!parsed.ok) return { ok: false, reason: `it is no message: ${parsed.reason}` }
  if (viewOf(parsed.message).layout.end !== bytes.length) return { ok: false, reason: 'it is two messages' }
  return { ok: true, bytes, message: parsed.message }
}

/** Objects nest this deep: message, headers, list, entry, URI, parameters, value. */
const DEEPEST = 7

/** Whether a text in there, but for the body, would begin a line of its own; folds do not. */
function holdsLineBreak(value: unknown, depth: number): boolean {
  if (typeof value === 'string') {
    for (let at = value.indexOf('\n'); at >= 0; at = value.indexOf('\n', at + 1)) {
      const next = value[at + 1]
      if (value[at - 1] !== '\r' || (next !== ' ' && next !== '\t')) return true
    }
    return false
  }
  if (typeof value !== 'object' || value === null || depth >= DEEPEST) return false
  for (const name in value) {
    if (depth === 0 && name === 'content') continue
    if (name.includes('\n')) return true
    if (holdsLineBreak((value as Record<string, unknown>)[name], depth + 1)) return true
  }
  return false
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) return false
  return true
}
