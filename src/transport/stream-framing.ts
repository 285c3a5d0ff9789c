/**
 * Cutting a byte stream into messages by Content-Length (RFC 3261 §18.3), in one pass whatever the chunks are.
 * @module
 */
import { COLON, CR, LF, isBlank, isDigit } from '../message/chars.ts'
import { headerSelector, names } from '../message/header-names.ts'

/** Limits of one message, bytes. */
export interface FramingLimits {
  /** Start line and headers, the empty line included. */
  readonly headers: number
  readonly body: number
}

/** Why a stream cannot be read on: where its next message begins is not known any more. */
export type FramingFault =
  | 'headers-too-long'
  | 'body-too-long'
  | 'content-length-missing'
  | 'content-length-malformed'
  | 'content-length-repeated'
  | 'start-malformed'

/** Who takes what was cut. None of these may throw. */
export interface FramingSink {
  /** One message, in memory of its own. */
  message(bytes: Buffer): void
  /** CRLF CRLF between messages: a keep-alive that asks for a CRLF (RFC 5626 §3.5.1). At most one a chunk is told. */
  ping(): void
  /** `head`: the bytes of the message that was under way. Nothing is read after it. */
  fault(reason: FramingFault, head: Buffer): void
}

/** One direction of one connection. */
export interface StreamFraming {
  push(chunk: Buffer): void
  /** Whether a message has begun and not ended. */
  readonly partial: boolean
  /** Memory that what has come of it takes, bytes. */
  readonly held: number
}

const CONTENT_LENGTH = headerSelector('Content-Length')
const FIRST_SIZE = 2048

/** Creates the framing of a stream. Limits are per message, however many messages a chunk holds. */
export function createFraming(limits: FramingLimits, sink: FramingSink): StreamFraming {
  // What has arrived of the message under way; grows by doubling, so that each byte is copied a few times at most.
  let held = Buffer.alloc(0)
  let length = 0
  /** Behind the last byte that was searched for the empty line: no chunk is searched twice. */
  let searched = 0
  let state: 'between' | 'headers' | 'body' | 'ended' = 'between'
  /** Bytes of the whole message, once its headers are in. */
  let wanted = 0
  /** Of CR LF CR LF between messages, how much has come. */
  let crlfs = 0
  let pinged = false

  function fault(reason: FramingFault): void {
    state = 'ended'
    const head = held.subarray(0, length)
    held = Buffer.alloc(0)
    length = 0
    sink.fault(reason, head)
  }

  function keep(chunk: Buffer, start: number, end: number): void {
    const size = length + end - start
    if (size > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_SIZE, size, held.length * 2))
      held.copy(larger, 0, 0, length)
      held = larger
    }
    chunk.copy(held, length, start, end)
    length = size
  }

  /** Takes CRLFs between messages; where the first byte of a message stands. */
  function between(chunk: Buffer, start: number): number {
    let i = start
    for (; i < chunk.length; i++) {
      const wants = crlfs % 2 === 0 ? CR : LF
      if (chunk[i] !== wants) break
      crlfs++
      if (crlfs < 4) continue
      crlfs = 0
      if (!pinged) sink.ping()
      pinged = true
    }
    if (i === chunk.length) return i
    if (crlfs % 2 === 1) fault('start-malformed')
    else state = 'headers'
    crlfs = 0
    return i
  }

  /** Takes header bytes up to the empty line; where it stopped in the chunk. */
  function headers(chunk: Buffer, start: number): number {
    const before = length
    const room = limits.headers - length
    const end = Math.min(chunk.length, start + room)
    keep(chunk, start, end)
    const at = held.subarray(0, length).indexOf('\r\n\r\n', Math.max(0, searched - 3), 'latin1')
    searched = length
    if (at < 0) {
      if (length >= limits.headers) fault('headers-too-long')
      return end
    }
    const headEnd = at + 4
    length = headEnd
    const declared = contentLengthOf(held, headEnd)
    if (typeof declared === 'string') fault(declared)
    else if (declared > limits.body) fault('body-too-long')
    else {
      wanted = headEnd + declared
      state = 'body'
    }
    return start + headEnd - before
  }

  function body(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + wanted - length)
    keep(chunk, start, end)
    if (length < wanted) return end
    const bytes = held.subarray(0, wanted)
    held = Buffer.alloc(0)
    length = 0
    searched = 0
    state = 'between'
    sink.message(bytes)
    return end
  }

  return {
    get partial() {
      return length > 0
    },
    get held() {
      return held.length
    },
    push(chunk) {
      pinged = false
      let i = 0
      // A message without a body ends with its headers, at the very end of a chunk maybe.
      while (state !== 'ended' && (i < chunk.length || (state === 'body' && length === wanted))) {
        if (state === 'between') i = between(chunk, i)
        else if (state === 'headers') i = headers(chunk, i)
        else i = body(chunk, i)
      }
    },
  }
}

/** The length that a header block declares; a fault where two readers could see two. */
function contentLengthOf(bytes: Buffer, end: number): number | FramingFault {
  let declared = -1
  let line = bytes.indexOf(LF) + 1
  while (line < end - 2) {
    const next = bytes.indexOf(LF, line) + 1
    let colon = line
    while (colon < next && bytes[colon] !== COLON) colon++
    let nameEnd = colon
    while (nameEnd > line && isBlank(bytes[nameEnd - 1])) nameEnd--
    if (colon < next && names(bytes, line, nameEnd, CONTENT_LENGTH)) {
      if (declared >= 0) return 'content-length-repeated'
      declared = decimal(bytes, colon + 1, next)
      // Folded on, it would be longer than its first line says.
      if (declared < 0 || isBlank(bytes[next])) return 'content-length-malformed'
    }
    line = next
  }
  return declared < 0 ? 'content-length-missing' : declared
}

/** Digits with blanks around them, up to a line end; -1 where it is anything else. */
function decimal(bytes: Buffer, start: number, end: number): number {
  let i = start
  while (isBlank(bytes[i])) i++
  const first = i
  let number = 0
  for (; isDigit(bytes[i]); i++)
    if (number < Number.MAX_SAFE_INTEGER / 100) number = number * 10 + bytes[i]! - 48
  if (i === first) return -1
  while (isBlank(bytes[i])) i++
  return bytes[i] === CR && i === end - 2 ? number : -1
}
