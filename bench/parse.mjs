// @ts-check
/** Parsing alone, beside the parsers of the npm registry. */
import { createRequire } from 'node:module'
import { parseMessage } from 'auth-xkeys'
import { VARIANTS, invite } from './messages.mjs'
import { measure, report } from './measure.mjs'

const require = createRequire(import.meta.url)
const compare = createRequire(new URL('./compare/package.json', import.meta.url))
const sip = require('sip')
const { SipMessage } = compare('drachtio-sip')
const JsSIP = compare('jssip/lib/Parser')

const pool = Array.from({ length: VARIANTS }, (_, i) => invite(i))
// These two take text: making it from the packet is not counted against them.
const text = pool.map((bytes) => bytes.toString('latin1'))
/** What JsSIP's parser wants of a user agent. */
const ua = { configuration: {} }

report(
  measure({
    'auth-xkeys (strict)': (i) => parseMessage(pool[i % VARIANTS]),
    'sip 0.0.6': (i) => sip.parse(pool[i % VARIANTS]),
    'drachtio-sip 0.6.3': (i) => new SipMessage(text[i % VARIANTS]),
    'jssip 3.13.8': (i) => JsSIP.parseMessage(text[i % VARIANTS], ua),
  }),
  { bytes: pool[0]?.length },
)
