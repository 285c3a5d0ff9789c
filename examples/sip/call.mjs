// @ts-check
/**
 * The other end: places a call to app.mjs, signed, and ends it. What comes back must be signed too. TARGET says where the
 * application is, ADDRESS where this end is.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createPipeline, createSigner, createVerifier, parseKeyring, verifyPeer } from 'auth-xkeys'
import { createSip } from 'auth-xkeys/sip'
import { agreement } from './agreement.mjs'

const address = process.env['ADDRESS'] ?? '127.0.0.2'
const target = process.env['TARGET'] ?? '127.0.0.1:5060'
const host = target.split(':')[0] ?? target
const keyring = parseKeyring(readFileSync(new URL('../../keyrings/demo.toml', import.meta.url), 'utf8'), {
  now: new Date(),
})
const verifier = createVerifier({ agreement, keyring })

const stack = createSip(
  {
    address,
    port: 0,
    pipeline: createPipeline([verifyPeer({ peer: 'app', source: [host], verifier })]),
    signers: [{ target: [host], signer: createSigner({ agreement, keyring }) }],
    onError: ({ event, reason }) => console.log(`${event}: ${reason}`),
  },
  () => {},
)

const { port } = await stack.ready
const id = randomBytes(8).toString('hex')
const uri = `sip:echo@${target}`

/** @param {string} method @param {number} seq @param {import('auth-xkeys/sip').SipAddressInit} to */
const requestOf = (method, seq, to) => ({
  method,
  uri,
  headers: {
    'max-forwards': '70',
    from: { uri: `sip:caller@${address}`, params: { tag: id } },
    to,
    'call-id': `${id}@${address}`,
    cseq: { seq, method },
    contact: [{ uri: `sip:caller@${address}:${port}` }],
  },
})

const invite = requestOf('INVITE', 1, { uri })
stack.send(
  { ...invite, headers: { ...invite.headers, 'content-type': 'application/sdp' }, content: 'v=0\r\ns=-\r\n' },
  (response) => {
    console.log(`${response.status} ${response.reason}`)
    if (response.status < 200) return
    if (response.status >= 300) return void stack.destroy()
    stack.send(requestOf('ACK', 1, response.headers.to))
    stack.send(requestOf('BYE', 2, response.headers.to), (end) => {
      console.log(`ended with ${end.status}`)
      void stack.destroy()
    })
  },
)
