/**
 * What the application will read, held against what was judged: drachtio-srf takes the text apart with a parser of its
 * own, and its handlers see nothing but that.
 * @module
 */
import type { NameAddr } from '../message/name-addr.ts'
import type { MessageView } from '../message/view.ts'
import { areAddressesReadable } from './drachtio-addresses.ts'
import type { DrachtioRequest } from './drachtio-types.ts'

/** Why an accepted request is not passed on. */
export type ReadingFailure =
  /** An address that the host misreads, throws at, or spends seconds on. */
  | 'address-unreadable'
  /** Its method, Request-URI, body, or the URI or tag of From or To is not the one that was judged. */
  | 'reading-differs'

/** Compares the two readings. Never throws; a host that cannot be asked has another reading. */
export function readingFailure(req: DrachtioRequest, view: MessageView): ReadingFailure | undefined {
  // First: the host must not be asked for what its patterns cannot take.
  if (!areAddressesReadable(view)) return 'address-unreadable'
  try {
    return isReadAlike(req, view) ? undefined : 'reading-differs'
  } catch {
    return 'reading-differs'
  }
}

function isReadAlike(req: DrachtioRequest, view: MessageView): boolean {
  const { bytes, layout, from, to } = view
  const text = (start: number, end: number): string => bytes.toString('utf8', start, end)
  if (from === null || to === null) return false
  return (
    req.method === view.method &&
    req.uri === text(layout.secondStart, layout.secondEnd) &&
    req.body === text(Math.min(layout.bodyStart, layout.end), layout.end) &&
    isSame(req.getParsedHeader?.('from'), from, text) &&
    isSame(req.getParsedHeader?.('to'), to, text) &&
    // `req.callingNumber` looks for the first `sip:` of the header, which may stand in a display name.
    numberIn(text(view.valueStart(layout.from), view.valueEnd(layout.from))) ===
      numberIn(text(from.uriStart, from.uriEnd))
  )
}

/** What the host makes of From and To. */
interface HostAddress {
  readonly uri?: unknown
  readonly params?: Readonly<Record<string, unknown>>
}

function isSame(host: unknown, own: NameAddr, text: (start: number, end: number) => string): boolean {
  const { uri, params = {} } = (host ?? {}) as HostAddress
  if (uri !== text(own.uriStart, own.uriEnd)) return false
  // A tag without value is one to the host: it takes such an INVITE for one inside a dialog.
  return own.tagStart < 0 ? !('tag' in params) : params['tag'] === text(own.tagStart, own.tagEnd)
}

/** As the host does it. Quadratic where no @ follows, hence behind the limit of size. */
function numberIn(text: string): string | undefined {
  return /sips?:(.*?)@/.exec(text)?.[1]
}
