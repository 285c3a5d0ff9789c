/**
 * Whether drachtio-srf can take the addresses of a request apart: without throwing, and in milliseconds. Its patterns
 * are backtracking ones: `Contact: <` and 1,600 blanks hold it for more than a second, and it asks for the Contact itself
 * when it makes a dialog.
 * @module
 */
import { COMMA, LESS, QUOTE, TOKEN, isBlank } from '../message/chars.ts'
import { headerSelector } from '../message/header-names.ts'
import { parseNameAddr, type NameAddr } from '../message/name-addr.ts'
import type { MessageView } from '../message/view.ts'

/** The headers that it takes apart as addresses; of From and To there is one each. */
const HEADERS =
  'from to contact route record-route path refer-to referred-by p-asserted-identity remote-party-id'.split(
    ' ',
  )
const SELECTORS = HEADERS.map((name) => ({
  selector: headerSelector(name),
  kind: name === 'from' || name === 'to' ? ('single' as const) : ('list' as const),
}))

/**
 * Bytes that the lines of one name may have together, and a Request-URI. What is left of the host's patterns is
 * quadratic: it looks for the next parameter of every entry up to the end of the list.
 */
const LIMIT = 4096

/**
 * White space that its patterns would try at every length, and the line ends of Unicode, behind which it loses its place
 * in a quoted string.
 */
const UNREADABLE = /\s{33}|[\u2028\u2029]/

/** The bytes of an unquoted display name: tokens and white space. */
const WORDS = Uint8Array.from({ length: 256 }, (_, byte) =>
  ' \t\r\n%'.includes(String.fromCharCode(byte)) ? 1 : TOKEN[byte]!,
)

/** Whether the Request-URI and all headers with addresses can be handed to the host's parser. */
export function areAddressesReadable(view: MessageView): boolean {
  const { secondStart, secondEnd } = view.layout
  if (secondEnd - secondStart > LIMIT) return false
  for (const { selector, kind } of SELECTORS) {
    let total = 0
    for (let row = view.find(selector, 0); row >= 0; row = view.find(selector, row + 1)) {
      const start = view.valueStart(row)
      const end = view.valueEnd(row)
      total += end - start
      if (total > LIMIT || !isReadable(view.bytes, start, end, kind)) return false
    }
  }
  return true
}

function isReadable(bytes: Buffer, start: number, end: number, kind: 'single' | 'list'): boolean {
  if (UNREADABLE.test(bytes.toString('utf8', start, end))) return false
  for (let at = start; ;) {
    const entry = parseNameAddr(bytes, at, end, kind)
    if (entry === null || !isPlain(bytes, entry)) return false
    if (entry.end >= end) return true
    at = entry.end + 1
  }
}

/** Whether the host finds the same beginning and end of an entry. */
function isPlain(bytes: Buffer, { displayStart, displayEnd, uriStart, uriEnd }: NameAddr): boolean {
  if (displayStart >= 0) {
    if (bytes[displayStart] === QUOTE) return true
    // Of `sip:a@x <sip:b@y>` it takes the first.
    for (let i = displayStart; i < displayEnd; i++) if (WORDS[bytes[i]!] === 0) return false
    return true
  }
  let before = uriStart - 1
  while (isBlank(bytes[before])) before--
  if (bytes[before] === LESS) return true
  // A bare URI goes on behind a comma, to the host, and ends at white space outside ASCII.
  if (bytes[uriEnd] === COMMA) return false
  for (let i = uriStart; i < uriEnd; i++) if (bytes[i]! > 127) return false
  return true
}
