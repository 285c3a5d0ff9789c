import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import {
  createSip,
  type SipDecided,
  type SipHandler,
  type SipOptions,
  type SipStack,
  type SipStackEvent,
} from '../../src/adapters/sip.ts'
import type { Endpoint, SipMessage } from '../../src/message/types.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Stage } from '../../src/pipeline/stage.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier, type VerifyResult } from '../../src/xkeys/verify.ts'
import type { AgreementInput } from '../../src/xkeys/agreement.ts'
import { bytesOf, contextOf, parsed, type Parts } from '../support/messages.ts'
import { agreementOf, keyringOf, signedBytes } from '../support/signed-messages.ts'
import { openPeer, type UdpPeer } from '../support/udp-peer.ts'

/** What differs from a stack with one peer. */
export interface RigOptions extends Partial<SipOptions> {
  readonly handler?: SipHandler
  readonly agreement?: Partial<AgreementInput>
  /** Stages behind that of the peer. */
  readonly more?: readonly Stage[]
}

/** A stack on loopback with a peer that shares a key with it. */
export interface Rig {
  readonly stack: SipStack
  readonly at: Endpoint
  readonly peer: UdpPeer
  /** `DECISION reason` of all that arrived. */
  readonly decisions: readonly string[]
  readonly events: readonly SipStackEvent[]
  /** A request as the peer sends it, without a token. */
  request(method: string, parts?: Parts): Buffer
  signed(bytes: Buffer): Buffer
  verify(message: SipMessage): VerifyResult
  /** Waits until all that the peer sent has been dealt with: the stack has answered one more request. */
  settle(): Promise<void>
}

const told = ({ decision, message }: SipDecided): string => {
  const what = message === undefined ? '-' : `${message.status ?? message.method}`
  if (decision.verdict === 'accept') return `${what} accept ${decision.identity.kind}`
  if (decision.verdict === 'challenge') return `${what} challenge ${decision.status}`
  return `${what} ${decision.verdict} ${decision.reason}`
}

/** Starts a stack; it closes with the test. */
export async function startRig({
  handler,
  agreement: differs,
  more = [],
  ...options
}: RigOptions = {}): Promise<Rig> {
  const peer = await openPeer()
  const agreement = agreementOf(differs)
  const keyring = keyringOf()
  const decisions: string[] = []
  const events: SipStackEvent[] = []
  const pipeline = createPipeline([
    verifyPeer({ peer: 'carrier', source: [peer.at], verifier: createVerifier({ agreement, keyring }) }),
    ...more,
  ])
  const stack = createSip(
    {
      address: '127.0.0.1',
      port: 0,
      pipeline,
      signers: [{ target: [peer.at], signer: createSigner({ agreement, keyring }) }],
      onDecision: (decided) => decisions.push(told(decided)),
      onError: (event) => events.push(event),
      ...options,
    },
    handler ?? (() => {}),
  )
  onTestFinished(async () => {
    await Promise.all([stack.destroy(), peer.close()])
  })
  const at = await stack.ready
  let requests = 0
  const request: Rig['request'] = (method, parts = {}) =>
    bytesOf({
      start: `${method} sip:bob@127.0.0.1 SIP/2.0`,
      ...parts,
      with: {
        Via: `SIP/2.0/UDP ${peer.at};branch=z9hG4bK-peer;rport`,
        CSeq: `314159 ${method}`,
        ...parts.with,
      },
    })
  return {
    stack,
    at,
    peer,
    decisions,
    events,
    request,
    signed: (bytes) => signedBytes(bytes, agreement, { local: peer.local, source: at }),
    verify: (message) =>
      createVerifier({ agreement, keyring }).verify(contextOf(message, { source: at, local: peer.local })),
    async settle() {
      // A refusal that the stack makes itself, so that no app is asked.
      const Via = `SIP/2.0/UDP ${peer.at};branch=z9hG4bK-settle${++requests};rport`
      await peer.send(request('OPTIONS', { with: { Via, 'Call-ID': `settle-${requests}` } }), at)
      for (;;) if ((await peer.receive()).message.headers('Call-ID')[0] === `settle-${requests}`) return
    },
  }
}

/** A TCP end of a test. */
export interface TcpEnd {
  readonly socket: Socket
  send(...parts: readonly (Buffer | string)[]): void
  /** The next message; a failure where the connection ends before. */
  receive(): Promise<{ readonly text: string; readonly message: SipMessage }>
  /** Everything until the other side closes. */
  rest(): Promise<string>
}

/** Connects; closed with the test. */
export async function connectTo(to: Endpoint): Promise<TcpEnd> {
  const socket = connect(to.port, to.address)
  await once(socket, 'connect')
  return tcpEnd(socket)
}

/** The end of a connection that is there. */
export function tcpEnd(socket: Socket): TcpEnd {
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  let text = ''
  let closed = false
  const changed = new EventTarget()
  const gone = new Promise((resolve) => socket.once('close', resolve))
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    changed.dispatchEvent(new Event('change'))
  })
  socket.on('close', () => {
    closed = true
    changed.dispatchEvent(new Event('change'))
  })
  return {
    socket,
    send: (...parts) => {
      for (const part of parts) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    },
    async receive() {
      for (;;) {
        const end = text.indexOf('\r\n\r\n')
        const length =
          end < 0 ? 0 : Number(/^Content-Length: (\d+)\r$/im.exec(text.slice(0, end + 2))?.[1] ?? 0)
        if (end >= 0 && text.length >= end + 4 + length) {
          const one = text.slice(0, end + 4 + length)
          text = text.slice(one.length)
          return { text: one, message: parsed(Buffer.from(one, 'latin1')) }
        }
        if (closed) throw new Error(`closed after ${JSON.stringify(text)}`)
        await once(changed, 'change')
      }
    },
    async rest() {
      if (!closed) await gone
      const all = text
      text = ''
      return all
    },
  }
}
