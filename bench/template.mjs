// @ts-check
/** Expanding templates, from the short one to one with transformations. */
import { compileTemplate, parseMessage } from 'auth-xkeys'
import { LOCAL, SOURCE, VARIANTS, invite } from './messages.mjs'
import { measure, report } from './measure.mjs'

const TEMPLATES = [
  '$si:$fu:$ru:$hdr(CSeq)',
  '$rm:$fu:$tu:$ft:$ci:$cs:$ru:$hdr(Contact)',
  '$(fu{uri.user})@$(ru{uri.host}):$(hdr(Contact){nameaddr.uri}):$(rb{s.sha256})',
]
const contexts = Array.from({ length: VARIANTS }, (_, i) => {
  const parsed = parseMessage(invite(i))
  if (!parsed.ok) throw new Error(parsed.reason)
  return /** @type {const} */ ({ message: parsed.message, transport: 'udp', source: SOURCE, local: LOCAL })
})
report(
  measure(
    Object.fromEntries(
      TEMPLATES.map((source) => {
        const template = compileTemplate(source)
        return [source, (/** @type {number} */ i) => template.expand(contexts[i % VARIANTS])]
      }),
    ),
  ),
)
