/**
 * Branches of a stateless proxy: the same for an INVITE, its retransmissions, its CANCEL and the ACK of its failure
 * (RFC 3261 §16.11), and naming the path that the request went by, so that a response can go back.
 *
 * `z9hG4bKxk-` MAC `-` PATH: the MAC covers what names the transaction (top Via, Call-ID, CSeq number, From tag) and the
 * path.
 * @module
 */
import { hash } from 'node:crypto'
import { writeHex } from '../message/hex.ts'
import type { Endpoint } from '../message/types.ts'
import { parseVia, type Via } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'
import { addressText } from '../template/address.ts'

/** RFC 3261 §8.1.1.7, and a mark of our own. */
export const BRANCH_PREFIX = 'z9hG4bKxk-'

/** Bytes of the digest that are used: 80 bits, which also withholds what an extension of the hash would need. */
const MAC_BYTES = 10

/** Length of the MAC, which is the transaction's name. */
export const NAME_LENGTH = 2 * MAC_BYTES

/** Room for every field of the largest datagram, behind the secret. */
const ROOM = 66_000

/** Longest data whose view of the work buffer is kept. */
const KEPT_VIEWS = 1024

/** Names transactions. */
export interface Branches {
  /** Writes the name of a request's transaction, NAME_LENGTH bytes, at `at`. `via`: the Via under which it came. */
  write(view: MessageView, via: Via, path: string, out: Uint8Array, at: number): void
  /** Whether a branch of ours was made for `next`, the Via below it, and for the path that it names. */
  isOwn(view: MessageView, own: OwnVia, next: Via): boolean
}

/** Makes branches; `secret` (bytes) keeps others from guessing them, or from putting another path's name on one. */
export function createBranches(secret: Uint8Array): Branches {
  const work = Buffer.alloc(secret.length + ROOM)
  work.set(secret)
  const views: (Buffer | undefined)[] = []
  const wanted = Buffer.alloc(NAME_LENGTH)

  function write(view: MessageView, via: Via, path: string, out: Uint8Array, at: number): void {
    const { bytes, layout } = view
    const { from } = view
    let end = secret.length
    // The path's name alone stands behind the last CR: no field of a message can lend it another.
    end = put(work, end, bytes, via.hostStart, via.sentByEnd)
    // A sender of RFC 2543 has no branch that counts: the other fields name its transaction.
    end = put(work, end, bytes, via.branchStart, via.branchEnd)
    end = put(work, end, bytes, view.valueStart(layout.callId), trimmed(bytes, view.valueEnd(layout.callId)))
    end = put(work, end, bytes, view.valueStart(layout.cseq), layout.cseqNumberEnd)
    end = from === null ? end : put(work, end, bytes, from.tagStart, from.tagEnd)
    for (let i = 0; i < path.length; i++) work[end++] = path.charCodeAt(i)
    const data = end < KEPT_VIEWS ? (views[end] ??= work.subarray(0, end)) : work.subarray(0, end)
    writeHex(hash('sha256', data, 'binary'), MAC_BYTES, out, at)
  }

  return {
    write,
    isOwn(view, own, next) {
      write(view, next, own.name, wanted, 0)
      const start = own.via.branchStart + BRANCH_PREFIX.length
      let difference = 0
      for (let i = 0; i < NAME_LENGTH; i++) difference |= view.bytes[start + i]! ^ wanted[i]!
      return difference === 0
    },
  }
}

const CR = 13

function put(work: Buffer, at: number, bytes: Buffer, start: number, end: number): number {
  let to = at
  if (start >= 0) for (let i = start; i < end; i++) work[to++] = bytes[i]!
  work[to++] = CR
  return to
}

function trimmed(bytes: Buffer, end: number): number {
  let i = end
  while (bytes[i - 1] === 32 || bytes[i - 1] === 9) i--
  return i
}

/** A Via entry that we put on. */
export interface OwnVia {
  readonly via: Via
  /** Name of the path that the request went by. */
  readonly name: string
}

/** The top Via of a response where it is ours, sent from `local`. */
export function ownVia(view: MessageView, local: Endpoint): OwnVia | undefined {
  const row = view.layout.via
  const via = parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
  return via === null ? undefined : asOwn(view, via, local)
}

/** A Via entry as one of ours, sent from `local`; undefined where it is not. */
export function asOwn(view: MessageView, via: Via, local: Endpoint): OwnVia | undefined {
  if (via.branchStart < 0 || !isAt(view, via, local)) return undefined
  const branch = view.text(via.branchStart, via.branchEnd)
  if (!branch.startsWith(BRANCH_PREFIX)) return undefined
  return { via, name: branch.slice(BRANCH_PREFIX.length + NAME_LENGTH + 1) }
}

/** The name of the transaction that an own Via stands for. */
export function nameOf(view: MessageView, { via }: OwnVia): string {
  const start = via.branchStart + BRANCH_PREFIX.length
  return view.text(start, start + NAME_LENGTH)
}

function isAt(view: MessageView, via: Via, local: Endpoint): boolean {
  const port = via.port === 0 ? 5060 : via.port
  if (port !== local.port) return false
  return addressText(view.text(via.hostStart, via.hostEnd)) === local.address
}
