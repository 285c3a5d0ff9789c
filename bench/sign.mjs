// @ts-check
/** Signing a parsed message and laying the header into its bytes; and from the raw bytes on. */
import { createRequire } from 'node:module'
import {
  createSigner,
  defineAgreement,
  editHeaders,
  generateSecret,
  parseKeyring,
  parseMessage,
} from 'auth-xkeys'
import { LOCAL, SOURCE, VARIANTS, invite } from './messages.mjs'
import { measure, report } from './measure.mjs'

const sip = createRequire(import.meta.url)('sip')
const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'g',
  algorithm: 'hmac-sha256',
  request: '$Ri:$fu:$ru:$hdr(CSeq)',
})
const keyring = parseKeyring(`[[groups.g.keys]]\nname = "k"\nvalue = "${generateSecret()}"\n`)
const signer = createSigner({ agreement, keyring })
const from = /** @type {const} */ ({ transport: 'udp', source: SOURCE, local: LOCAL })
const pool = Array.from({ length: VARIANTS }, (_, i) => invite(i))
const messages = pool.map((bytes) => {
  const parsed = parseMessage(bytes)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.message
})

/** @param {import('auth-xkeys').SipMessage} message */
function token(message) {
  const result = signer.sign({ message, ...from })
  if (!result.ok) throw new Error(result.reason)
  return result
}

report(
  measure({
    'auth-xkeys, sign': (i) => token(messages[i % VARIANTS]),
    'auth-xkeys, parse, sign and insert': (i) => {
      const bytes = pool[i % VARIANTS]
      const parsed = parseMessage(bytes)
      if (!parsed.ok) throw new Error(parsed.reason)
      const { header, token: value } = token(parsed.message)
      return editHeaders(bytes, { remove: [header], add: [[header, value]] })
    },
    'sip, parse and stringify alone': (i) => sip.stringify(sip.parse(pool[i % VARIANTS])),
  }),
  { bytes: pool[0]?.length },
)
