/**
 * `auth-xkeys/sip`: apps written for the npm package `sip`, on hardened ground. Our transports receive, the strict parser
 * checks, the pipeline decides; the package's objects, transactions and helpers stay. What leaves is signed as bytes.
 * @module
 */
import { checkOptions, type SipOptions } from './sip-options.ts'
import { createStack, type SipHandler, type SipStack } from './sip-stack.ts'

export { copyMessage, makeResponse, parseUri, stringify, stringifyUri } from './sip-package.ts'
export type { SipHandler, SipStack } from './sip-stack.ts'
export type { SipDecided, SipLimits, SipOptions, SipSigner, SipStackEvent } from './sip-options.ts'
export type {
  SipAddress,
  SipAddressInit,
  SipAuth,
  SipCSeq,
  SipHeaders,
  SipHeadersInit,
  SipHeaderValue,
  SipLogger,
  SipParams,
  SipRemote,
  SipRequest,
  SipRequestInit,
  SipResponse,
  SipResponseExtension,
  SipRoute,
  SipUri,
  SipVia,
} from './sip-types.ts'

/**
 * Creates a stack, as `sip.create` does.
 * @throws ConfigError `ERR_CONFIG_INVALID` on options that cannot be used, with every issue
 * @example
 * const stack = createSip({ port: 5060, pipeline, signers }, (request, remote, identity) => {
 *   stack.send(makeResponse(request, 200, 'OK'))
 * })
 */
export function createSip(options: SipOptions, handler: SipHandler): SipStack {
  return createStack(options, checkOptions(options), handler)
}
