/**
 * The pseudo-variables that a template may name, and those it may not (Kamailio pv module, version 5.6).
 * @module
 */
import type { MessageView } from '../message/view.ts'
import { addressInUri, addressText } from './address.ts'
import { digestField } from './digest-field.ts'
import { constant, set, span, text, type SpanReader, type Variable } from './variable.ts'
import {
  addressName,
  addressTag,
  addressUri,
  ai,
  listAddress,
  ofAddress,
  uriHost,
  uriOf,
  uriUser,
  uriUserLength,
  type AddressReader,
} from './variables-address.ts'
import { firstHeader, hdr, hdrc, hfl } from './variables-header.ts'
import { requestUri, ru, ruPort, ruScheme, ruTransport } from './variables-uri.ts'

const from: AddressReader = (view: MessageView) => view.from
const to: AddressReader = (view: MessageView) => view.to
const preferred = listAddress('P-Preferred-Identity')

/** METHOD_* of Kamailio's msg_parser.h. */
const METHOD_IDS = new Map(
  [
    'INVITE',
    'CANCEL',
    'ACK',
    'BYE',
    'INFO',
    'REGISTER',
    'SUBSCRIBE',
    'NOTIFY',
    'MESSAGE',
    'OPTIONS',
    'PRACK',
    'UPDATE',
    'REFER',
    'PUBLISH',
    'KDMQ',
    'GET',
    'POST',
    'PUT',
    'DELETE',
  ].map((name, bit) => [name, String(1 << bit)]),
)
const OTHER_METHOD = String(1 << 19)

const body: SpanReader = (view, out) => {
  const { complete, headersEnd, bodyStart, end } = view.layout
  return complete && headersEnd >= 0 && set(out, bodyStart, end)
}

const credentials = (field: Parameters<typeof digestField>[1]): Variable =>
  text((view) => digestField(view, field))

/** User and host of From: `$Au` where no module of a script has accepted credentials. */
const accountUser = text((view) => {
  const uri = view.from === null ? null : uriOf(view, view.from)
  if (uri === null) return null
  return `${view.text(uri.userStart, uri.userEnd)}@${view.text(uri.hostStart, uri.hostEnd)}`
})

/** Every pseudo-variable a template may name. */
export const VARIABLES: ReadonlyMap<string, Variable> = new Map<string, Variable>([
  // where it came from, where it arrived
  ['si', text((_view, { source }) => addressText(source.address))],
  ['siz', text((_view, { source }) => addressInUri(source.address))],
  ['sp', text((_view, { source }) => String(source.port))],
  ['Ri', text((_view, { local }) => addressText(local.address))],
  ['Rp', text((_view, { local }) => String(local.port))],
  ['proto', text((_view, { transport }) => transport)],
  ['pr', text((_view, { transport }) => transport)],
  ['su', text((_view, { source }) => `sip:${addressInUri(source.address)}:${source.port}`)],
  [
    'sut',
    text(
      (_view, { source, transport }) =>
        `sip:${addressInUri(source.address)}:${source.port};transport=${transport}`,
    ),
  ],
  // start line
  ['rm', span((view, out) => set(out, view.layout.methodStart, view.layout.methodEnd))],
  ['rmid', text((view) => METHOD_IDS.get(view.method.toUpperCase()) ?? OTHER_METHOD)],
  ['rv', span((view, out) => set(out, view.layout.versionStart, view.layout.versionStart + 7))],
  ['ru', ru],
  ['ou', ru],
  ['rU', uriUser(requestUri)],
  ['oU', uriUser(requestUri)],
  ['rd', uriHost(requestUri)],
  ['od', uriHost(requestUri)],
  ['rp', ruPort],
  ['op', ruPort],
  ['rP', ruTransport],
  ['oP', ruTransport],
  ['rz', ruScheme],
  ['rUl', uriUserLength(requestUri)],
  [
    'rs',
    span((view, out) => {
      const { kind, versionStart } = view.layout
      return kind === 'response' && set(out, versionStart + 8, versionStart + 11)
    }),
  ],
  [
    'rr',
    span((view, out) => {
      const { kind, secondStart, secondEnd } = view.layout
      return kind === 'response' && set(out, secondStart, secondEnd)
    }),
  ],
  ['mt', text((view) => (view.kind === 'request' ? '1' : '2'))],
  ['mts', text((view) => (view.kind === 'request' ? 'rq' : 'rp'))],
  // From and To
  ['fu', addressUri(from)],
  ['fU', uriUser(ofAddress(from))],
  ['fd', uriHost(ofAddress(from))],
  ['fn', addressName(from)],
  ['ft', addressTag(from)],
  ['fUl', uriUserLength(ofAddress(from))],
  ['tu', addressUri(to)],
  ['tU', uriUser(ofAddress(to))],
  ['td', uriHost(ofAddress(to))],
  ['tn', addressName(to)],
  ['tt', addressTag(to)],
  ['tUl', uriUserLength(ofAddress(to))],
  // Call-ID, CSeq and other headers
  [
    'ci',
    span((view, out) => set(out, view.valueStart(view.layout.callId), view.valueEnd(view.layout.callId))),
  ],
  ['cs', span((view, out) => set(out, view.valueStart(view.layout.cseq), view.layout.cseqNumberEnd))],
  ['csb', span((view, out) => set(out, view.valueStart(view.layout.cseq), view.valueEnd(view.layout.cseq)))],
  ['ua', firstHeader('User-Agent', 'empty')],
  ['ct', firstHeader('Contact', 'null')],
  ['cT', firstHeader('Content-Type', 'empty')],
  ['cl', firstHeader('Content-Length', 'empty')],
  ['hdr', hdr],
  ['hdrc', hdrc],
  ['hfl', hfl],
  ['ai', ai],
  ['pu', addressUri(preferred)],
  ['pU', uriUser(ofAddress(preferred))],
  ['pd', uriHost(ofAddress(preferred))],
  ['pn', addressName(preferred)],
  ['di', addressUri(listAddress('Diversion'))],
  ['re', addressUri(listAddress('Remote-Party-ID'))],
  ['rt', addressUri(listAddress('Refer-To'))],
  ['au', credentials('username')],
  ['aU', credentials('username')],
  ['ar', credentials('realm')],
  ['ad', credentials('domain')],
  ['adu', credentials('uri')],
  ['Au', accountUser],
  // whole message
  ['rb', span(body)],
  ['bs', text((view) => String(view.layout.complete ? view.layout.end - view.layout.bodyStart : 0))],
  ['mb', span((view, out) => set(out, view.layout.messageStart, view.layout.end))],
  ['ml', text((view) => String(view.layout.end - view.layout.messageStart))],
  // Set by a script only; here they are null, as in a Kamailio that never sets them.
  ['du', constant(null)],
  ['dd', constant(null)],
])

/** Variables whose value the peer cannot have, with the reason. */
export const UNUSABLE: ReadonlyMap<string, string> = new Map([
  ['TS', 'the clock differs at the peer, so the token would never match'],
  ['TV', 'the clock differs at the peer, so the token would never match'],
  ['TF', 'the clock differs at the peer, so the token would never match'],
  ['Tf', 'the clock differs at the peer, so the token would never match'],
  ['Tb', 'the clock differs at the peer, so the token would never match'],
  ['time', 'the clock differs at the peer, so the token would never match'],
  ['var', 'it holds a value of a Kamailio script'],
  ['avp', 'it holds a value of a Kamailio script'],
  ['xavp', 'it holds a value of a Kamailio script'],
  ['shv', 'it holds a value of a Kamailio script'],
  ['dlg_var', 'it holds a value of a Kamailio script'],
  ['sht', 'it holds a value of a Kamailio script'],
  ['_s', 'write its format directly in the template'],
  ['RANDOM', 'it differs at the peer, so the token would never match'],
  ['pp', 'the process id differs at the peer, so the token would never match'],
  ['mi', 'the message id differs at the peer, so the token would never match'],
])
