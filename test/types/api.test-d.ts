/**
 * The public names and shapes that others rely on, held by the type checker: each assignment below fails to compile
 * where one of them goes or changes. Results may grow, inputs may take more.
 */
import type { KeyObject } from 'node:crypto'
import * as api from '../../src/index.ts'

// ── message ──

type Transport = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss'
interface Endpoint {
  readonly address: string
  readonly port: number
}
interface SipMessage {
  readonly kind: 'request' | 'response'
  readonly method: string
  readonly requestUri: string | undefined
  readonly status: number | undefined
  headers(name: string): readonly string[]
  readonly body: Uint8Array
}
interface MessageContext {
  readonly message: SipMessage
  readonly transport: Transport
  readonly source: Endpoint
  readonly local: Endpoint
}
type ParseResult =
  | { readonly ok: true; readonly message: SipMessage }
  | { readonly ok: false; readonly reason: string; readonly offset: number }

export const parseMessage: (
  bytes: Uint8Array,
  options?: { readonly tolerance?: 'strict' | 'kamailio' },
) => ParseResult = api.parseMessage

/** Reasons are a closed union, so that a switch over them can be exhaustive. */
export const closedReasons: string extends api.ParseFailure | api.VerifyFailure | api.SignFailure
  ? never
  : true = true

export const editHeaders: (
  bytes: Uint8Array,
  edits: {
    readonly remove?: readonly string[]
    readonly add?: readonly (readonly [name: string, value: string])[]
    readonly at?: 'top' | 'end'
  },
) => Buffer = api.editHeaders

// ── template ──

interface Template {
  readonly source: string
  readonly variables: readonly string[]
  expand(
    context: MessageContext,
  ): { readonly ok: true; readonly data: Buffer } | { readonly ok: false; readonly missing: string }
}
export const compileTemplate: (
  source: string,
  options?: { readonly whenMissing?: 'null-text' | 'fail' },
) => Template = api.compileTemplate

// ── keyring ──

type KeyState = 'pending' | 'active' | 'overlapping' | 'expired' | 'revoked'
interface Key {
  readonly name: string
  readonly secret: KeyObject
  readonly fingerprint: string
  readonly activeFrom?: Date
  readonly expires?: Date
}
interface KeyRef {
  readonly group: string
  readonly name: string
}
interface Keyring {
  activeKey(group: string, now: Date): Key | undefined
  verificationKeys(group: string, now: Date): readonly Key[]
  list(now: Date): readonly (KeyRef & { readonly state: KeyState; readonly fingerprint: string })[]
}
export const keyringSource: (source: api.KeyringSource) => () => Keyring = (source) => source

export const parseKeyring: (
  toml: string,
  options?: {
    readonly resolve?: (reference: {
      readonly kind: 'env' | 'file' | 'sealed'
      readonly value: string
    }) => Uint8Array
    readonly maxKeysPerGroup?: number
  },
) => Keyring = api.parseKeyring
export const importModparams: (
  lines: string,
  loadedAt: Date,
  options?: { readonly maxKeysPerGroup?: number },
) => Keyring = api.importModparams
export const exportModparams: (keyring: api.Keyring, now: Date) => string = api.exportModparams

// ── xkeys ──

type XkeyAlgorithm = 'sha256' | 'sha384' | 'sha512' | 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512'
interface Agreement {
  readonly header: string
  readonly group: string
  readonly algorithm: XkeyAlgorithm
}
interface Sides {
  readonly sender: string
  readonly receiver: string
}
export const defineAgreement: (input: {
  readonly header: string
  readonly group: string
  readonly algorithm: XkeyAlgorithm
  readonly encoding?: 'hex' | 'base64url'
  readonly request?: string | Sides
  readonly response?: string | Sides
  readonly repeated?: 'reject' | 'first'
  readonly whenMissing?: 'null-text' | 'fail'
  readonly responses?: 'required' | 'if-present' | 'off'
  readonly maxData?: number
}) => Agreement = api.defineAgreement

type SignFailure =
  | 'group-unknown'
  | 'no-active-key'
  | 'variable-missing'
  | 'direction-unsigned'
  | 'message-unparsable'
  | 'data-too-long'
  | 'field-illegal'
interface Signer {
  sign(
    context: MessageContext,
  ):
    | { readonly ok: true; readonly header: string; readonly token: string; readonly key: KeyRef }
    | { readonly ok: false; readonly reason: string }
}
interface KeyOptions {
  readonly agreement: api.Agreement
  readonly keyring: api.Keyring | api.KeyringSource
  readonly now?: () => Date
}
export const createSigner: (options: KeyOptions) => Signer = api.createSigner
export const signFailure: (reason: SignFailure) => api.SignFailure = (reason) => reason

type VerifyFailure =
  | 'header-missing'
  | 'header-repeated'
  | 'token-malformed'
  | 'group-unknown'
  | 'no-usable-key'
  | 'variable-missing'
  | 'token-mismatch'
  | 'direction-unsigned'
  | 'message-unparsable'
  | 'data-too-long'
  | 'field-illegal'
/** The union may grow; none of these may go. */
export const verifyFailure: (reason: VerifyFailure) => api.VerifyFailure = (reason) => reason
export const verifyFailures: readonly api.VerifyFailure[] = api.VERIFY_FAILURES
interface Verifier {
  verify(
    context: MessageContext,
  ):
    | { readonly ok: true; readonly key: KeyRef; readonly state: 'pending' | 'active' | 'overlapping' }
    | { readonly ok: false; readonly reason: string }
}
export const createVerifier: (options: KeyOptions) => Verifier = api.createVerifier

// ── pipeline ──

type Identity =
  | { readonly kind: 'peer'; readonly peer: string; readonly key: KeyRef }
  | {
      readonly kind: 'user'
      readonly username: string
      readonly realm: string
      readonly attributes: Readonly<Record<string, string>>
    }
  // A response that may pass without a token.
  | { readonly kind: 'unsigned'; readonly peer: string }
type Verdict =
  | { readonly verdict: 'accept'; readonly identity: Identity; readonly remove: readonly string[] }
  | {
      readonly verdict: 'challenge'
      readonly status: 401 | 407
      readonly headers: readonly (readonly [string, string])[]
    }
  | { readonly verdict: 'reject'; readonly status: number; readonly reason: string }
  | { readonly verdict: 'drop'; readonly reason: string }
  | { readonly verdict: 'abstain' }
interface Stage {
  readonly name: string
  judge(context: MessageContext): Verdict | Promise<Verdict>
}
type Decision = Exclude<Verdict, { verdict: 'abstain' }> & { readonly stage: string }
interface Pipeline {
  decide(context: MessageContext): Decision | Promise<Decision>
}
export const createPipeline: (stages: readonly Stage[]) => Pipeline = api.createPipeline
export const verifyPeer: (options: {
  readonly peer: string
  readonly source?: readonly string[]
  readonly verifier: api.Verifier
}) => Stage = api.verifyPeer
interface AuthenticateResult {
  readonly decision: Decision
  readonly forward?: Buffer
  readonly respond?: Buffer
}
export const authenticate: (
  bytes: Uint8Array,
  from: Omit<MessageContext, 'message'>,
  pipeline: Pipeline,
) => AuthenticateResult | Promise<AuthenticateResult> = api.authenticate

// ── errors ──

interface Issue {
  readonly path: string
  readonly line?: number
  readonly message: string
}
export const configError: (error: api.ConfigError) => Error & {
  readonly code: string
  readonly issues: readonly Issue[]
} = (error) => error

/** Every type has its name at the front door. */
export type Named = [
  api.Agreement,
  api.AgreementInput,
  api.AuthenticateResult,
  api.Decision,
  api.Endpoint,
  api.ExpandResult,
  api.Identity,
  api.Issue,
  api.Key,
  api.KeyRef,
  api.KeyState,
  api.Keyring,
  api.KeyringSource,
  api.MessageContext,
  api.ParseFailure,
  api.ParseResult,
  api.Pipeline,
  api.Sides,
  api.SignResult,
  api.Signer,
  api.SipMessage,
  api.Stage,
  api.Template,
  api.Transport,
  api.Verdict,
  api.Verifier,
  api.VerifyFailure,
  api.VerifyResult,
  api.XkeyAlgorithm,
]
