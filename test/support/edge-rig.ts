import { pino } from 'pino'
import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { createEdge, type Edge, type EdgeOptions } from '../../src/edge/edge.ts'
import { parseEdgeConfig, type EdgeConfig } from '../../src/edge/config.ts'
import { openClaims } from '../../src/edge/open-claims.ts'
import { createUserClock, monotonicNow } from '../../src/edge/user-stages.ts'
import type { UserStores } from '../../src/edge/users.ts'
import { describeKeyring } from '../../src/keyring/facts.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { editHeaders } from '../../src/message/edit.ts'
import type { Endpoint, SipMessage } from '../../src/message/types.ts'
import type { CellFamily } from '../../src/metrics/counters.ts'
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts'
import { createSigner } from '../../src/xkeys/sign.ts'
import { createVerifier, type VerifyResult } from '../../src/xkeys/verify.ts'
import { bytesOf, contextOf, parsed, type Parts } from './messages.ts'
import { keyringOf } from './signed-messages.ts'
import { openPeer, type Received, type UdpPeer } from './udp-peer.ts'

/** What an edge tells. */
export type EdgeEvent = Parameters<NonNullable<EdgeOptions['onEvent']>>[0]

/** `{carrier}`, `{second}` and `{upstream}` in these texts become `127.0.0.1:port`. */
export interface RigOptions {
  /** Lines of `[agreements.main]` behind header, group, algorithm and templates. */
  readonly agreement?: string
  /** Lines of `[upstream]` behind `target`. */
  readonly upstream?: string
  /** Lines of `[trunks.carrier]` in place of its `sources` and `target`. */
  readonly carrier?: string
  /** Whole tables. */
  readonly more?: string
  readonly keyring?: Keyring
  readonly secret?: string
  /** Where users are looked up, where `more` configures them. */
  readonly credentials?: UserStores['credentials']
}

/** An edge with a peer on each side, and two more sockets. */
export interface Rig {
  readonly edge: Edge
  readonly config: EdgeConfig
  readonly metrics: Metrics
  readonly events: readonly EdgeEvent[]
  readonly decisions: readonly EdgeEvent[]
  readonly carrier: UdpPeer
  readonly second: UdpPeer
  readonly upstream: UdpPeer
  /** Where peers and where the upstream send to. */
  readonly trunkAt: Endpoint
  readonly upstreamAt: Endpoint
  /** Signs as the peer of a trunk does: `local` is its own address. */
  sign(bytes: Buffer, by?: UdpPeer, trunk?: string): Buffer
  /** Verifies as the peer of a trunk does: the source is the edge. */
  verify(message: SipMessage, at?: UdpPeer, trunk?: string): VerifyResult
  /** Waits until all that was sent has been dealt with; what arrived at carrier and upstream meanwhile. */
  settle(): Promise<{ readonly carrier: readonly Received[]; readonly upstream: readonly Received[] }>
}

const HEAD = `
keyring = "unused"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = { sender = "$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)", receiver = "$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)" }
response = { sender = "$Ri:$rs:$fu:$tu:$ci:$hdr(CSeq)", receiver = "$si:$rs:$fu:$tu:$ci:$hdr(CSeq)" }
`

/** Starts an edge on loopback; everything closes with the test. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const [carrier, second, upstream] = await Promise.all([openPeer(), openPeer(), openPeer()])
  const keyring = options.keyring ?? keyringOf()
  const text = [
    HEAD,
    options.agreement ?? '',
    '[upstream]\ntarget = "{upstream}"',
    options.upstream ?? '',
    '[trunks.carrier]\nagreement = "main"',
    options.carrier ?? 'sources = ["{carrier}"]\ntarget = "{carrier}"',
    options.more ?? '',
  ]
    .join('\n')
    .replaceAll('{carrier}', carrier.at)
    .replaceAll('{second}', second.at)
    .replaceAll('{upstream}', upstream.at)
  const config = parseEdgeConfig(text)
  const metrics = createMetrics({
    version: 'test',
    process: 'none',
    keyring: () => describeKeyring(keyring, new Date()),
  })
  const events: EdgeEvent[] = []
  const decisions: EdgeEvent[] = []
  const edge = await createEdge({
    config,
    keyring: () => keyring,
    metrics,
    ...(options.secret !== undefined && { secret: options.secret }),
    users: await storesOf(config, options.credentials),
    onEvent: (event) => events.push(event),
    onDecision: (event) => decisions.push(event),
  })
  onTestFinished(async () => {
    await Promise.all([edge.close(), carrier.close(), second.close(), upstream.close()])
  })
  const trunkAt = edge.sockets.trunk.local
  const upstreamAt = edge.sockets.upstream.local
  const agreementOf = (name: string) => config.trunks.find((trunk) => trunk.name === name)!.agreement

  const sign: Rig['sign'] = (bytes, by = carrier, trunk = 'carrier') => {
    const signer = createSigner({ agreement: agreementOf(trunk), keyring })
    const result = signer.sign(contextOf(bytes, { local: by.local, source: trunkAt }))
    if (!result.ok) throw new Error(`not signed: ${result.reason}`)
    return editHeaders(bytes, { add: [[result.header, result.token]] })
  }

  const verify: Rig['verify'] = (message, at = carrier, trunk = 'carrier') =>
    createVerifier({ agreement: agreementOf(trunk), keyring }).verify(
      contextOf(message, { source: trunkAt, local: at.local }),
    )

  /** One request to the upstream and its answer back; FIFO queues make it arrive behind all that was sent before. */
  async function probe(seen: { carrier: Received[]; upstream: Received[] }): Promise<void> {
    const id = `probe-${randomBytes(6).toString('hex')}`
    const isProbe = ({ text }: Received): boolean => text.includes(`Call-ID: ${id}`)
    await carrier.send(sign(requestOf('OPTIONS', carrier, { with: { 'Call-ID': id } })), trunkAt)
    let request = await upstream.receive()
    for (; !isProbe(request); request = await upstream.receive()) seen.upstream.push(request)
    await upstream.send(answerTo(request.bytes, '200 OK'), upstreamAt)
    let answer = await carrier.receive()
    for (; !isProbe(answer); answer = await carrier.receive()) seen.carrier.push(answer)
  }

  const settle: Rig['settle'] = async () => {
    const seen = { carrier: [], upstream: [] }
    await probe(seen)
    // Once more: what the first answer overtook on another socket is in before the second request.
    await probe(seen)
    return seen
  }

  return {
    edge,
    config,
    metrics,
    events,
    decisions,
    carrier,
    second,
    upstream,
    trunkAt,
    upstreamAt,
    sign,
    verify,
    settle,
  }
}

const BACKEND = { backend: 'test', state: 'up', hits: 0, misses: 0, failures: 0, waiting: 0 } as const

async function storesOf(
  config: EdgeConfig,
  credentials: UserStores['credentials'] = { find: () => undefined },
): Promise<UserStores | undefined> {
  const { users } = config
  if (users === undefined) return undefined
  const time = createUserClock()
  const log = pino({ level: 'silent' })
  const claims = await openClaims({ path: '', config, env: {} }, users.claims, {
    log,
    time,
    monotonic: monotonicNow,
  })
  return { credentials, claims, time, backend: () => BACKEND }
}

/** A request as `peer` sends it. */
export function requestOf(method: string, peer: UdpPeer, parts: Parts = {}): Buffer {
  return bytesOf({
    start: `${method} sip:bob@biloxi.example SIP/2.0`,
    ...parts,
    with: {
      Via: `SIP/2.0/UDP ${peer.at};branch=z9hG4bKpeer-1;rport`,
      CSeq: `314159 ${method}`,
      ...parts.with,
    },
  })
}

/** The answer that whoever received `request` sends: its Via lines, a To tag. */
export function answerTo(request: Buffer, status: string, add: Parts['add'] = []): Buffer {
  const message = parsed(request)
  const [to = ''] = message.headers('To')
  const one = (name: string): string => `${name}: ${message.headers(name)[0]}`
  return Buffer.from(
    [
      `SIP/2.0 ${status}`,
      ...message.headers('Via').map((via) => `Via: ${via}`),
      one('From'),
      `To: ${to.includes(';tag=') ? to : `${to};tag=answer`}`,
      one('Call-ID'),
      one('CSeq'),
      ...add.map((line) => (typeof line === 'string' ? line : `${line[0]}: ${line[1]}`)),
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
    'latin1',
  )
}

/** The series that are not 0, as `label,label`. */
export function moved(family: CellFamily<string>): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { labels, value } of family.entries()) {
    if (value !== 0) found[Object.values(labels).join(',')] = value
  }
  return found
}
