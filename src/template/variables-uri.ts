/**
 * Pseudo-variables that read the Request-URI (Kamailio pv_core.c).
 * @module
 */
import { spells } from '../message/chars.ts'
import { findParam } from '../message/uri.ts'
import { set, span, text } from './variable.ts'
import type { UriReader } from './variables-address.ts'

/** The Request-URI, taken apart. */
export const requestUri: UriReader = (view) => view.uri

/** Kamailio ≤ 6.0.6: null where the URI does not parse. */
export const ru = span((view, out) => {
  const uri = view.uri
  return uri !== null && set(out, uri.start, uri.end)
})

/** `$rp`: 5060 where none stands there, 5061 with transport=tls. */
export const ruPort = text((view) => {
  const uri = view.uri
  if (uri === null) return null
  // A colon without a number behind it is a port too, an empty one.
  if (uri.portStart > uri.hostEnd) return view.text(uri.portStart, uri.portEnd)
  const transport = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'transport')
  return transport !== null && spells(view.bytes, transport[0], transport[1], 'tls') ? '5061' : '5060'
})

/** `$rP`: `UDP` where none stands there. */
export const ruTransport = text((view) => {
  const uri = view.uri
  if (uri === null) return null
  const transport = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'transport')
  return transport === null ? 'UDP' : view.text(transport[0], transport[1])
})

/** `user=phone` makes a SIP URI a telephone number. */
export const ruScheme = text((view) => {
  const uri = view.uri
  if (uri === null) return null
  const user = findParam(view.bytes, uri.paramsStart, uri.paramsEnd, 'user')
  const phone = user !== null && spells(view.bytes, user[0], user[1], 'phone')
  return phone && uri.scheme === 'sip' ? 'tel' : phone && uri.scheme === 'sips' ? 'tels' : uri.scheme
})
