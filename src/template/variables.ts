/**
 * The pseudo-variables: what each reads from a message and its context (Kamailio pv module, version 5.6).
 * @module
 */
import { COMMA, spells } from '../message/chars.ts'
import { headerSelector, isHeaderName, type HeaderSelector } from '../message/header-names.ts'
import { parseNameAddr, type NameAddr } from '../message/name-addr.ts'
import type { MessageContext } from '../message/types.ts'
import { findParam, parseUri, type Uri } from '../message/uri.ts'
import type { MessageView } from '../message/view.ts'
import { addressInUri, addressText } from './address.ts'
import { trimBoth } from './blanks.ts'
import { digestField } from './digest-field.ts'

/** A piece of the message's bytes; reused from call to call, so that a hot path allocates nothing. */
export interface Span {
  start: number
  end: number
}

/** Sets `span` and returns true, or returns false for null. */
export type SpanReader = (view: MessageView, span: Span) => boolean
/** Latin1 text, or null. */
export type TextReader = (view: MessageView, context: MessageContext) => string | null

/** How a variable is read: as bytes of the message, or as text. */
export type Reader = { readonly span: SpanReader } | { readonly text: TextReader }

/** What an expression may add to a variable's name. */
export interface VariableUse {
  readonly inner: string | undefined
  readonly index: number | '*' | undefined
}

/** Makes the reader of one use. Returns a message where the use makes no sense. */
export type Variable = (use: VariableUse) => Reader | string

function set(span: Span, start: number, end: number): true {
  span.start = start
  span.end = end
  return true
}

/** A variable that takes neither parameter nor index. */
function plain(reader: Reader): Variable {
  return ({ inner, index }) => {
    if (inner !== undefined) return 'it takes no parameter'
    // Kamailio ignores an index here; a template that has one means something else.
    return index === undefined ? reader : 'it takes no index'
  }
}

const span = (read: SpanReader): Variable => plain({ span: read })
const text = (read: TextReader): Variable => plain({ text: read })
const constant = (value: string | null): Variable => plain({ text: () => value })

// ── headers ──────────────────────────────────────────────────────────────────────────────────────

/** A header whose body Kamailio keeps from its own parse, even where a later header is bad. */
function firstHeader(name: string, empty: 'empty' | 'null'): Variable {
  const selector = headerSelector(name)
  return span((view, out) => {
    const row = view.find(selector, 0)
    if (row < 0 || (empty === 'null' && view.valueStart(row) === view.valueEnd(row))) return false
    return set(out, view.valueStart(row), view.valueEnd(row))
  })
}

function rowsOf(view: MessageView, selector: HeaderSelector): number[] {
  const rows: number[] = []
  if (!view.layout.complete) return rows
  for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) rows.push(row)
  return rows
}

function valueText(view: MessageView, row: number): string {
  return view.text(view.valueStart(row), view.valueEnd(row))
}

function headerName(inner: string | undefined): HeaderSelector | string {
  if (inner === undefined || inner === '') return 'it needs a header name, as in $hdr(CSeq)'
  return isHeaderName(inner.trimEnd())
    ? headerSelector(inner)
    : `${JSON.stringify(inner)} is not a header name`
}

/** `$hdr(name)`, `$(hdr(name)[n])`: pv_get_hdr. */
const hdr: Variable = ({ inner, index }) => {
  const selector = headerName(inner)
  if (typeof selector === 'string') return selector
  if (index === '*') {
    return {
      text: (view) => {
        const values = rowsOf(view, selector).map((row) => valueText(view, row))
        if (values.length === 0) return null
        // Kamailio writes the comma only where something stands before it.
        return values.reduce((all, value) => (all === '' ? value : `${all},${value}`))
      },
    }
  }
  if (index !== undefined && index !== 0) {
    return {
      span: (view, out) => {
        const row = rowsOf(view, selector).at(index)
        return row !== undefined && set(out, view.valueStart(row), view.valueEnd(row))
      },
    }
  }
  return {
    span: (view, out) => {
      const row = view.layout.complete ? view.find(selector, 0) : -1
      return row >= 0 && set(out, view.valueStart(row), view.valueEnd(row))
    },
  }
}

/** `$hdrc(name)`: how many lines. */
const hdrc: Variable = ({ inner, index }) => {
  const selector = headerName(inner)
  if (typeof selector === 'string') return selector
  return index === undefined ? { text: (view) => String(rowsOf(view, selector).length) } : 'it takes no index'
}

/** Splits a value at commas outside quotes and `<>`, blanks around each entry cut. */
export function splitList(value: string): string[] {
  const entries: string[] = []
  let start = 0
  let quoted = false
  let enclosed = false
  for (let i = 0; i <= value.length; i++) {
    const char = value[i]
    if (i === value.length || (char === ',' && !quoted && !enclosed)) {
      entries.push(trimBoth(value.slice(start, i)))
      start = i + 1
    } else if (char === '\\' && quoted) i++
    else if (char === '"') quoted = !quoted
    else if (char === '<' && !quoted) enclosed = true
    else if (char === '>' && !quoted) enclosed = false
  }
  return entries
}

/** `$hfl(name)`, `$(hfl(name)[n])`: the n-th entry over all lines and commas. */
const hfl: Variable = ({ inner, index }) => {
  const selector = headerName(inner)
  if (typeof selector === 'string') return selector
  if (index === '*') return 'the index * is for $hdr'
  const at = index ?? 0
  return {
    text: (view) =>
      rowsOf(view, selector)
        .flatMap((row) => splitList(valueText(view, row)))
        .at(at) ?? null,
  }
}

// ── From, To and other addresses ─────────────────────────────────────────────────────────────────

type AddressReader = (view: MessageView) => NameAddr | null

const uriOf = (view: MessageView, address: NameAddr): Uri | null =>
  parseUri(view.bytes, address.uriStart, address.uriEnd)

function addressUri(address: AddressReader): Variable {
  return span((view, out) => {
    const parts = address(view)
    return parts !== null && set(out, parts.uriStart, parts.uriEnd)
  })
}

function addressName(address: AddressReader): Variable {
  return span((view, out) => {
    const parts = address(view)
    return parts !== null && parts.displayStart >= 0 && set(out, parts.displayStart, parts.displayEnd)
  })
}

function addressTag(address: AddressReader): Variable {
  return span((view, out) => {
    const parts = address(view)
    return parts !== null && parts.tagStart >= 0 && set(out, parts.tagStart, parts.tagEnd)
  })
}

type UriReader = (view: MessageView) => Uri | null

const ofAddress =
  (address: AddressReader): UriReader =>
  (view) => {
    const parts = address(view)
    return parts === null ? null : uriOf(view, parts)
  }

function uriUser(read: UriReader): Variable {
  return span((view, out) => {
    const uri = read(view)
    return uri !== null && uri.userEnd > uri.userStart && set(out, uri.userStart, uri.userEnd)
  })
}

function uriHost(read: UriReader): Variable {
  return span((view, out) => {
    const uri = read(view)
    return uri !== null && uri.hostEnd > uri.hostStart && set(out, uri.hostStart, uri.hostEnd)
  })
}

/** Length of the user part, 0 where there is none; null where the URI does not parse. */
function uriUserLength(read: UriReader): Variable {
  return text((view) => {
    const uri = read(view)
    return uri === null ? null : String(uri.userEnd - uri.userStart)
  })
}

const from: AddressReader = (view) => view.from
const to: AddressReader = (view) => view.to

/** First entry of a list header, or of its line `row`. */
function listAddress(name: string): AddressReader {
  const selector = headerSelector(name)
  return (view) => {
    const row = view.layout.complete ? view.find(selector, 0) : -1
    return row < 0 ? null : parseNameAddr(view.bytes, view.valueStart(row), view.valueEnd(row), 'list')
  }
}

/** Entries of all lines of a list header; null where one of them cannot be parsed. */
function listEntries(view: MessageView, selector: HeaderSelector): NameAddr[] | null {
  const entries: NameAddr[] = []
  for (const row of rowsOf(view, selector)) {
    let at = view.valueStart(row)
    const end = view.valueEnd(row)
    let more = true
    while (more) {
      const entry = parseNameAddr(view.bytes, at, end, 'list')
      if (entry === null) return null
      entries.push(entry)
      at = entry.end + 1
      more = at <= end && view.bytes[entry.end] === COMMA
    }
  }
  return entries
}

/** `$ai`, `$(ai[n])`: URIs of P-Asserted-Identity. */
const ai: Variable = ({ inner, index }) => {
  if (inner !== undefined) return 'it takes no parameter'
  if (index === '*') return 'the index * is for $hdr'
  const selector = headerSelector('P-Asserted-Identity')
  return {
    span: (view, out) => {
      const entry = listEntries(view, selector)?.at(index ?? 0)
      return entry !== undefined && set(out, entry.uriStart, entry.uriEnd)
    },
  }
}

const preferred = listAddress('P-Preferred-Identity')

// ── Request-URI ──────────────────────────────────────────────────────────────────────────────────

const requestUri: UriReader = (view) => view.uri

/** Kamailio ≤ 6.0.6: null where the URI does not parse. */
const ru = span((view, out) => {
  const uri = view.uri
  return uri !== null && set(out, uri.start, uri.end)
})

const ruPort = text((view) => {
  const uri = view.uri
  if (uri === null) return null
  // A colon without a number behind it is a port too, an empty one.
  if (uri.portStart > uri.hostEnd) return view.text(uri.portStart, uri.portEnd)
  const transport = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'transport')
  return transport !== null && spells(view.bytes, transport[0], transport[1], 'tls') ? '5061' : '5060'
})

const ruTransport = text((view) => {
  const uri = view.uri
  if (uri === null) return null
  const transport = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'transport')
  return transport === null ? 'UDP' : view.text(transport[0], transport[1])
})

/** `user=phone` makes a SIP URI a telephone number. */
const ruScheme = text((view) => {
  const uri = view.uri
  if (uri === null) return null
  const user = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'user')
  const phone = user !== null && spells(view.bytes, user[0], user[1], 'phone')
  return phone && uri.scheme === 'sip' ? 'tel' : phone && uri.scheme === 'sips' ? 'tels' : uri.scheme
})

// ── the rest ─────────────────────────────────────────────────────────────────────────────────────

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
