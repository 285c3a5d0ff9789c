/**
 * Pseudo-variables that read addresses: From, To, P-Asserted-Identity and their kin (Kamailio pv_core.c).
 * @module
 */
import { COMMA } from '../message/chars.ts'
import { headerSelector, type HeaderSelector } from '../message/header-names.ts'
import { parseNameAddr, type NameAddr } from '../message/name-addr.ts'
import { parseUri, type Uri } from '../message/uri.ts'
import type { MessageView } from '../message/view.ts'
import { set, span, text, type Variable } from './variable.ts'
import { rowsOf } from './variables-header.ts'

/** Finds an address; null where it is absent or cannot be parsed. */
export type AddressReader = (view: MessageView) => NameAddr | null

/** The URI of an address, taken apart. */
export const uriOf = (view: MessageView, address: NameAddr): Uri | null =>
  parseUri(view.bytes, address.uriStart, address.uriEnd)

/** The URI as it stands: `$fu`. */
export function addressUri(address: AddressReader): Variable {
  return span((view, out) => {
    const parts = address(view)
    return parts !== null && set(out, parts.uriStart, parts.uriEnd)
  })
}

/** The display name, quotes kept: `$fn`. */
export function addressName(address: AddressReader): Variable {
  return span((view, out) => {
    const parts = address(view)
    return parts !== null && parts.displayStart >= 0 && set(out, parts.displayStart, parts.displayEnd)
  })
}

/** The tag: `$ft`. */
export function addressTag(address: AddressReader): Variable {
  return span((view, out) => {
    const parts = address(view)
    return parts !== null && parts.tagStart >= 0 && set(out, parts.tagStart, parts.tagEnd)
  })
}

/** Finds a URI; null where it is absent or cannot be parsed. */
export type UriReader = (view: MessageView) => Uri | null

/** The URI of an address. */
export const ofAddress =
  (address: AddressReader): UriReader =>
  (view) => {
    const parts = address(view)
    return parts === null ? null : uriOf(view, parts)
  }

/** The user; null where there is none: `$fU`. */
export function uriUser(read: UriReader): Variable {
  return span((view, out) => {
    const uri = read(view)
    return uri !== null && uri.userEnd > uri.userStart && set(out, uri.userStart, uri.userEnd)
  })
}

/** The host: `$fd`. */
export function uriHost(read: UriReader): Variable {
  return span((view, out) => {
    const uri = read(view)
    return uri !== null && uri.hostEnd > uri.hostStart && set(out, uri.hostStart, uri.hostEnd)
  })
}

/** Length of the user part, 0 where there is none; null where the URI does not parse. */
export function uriUserLength(read: UriReader): Variable {
  return text((view) => {
    const uri = read(view)
    return uri === null ? null : String(uri.userEnd - uri.userStart)
  })
}

/** First entry of a list header, or of its line `row`. */
export function listAddress(name: string): AddressReader {
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
export const ai: Variable = ({ inner, index }) => {
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
