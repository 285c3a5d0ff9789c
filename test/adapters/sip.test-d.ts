/**
 * The declarations of `auth-xkeys/sip`, as the apps of the package use it: each statement fails to compile where they no
 * longer fit.
 */
import {
  copyMessage,
  createSip,
  makeResponse,
  parseUri,
  type SipHandler,
  type SipRemote,
  type SipRequest,
  type SipResponse,
  type SipStack,
  type SipUri,
} from '../../src/adapters/sip.ts'
import type * as api from '../../src/index.ts'

declare const pipeline: api.Pipeline
declare const signer: api.Signer

/** A handler that takes less is a handler. */
export const handlers: readonly SipHandler[] = [
  () => {},
  (request) => void request.method,
  async (request: SipRequest, remote: SipRemote, identity: api.Identity) => {
    await Promise.resolve([request.uri, remote.local.port, identity.kind === 'peer' && identity.key.name])
  },
]

/** The smallest options, and all. */
export const stacks: readonly SipStack[] = [
  createSip({ pipeline }, () => {}),
  createSip(
    {
      port: 5060,
      address: '192.0.2.1',
      udp: true,
      tcp: false,
      publicAddress: '192.0.2.2',
      hostname: 'sip.example',
      rport: true,
      maxBytesHeaders: 1,
      maxContentLength: 1,
      logger: { recv: (message, remote) => void [message.headers, remote.port], send() {}, error() {} },
      'max-forwards': 70,
      pipeline,
      signers: [{ target: ['192.0.2.1'], signer }],
      unsigned: 'match',
      limits: { transactions: 1 },
      onDecision: ({ decision, message }) => void [decision.verdict, message?.method],
      onError: ({ event, reason, error, remote }) => void [event, reason, error, remote?.port],
    },
    () => {},
  ),
]

// @ts-expect-error a stack without a pipeline would be open to all
createSip({ port: 5060 }, () => {})
// @ts-expect-error a slip of the hand
createSip({ pipeline, singers: [] }, () => {})

/** What apps do with a request. */
export function use(stack: SipStack, request: SipRequest): void {
  const { from, to, contact, cseq, via, route } = request.headers
  const tag: string | number | null | undefined = from.params['tag']
  to.params['tag'] = 'mine'
  if (contact !== '*') void contact?.[0]?.uri.length
  const seq: number = cseq.seq + 1
  const branch = via[0]?.params['branch']
  const custom: string | undefined = request.headers['x-custom']
  const first = route?.[0]?.uri
  const host = typeof first === 'object' ? first.host : parseUri(first ?? '')?.host
  void [tag, seq, branch, custom, host]

  const response: SipResponse = makeResponse(request, 200, 'OK', {
    headers: { contact: [{ uri: 'sip:a@b' }], 'x-more': '1' },
    content: 'body',
  })
  stack.send(response)
  const forward = copyMessage(request, true)
  forward.headers['max-forwards'] = '69'
  stack.send(forward, (answer, identity) => {
    if (identity?.kind === 'peer') void identity.key.name
    answer.headers.via.shift()
    stack.send(answer)
  })
  stack.send({
    method: 'BYE',
    uri: 'sip:a@b',
    headers: {
      from: request.headers.to,
      to: { uri: 'sip:a@b', params: { tag: 'x' } },
      'call-id': request.headers['call-id'],
      cseq: { method: 'BYE', seq: 2 },
    },
  })
  const flow: SipUri = stack.encodeFlowUri({
    protocol: 'TCP',
    address: 'a',
    port: 1,
    local: { address: 'b', port: 2 },
  })
  void [stack.decodeFlowUri(flow)?.port, stack.isFlowUri('sip:a@b'), stack.hostname().length]
  void stack.destroy().then(() => stack.ready.then(({ port }) => port))
}

/** A request and a response are told apart as in the package: only one has a method. */
export const kind = (message: SipRequest | SipResponse): string | number =>
  message.method === undefined ? message.status : message.method
