/**
 * What an adapter for the npm package `sip` is created with: the package's own options, and ours.
 * @module
 */
import { isIP } from 'node:net'
import { ConfigError, type Issue } from '../errors.ts'
import type { Endpoint, MessageContext } from '../message/types.ts'
import { createSourceMatcher } from '../pipeline/source.ts'
import type { Decision, Pipeline } from '../pipeline/stage.ts'
import type { Signer } from '../xkeys/sign.ts'
import type { SipLogger } from './sip-types.ts'

/** Who signs what goes where. */
export interface SipSigner {
  /** Next hops: `192.0.2.1`, `192.0.2.1:5060`, `192.0.2.0/28`. Over TCP a response goes to the port that the peer called from. */
  readonly target: readonly string[]
  readonly signer: Signer
}

/** Bounds. */
export interface SipLimits {
  /** Transactions at once, in each direction; an answered one lives for 32 s. Beyond it: 503. Default 50,000, about 150 MB. */
  readonly transactions: number
  /** Messages for which a stage may be waiting, a quarter of them from one address; more are dropped. Default 1000. */
  readonly decisions: number
  /** Refusals that one source address may provoke a second. Default 50. */
  readonly refusalsPerSecond: number
  /** TCP connections. Default 5000. */
  readonly connections: number
  /** TCP connections of one address. Default 100. */
  readonly connectionsPerSource: number
  /** UDP receive buffer to ask for, bytes. Default 4 MiB. */
  readonly receiveBuffer: number
}

/** What the adapter tells, beside decisions. */
export interface SipStackEvent {
  readonly event:
    | 'handler-failed'
    | 'hook-failed'
    | 'socket-error'
    | 'sign-failed'
    | 'not-sent'
    | 'transaction-ended'
  /** Never holds a token or a secret. */
  readonly reason: string
  /** What was thrown, where something was. */
  readonly error?: unknown
  /** Whom the message was from or for. */
  readonly remote?: Endpoint
}

/** One decision a message; of what is no message, `message` is absent. */
export interface SipDecided extends Partial<MessageContext> {
  readonly decision: Decision
}

/** Options of `createSip`; those above `pipeline` are the package's own. */
export interface SipOptions {
  /** To listen on, an IP address. Default `0.0.0.0`; name one where a template holds `$Ri`. */
  readonly address?: string
  /** Of UDP and TCP. Default 5060; 0: any free port, see `ready`. */
  readonly port?: number
  /** Default true. */
  readonly udp?: boolean
  /** Default true. */
  readonly tcp?: boolean
  /** Goes into Via, and is `$Ri` of what is signed where `address` is a wildcard. */
  readonly publicAddress?: string
  /** Goes into Via where there is no address. Default: name of the machine. */
  readonly hostname?: string
  /** Whether requests over UDP ask for `rport` (RFC 3581). Default true. */
  readonly rport?: boolean
  /** Of one message over TCP. Default 60,480. */
  readonly maxBytesHeaders?: number
  /** Of one message over TCP. Default 604,800. */
  readonly maxContentLength?: number
  readonly logger?: SipLogger
  readonly 'max-forwards'?: number

  /** Judges every request and every response before the app sees it. */
  readonly pipeline: Pipeline
  /** The first whose `target` fits signs. Without one, messages go as they are. */
  readonly signers?: readonly SipSigner[]
  /**
   * A CANCEL, or the ACK of a failure, without a token: `match` (default) lets it pass where it belongs to an INVITE that
   * was accepted, since a stateful Kamailio cannot sign these; `refuse` never.
   */
  readonly unsigned?: 'match' | 'refuse'
  readonly limits?: Partial<SipLimits>
  /** Every message that arrived, with what became of it: the place to count. */
  readonly onDecision?: (decided: SipDecided) => void
  readonly onError?: (event: SipStackEvent) => void
}

/** Options, checked, with their defaults. */
export interface SipSettings {
  readonly address: string
  readonly port: number
  readonly transports: readonly ('udp' | 'tcp')[]
  readonly limits: SipLimits
  readonly signers: readonly { readonly matches: (to: Endpoint) => boolean; readonly signer: Signer }[]
  readonly unsigned: 'match' | 'refuse'
}

const LIMITS: SipLimits = {
  transactions: 50_000,
  decisions: 1000,
  refusalsPerSecond: 50,
  connections: 5000,
  connectionsPerSource: 100,
  receiveBuffer: 4_194_304,
}

/** What the package offers and this adapter does not. Silence would leave an app without a listener it counts on. */
const ABSENT = ['tls', 'tls_port', 'ws_port']

/**
 * Checks options.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue
 */
export function checkOptions(options: SipOptions): SipSettings {
  const issues: Issue[] = []
  const issue = (path: string, message: string): void => void issues.push({ path, message })
  const { address = '0.0.0.0', port = 5060, unsigned = 'match' } = options
  if (isIP(address) === 0) issue('address', `${JSON.stringify(address)} is not an IP address`)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) issue('port', 'it is a number from 0 to 65535')
  for (const name of ABSENT) {
    if (Object.hasOwn(options, name)) {
      issue(name, 'TLS and WebSocket are not offered; let a proxy end them, e.g. the edge')
    }
  }
  const transports = (['udp', 'tcp'] as const).filter((transport) => options[transport] ?? true)
  if (transports.length === 0) issue('udp', 'udp and tcp are both off; nothing would be received')
  if (typeof (options.pipeline as Pipeline | undefined)?.decide !== 'function') {
    issue('pipeline', 'it is what createPipeline returns')
  }
  if (unsigned !== 'match' && unsigned !== 'refuse') issue('unsigned', 'it is one of match, refuse')
  for (const [name, value] of Object.entries({
    ...options.limits,
    maxBytesHeaders: options.maxBytesHeaders,
    maxContentLength: options.maxContentLength,
  })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0)) {
      issue(name in LIMITS ? `limits.${name}` : name, 'it is a whole number above 0')
    }
  }
  // Where a caller without types says undefined, the default holds: a comparison with undefined would lift the limit.
  const given = Object.entries(options.limits ?? {}).filter(([, value]) => value !== undefined)
  const limits: SipLimits = { ...LIMITS, ...Object.fromEntries(given) }
  const signers = (options.signers ?? []).map(({ target, signer }, index) => {
    try {
      return { matches: createSourceMatcher(target), signer }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      for (const { path, message } of error.issues) {
        issue(`signers[${index}].${path.replace('source', 'target')}`, message)
      }
      return { matches: () => false, signer }
    }
  })
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return { address, port, transports, limits, signers, unsigned }
}
