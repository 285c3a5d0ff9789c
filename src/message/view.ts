/**
 * The lazy byte view of a message: offsets into its bytes, text cut on demand.
 * @module
 */
import { headerSelector, names, type HeaderSelector } from './header-names.ts'
import { parseNameAddr, type NameAddr } from './name-addr.ts'
import type { SipMessage } from './types.ts'
import { parseUri, type Uri } from './uri.ts'

// Constants of its own: see scan-headers.ts.
// Rows of header-table.ts.
const ROW = 5
const HASH = 0
const NAME_START = 1
const NAME_END = 2
const VALUE_START = 3
const VALUE_END = 4

/** What a parser found; offsets are absolute in `bytes`. */
export interface Layout {
  readonly bytes: Buffer
  readonly kind: 'request' | 'response'
  /** First byte of the message for `$mb`: behind leading CRLF where parsed strictly, else the first of all. */
  readonly messageStart: number
  readonly methodStart: number
  readonly methodEnd: number
  /** Request-URI, or the reason phrase of a response. */
  readonly secondStart: number
  readonly secondEnd: number
  readonly versionStart: number
  readonly status: number
  readonly table: Int32Array
  readonly base: number
  readonly rows: number
  /** Row of the first Via, From, To, Call-ID, CSeq. */
  readonly via: number
  readonly from: number
  readonly to: number
  readonly callId: number
  readonly cseq: number
  readonly cseqNumberEnd: number
  /** Offset of the empty line; -1 where a tolerated message has none. */
  readonly headersEnd: number
  readonly bodyStart: number
  readonly end: number
  /** False where Kamailio could not parse all headers: then `$hdr` and body are null and nothing verifies. */
  readonly complete: boolean
}

// A class, though the house keeps them for errors: getters on one prototype cost nothing per message.
/** The view that `parseMessage` returns; other folders see it as `SipMessage`, or through `viewOf`. */
export class MessageView implements SipMessage {
  readonly layout: Layout
  readonly bytes: Buffer
  readonly kind: 'request' | 'response'
  // undefined: not asked for yet; null: cannot be parsed (then it is tried again: rare, and cheap to refuse).
  private fromParts: NameAddr | null | undefined
  private toParts: NameAddr | null | undefined
  private uriParts: Uri | null | undefined
  private methodText: string | undefined

  constructor(layout: Layout) {
    this.layout = layout
    this.bytes = layout.bytes
    this.kind = layout.kind
    this.fromParts = undefined
    this.toParts = undefined
    this.uriParts = undefined
    this.methodText = undefined
  }

  get method(): string {
    return (this.methodText ??= methodName(this.bytes, this.layout.methodStart, this.layout.methodEnd))
  }

  get requestUri(): string | undefined {
    return this.kind === 'request' ? this.text(this.layout.secondStart, this.layout.secondEnd) : undefined
  }

  get status(): number | undefined {
    return this.kind === 'response' ? this.layout.status : undefined
  }

  get body(): Uint8Array {
    const { bodyStart, end } = this.layout
    return this.bytes.subarray(Math.min(bodyStart, end), end)
  }

  headers(name: string): readonly string[] {
    const selector = headerSelector(name)
    const values: string[] = []
    for (let row = this.find(selector, 0); row >= 0; row = this.find(selector, row + 1)) {
      values.push(this.text(this.valueStart(row), this.valueEnd(row)))
    }
    return values
  }

  /** Row of the first header that `selector` names, from row `from` on; -1 where there is none. */
  find(selector: HeaderSelector, from: number): number {
    const { table, base, rows } = this.layout
    const { hash } = selector
    for (let row = from, at = base + from * ROW; row < rows; row++, at += ROW) {
      if (table[at + HASH] !== hash) continue
      if (names(this.bytes, table[at + NAME_START]!, table[at + NAME_END]!, selector)) return row
    }
    return -1
  }

  nameStart(row: number): number {
    return this.layout.table[this.layout.base + row * ROW + NAME_START]!
  }

  nameEnd(row: number): number {
    return this.layout.table[this.layout.base + row * ROW + NAME_END]!
  }

  valueStart(row: number): number {
    return this.layout.table[this.layout.base + row * ROW + VALUE_START]!
  }

  valueEnd(row: number): number {
    return this.layout.table[this.layout.base + row * ROW + VALUE_END]!
  }

  /** bytes[start, end) as latin1. */
  text(start: number, end: number): string {
    return this.bytes.toString('latin1', start, end)
  }

  /** The From header taken apart, once; null where Kamailio cannot parse it. */
  get from(): NameAddr | null {
    return (this.fromParts ??= this.nameAddr(this.layout.from))
  }

  /** The To header taken apart, once. */
  get to(): NameAddr | null {
    return (this.toParts ??= this.nameAddr(this.layout.to))
  }

  /** The Request-URI taken apart, once; null for a response or where Kamailio cannot parse it. */
  get uri(): Uri | null {
    const { secondStart, secondEnd } = this.layout
    this.uriParts ??= this.kind === 'request' ? parseUri(this.bytes, secondStart, secondEnd) : null
    return this.uriParts
  }

  private nameAddr(row: number): NameAddr | null {
    return parseNameAddr(this.bytes, this.valueStart(row), this.valueEnd(row), 'single')
  }
}

/**
 * Methods of the RFCs, by length: their names are then not made anew for each message. Literals, one by one: V8 then
 * compares them with others of the same text by address.
 */
const METHODS: readonly (readonly string[])[] = [
  [],
  [],
  [],
  ['ACK', 'BYE'],
  ['INFO'],
  ['REFER', 'PRACK'],
  ['INVITE', 'CANCEL', 'NOTIFY', 'UPDATE'],
  ['OPTIONS', 'MESSAGE', 'PUBLISH'],
  ['REGISTER'],
  ['SUBSCRIBE'],
]

function methodName(bytes: Buffer, start: number, end: number): string {
  for (const name of METHODS[end - start] ?? []) {
    let i = 0
    while (i < name.length && name.charCodeAt(i) === bytes[start + i]) i++
    if (i === name.length) return name
  }
  return bytes.toString('latin1', start, end)
}

/**
 * The byte view behind a message.
 * @throws TypeError if `message` was not made by `parseMessage`.
 */
export function viewOf(message: SipMessage): MessageView {
  if (message instanceof MessageView) return message
  throw new TypeError('message must come from parseMessage')
}
