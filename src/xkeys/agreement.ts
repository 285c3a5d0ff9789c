/**
 * Agreements: what both ends of a trunk settle beforehand.
 * @module
 */
import { ConfigError, nearest, type Issue } from '../errors.ts'
import { isHeaderName } from '../message/header-names.ts'
import { compileTemplate, type Template, type WhenMissing } from '../template/compile.ts'
import { ALGORITHMS, type AlgorithmSpec, type XkeyAlgorithm } from './algorithm.ts'

/** The templates of the two roles; they differ where an address does: the sender's `$Ri` is the receiver's `$si`. */
export interface Sides<T = string> {
  readonly sender: T
  readonly receiver: T
}

/** What `defineAgreement` takes. */
export interface AgreementInput {
  /** Name of the token header. */
  readonly header: string
  /** Key group in the keyring. */
  readonly group: string
  /** Case-insensitive. */
  readonly algorithm: XkeyAlgorithm
  /** Of hmac tokens when signing, `hex` by default; verifying accepts both. */
  readonly encoding?: 'hex' | 'base64url'
  /** Template of requests; a plain string serves both sides. Absent: requests carry no token. */
  readonly request?: string | Sides
  /** Template of responses. Absent: responses carry no token. */
  readonly response?: string | Sides
  /** A repeated token header: refused (default), or the first one counts as in Kamailio. */
  readonly repeated?: 'reject' | 'first'
  /** Default: `null-text` for sha forms, `fail` for hmac. */
  readonly whenMissing?: WhenMissing
  /** Default: `if-present` for sha forms (a stateful Kamailio cannot sign its own), `required` for hmac. */
  readonly responses?: 'required' | 'if-present' | 'off'
  /** Longest data, bytes; default 8192, Kamailio's `pv_buffer_size` up to 5.7. */
  readonly maxData?: number
}

/** An agreement, checked and compiled. */
export interface Agreement {
  readonly header: string
  readonly group: string
  readonly algorithm: XkeyAlgorithm
  readonly spec: AlgorithmSpec
  readonly encoding: 'hex' | 'base64url'
  readonly request: Sides<Template> | undefined
  readonly response: Sides<Template> | undefined
  readonly repeated: 'reject' | 'first'
  readonly whenMissing: WhenMissing
  readonly responses: 'required' | 'if-present' | 'off'
  readonly maxData: number
}

/** Headers that a message cannot spare: removing every line of that name before adding a token would break it. */
const RESERVED = new Set(
  'via v from f to t call-id i cseq max-forwards content-length l content-type c contact m route record-route require proxy-require supported k authorization proxy-authorization www-authenticate proxy-authenticate expires event o session-expires x refer-to r identity y'.split(
    ' ',
  ),
)

/** Settings with a closed set of values. A slip in one of them would otherwise choose the laxer way in silence. */
const CHOICES: readonly (readonly [keyof AgreementInput, readonly unknown[]])[] = [
  ['encoding', ['hex', 'base64url']],
  ['repeated', ['reject', 'first']],
  ['whenMissing', ['null-text', 'fail']],
  ['responses', ['required', 'if-present', 'off']],
]

/** Kamailio's default buffer, and the largest that makes sense for a datagram. */
const DEFAULT_MAX_DATA = 8192
const LARGEST_MAX_DATA = 65536

/**
 * Checks and compiles an agreement.
 * @throws ConfigError `ERR_AGREEMENT_INVALID` with every issue: unknown algorithm, bad header name, templates that do
 *   not compile, a response template without `$rs` (a token of a request could be offered as one of a response), …
 * @example
 * defineAgreement({ header: 'X-Auth', group: 'trunk-a', algorithm: 'hmac-sha256',
 *   request: { sender: '$Ri:$fu:$ru:$hdr(CSeq)', receiver: '$si:$fu:$ru:$hdr(CSeq)' } })
 */
export function defineAgreement(input: AgreementInput): Agreement {
  const issues: Issue[] = []
  const header = input.header.trimEnd()
  if (!isHeaderName(header))
    issues.push({ path: 'header', message: `${JSON.stringify(header)} is not a header name` })
  else if (RESERVED.has(header.toLowerCase())) {
    issues.push({
      path: 'header',
      message: `${header} is needed by SIP itself; choose a name of your own, e.g. X-Auth`,
    })
  }
  if (input.group === '') issues.push({ path: 'group', message: 'it is empty' })

  const spec = ALGORITHMS.get(input.algorithm.toLowerCase())
  if (spec === undefined) {
    const hint = nearest(input.algorithm, ALGORITHMS.keys())
    const message = `unknown algorithm ${JSON.stringify(input.algorithm)}`
    issues.push({
      path: 'algorithm',
      message: hint === undefined ? message : `${message}; did you mean ${hint}?`,
    })
  }
  const hmac = spec?.family === 'hmac'
  const encoding = input.encoding ?? 'hex'
  if (encoding === 'base64url' && spec !== undefined && !hmac) {
    issues.push({ path: 'encoding', message: `${spec.name} tokens are hex; base64url is for the hmac forms` })
  }
  for (const [name, values] of CHOICES) {
    const value = input[name]
    if (value !== undefined && !values.includes(value)) {
      issues.push({ path: name, message: `it is one of ${values.join(', ')}, not ${JSON.stringify(value)}` })
    }
  }
  const maxData = input.maxData ?? DEFAULT_MAX_DATA
  if (!Number.isInteger(maxData) || maxData < 64 || maxData > LARGEST_MAX_DATA) {
    issues.push({ path: 'maxData', message: `it is a number of bytes from 64 to ${LARGEST_MAX_DATA}` })
  }

  const whenMissing = input.whenMissing ?? (hmac ? 'fail' : 'null-text')
  const request = compileSides(input.request, 'request', whenMissing, issues)
  const response = compileSides(input.response, 'response', whenMissing, issues)
  if (input.request === undefined && input.response === undefined) {
    issues.push({
      path: 'request',
      message: 'neither requests nor responses have a template; nothing would be signed',
    })
  }
  const responses = input.responses ?? (hmac ? 'required' : 'if-present')
  if (response !== undefined && input.request !== undefined) {
    for (const side of ['sender', 'receiver'] as const) {
      if (!response[side].variables.some((variable) => variable === '$rs' || variable === '$(rs)')) {
        const message = 'it needs $rs, or the token of a request could be offered as that of a response'
        issues.push({ path: sidePath(input.response, 'response', side), message })
      }
    }
  }
  if (spec === undefined || issues.length > 0) throw new ConfigError('ERR_AGREEMENT_INVALID', dedupe(issues))
  return Object.freeze({
    header,
    group: input.group,
    algorithm: spec.name,
    spec,
    encoding,
    request,
    response: responses === 'off' ? undefined : response,
    repeated: input.repeated ?? 'reject',
    whenMissing,
    responses,
    maxData,
  })
}

function sidePath(template: string | Sides | undefined, direction: string, side: string): string {
  return typeof template === 'object' ? `${direction}.${side}` : direction
}

function compileSides(
  templates: string | Sides | undefined,
  direction: 'request' | 'response',
  whenMissing: WhenMissing,
  issues: Issue[],
): Sides<Template> | undefined {
  if (templates === undefined) return undefined
  const compile = (source: string, side: string): Template | undefined => {
    try {
      return compileTemplate(source, { whenMissing })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      const path = sidePath(templates, direction, side)
      issues.push(
        ...error.issues.map((issue) => ({ path: `${path}, ${issue.path}`, message: issue.message })),
      )
      return undefined
    }
  }
  if (typeof templates === 'string') {
    const template = compile(templates, 'sender')
    return template && { sender: template, receiver: template }
  }
  const sender = compile(templates.sender, 'sender')
  const receiver = compile(templates.receiver, 'receiver')
  return sender && receiver && { sender, receiver }
}

/** A template that serves both sides would tell its faults twice. */
function dedupe(issues: readonly Issue[]): Issue[] {
  return [...new Map(issues.map((issue) => [`${issue.path}\n${issue.message}`, issue])).values()]
}
