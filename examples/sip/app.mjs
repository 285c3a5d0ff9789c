// @ts-check
/**
 * An application on the package `sip` behind a trunk whose other end signs: it answers calls, and OPTIONS. Requests
 * without a token that fits never reach it; what it answers is signed.
 *
 * ADDRESS, PORT and PEER say where it listens and whom it trusts. The keys are the published ones of
 * keyrings/demo.toml: put your own in their place.
 */
import { readFileSync } from 'node:fs'
import { createPipeline, createSigner, createVerifier, parseKeyring, verifyPeer } from 'auth-xkeys'
import { createSip, makeResponse } from 'auth-xkeys/sip'
import { agreement } from './agreement.mjs'

const address = process.env['ADDRESS'] ?? '127.0.0.1'
const peer = process.env['PEER'] ?? '127.0.0.1'
const keyring = parseKeyring(readFileSync(new URL('../../keyrings/demo.toml', import.meta.url), 'utf8'), {
  now: new Date(),
})
const verifier = createVerifier({ agreement, keyring })

const stack = createSip(
  {
    address,
    port: Number(process.env['PORT'] ?? 5060),
    pipeline: createPipeline([verifyPeer({ peer: 'carrier', source: [peer], verifier })]),
    signers: [{ target: [peer], signer: createSigner({ agreement, keyring }) }],
    onDecision: ({ decision, message, source }) => {
      const why = decision.verdict === 'reject' || decision.verdict === 'drop' ? ` (${decision.reason})` : ''
      console.log(`${message?.method ?? 'no message'} from ${source?.address}: ${decision.verdict}${why}`)
    },
    onError: ({ event, reason }) => console.log(`${event}: ${reason}`),
  },
  (request, _remote, identity) => {
    const name = identity.kind === 'peer' ? `${identity.peer}, key ${identity.key.name}` : identity.kind
    switch (request.method) {
      case 'INVITE':
        console.log(`call from ${name}`)
        request.headers.to.params['tag'] = Math.random().toString(36).slice(2)
        stack.send(makeResponse(request, 180, 'Ringing'))
        stack.send(
          makeResponse(request, 200, 'OK', {
            headers: { contact: [{ uri: `sip:${stack.hostname()}` }], 'content-type': 'application/sdp' },
            content: request.content,
          }),
        )
        break
      case 'ACK':
        console.log('call up')
        break
      case 'BYE':
        stack.send(makeResponse(request, 200, 'OK'))
        console.log('call ended')
        break
      case 'OPTIONS':
        stack.send(makeResponse(request, 200, 'OK'))
        break
      default:
        stack.send(
          makeResponse(request, 405, 'Method Not Allowed', {
            headers: { allow: 'INVITE, ACK, BYE, OPTIONS' },
          }),
        )
    }
  },
)

const { port } = await stack.ready
console.log(`listening on ${address}:${port}`)
process.once('SIGTERM', () => void stack.destroy())
