// @ts-check
/** From the raw INVITE to the verdict, counters on, beside what `sip` takes to parse it alone. */
import { createRequire } from 'node:module'
import {
  createSigner,
  createVerifier,
  defineAgreement,
  editHeaders,
  parseKeyring,
  parseMessage,
} from 'auth-xkeys'
import { LOCAL, SOURCE, VARIANTS, invite } from './messages.mjs'
import { measure, report } from './measure.mjs'

const sip = createRequire(import.meta.url)('sip')
const key = (/** @type {number} */ i) =>
  `[[groups.g.keys]]\nname = "k${i}"\nvalue = "xks_bench-${String(i).padStart(4, '0')}-0123456789abcdefghijklmnop"\n`
const keyring = (/** @type {number} */ count) =>
  parseKeyring(Array.from({ length: count }, (_, i) => key(i)).join('\n'), { maxKeysPerGroup: count })

const agreement = defineAgreement({
  header: 'X-Auth',
  group: 'g',
  algorithm: 'hmac-sha256',
  request: '$si:$fu:$ru:$hdr(CSeq)',
})
const from = /** @type {const} */ ({ transport: 'udp', source: SOURCE, local: LOCAL })
// Key 0 is listed first: among many keys it is the oldest, which is tried last.
const signer = createSigner({ agreement, keyring: keyring(1) })
const pool = Array.from({ length: VARIANTS }, (_, i) => {
  const bytes = invite(i)
  const parsed = parseMessage(bytes)
  if (!parsed.ok) throw new Error(parsed.reason)
  const signed = signer.sign({ message: parsed.message, ...from })
  if (!signed.ok) throw new Error(signed.reason)
  return editHeaders(bytes, { add: [[signed.header, signed.token]] })
})

const counters = { accepted: 0, refused: 0, keys: new Map([['k0', { value: 0 }]]) }
/** @param {number} count */
function verdictWith(count) {
  const verifier = createVerifier({ agreement, keyring: keyring(count) })
  return (/** @type {number} */ i) => {
    const parsed = parseMessage(pool[i % VARIANTS])
    if (!parsed.ok) throw new Error(parsed.reason)
    const { message } = parsed
    const result = verifier.verify({ message, transport: 'udp', source: SOURCE, local: LOCAL })
    if (!result.ok) throw new Error(result.reason)
    counters.accepted++
    const cell = counters.keys.get(result.key.name)
    if (cell !== undefined) cell.value++
    return result
  }
}

report(
  measure({
    'auth-xkeys, 1 key': verdictWith(1),
    'auth-xkeys, 1,000 keys, the oldest matches': verdictWith(1000),
    'sip.parse alone': (i) => sip.parse(pool[i % VARIANTS]),
  }),
  { bytes: pool[0]?.length },
)
