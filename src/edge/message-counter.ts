/**
 * Counting SIP messages by method or class, without building labels per message; and what is none, or goes nowhere.
 * @module
 */
import type { ParseFailure } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import type { Cell } from '../metrics/counters.ts'
import type { Metrics } from '../metrics/metrics.ts'

/** Methods that get a series of their own; what a peer invents shares one. */
const METHODS = [
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'OPTIONS',
  'REGISTER',
  'PRACK',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'INFO',
  'REFER',
  'MESSAGE',
  'UPDATE',
] as const

/** Counts one message. */
export type MessageCounter = (view: MessageView) => void

/** A counter of one direction. */
export function createMessageCounter(metrics: Metrics, direction: 'in' | 'out'): MessageCounter {
  const cell = (name: string): Cell =>
    metrics.messages.cell({ direction, method_or_class: name, transport: 'udp' })
  const byMethod = new Map<string, Cell>(METHODS.map((method) => [method, cell(method)]))
  const byClass = [1, 2, 3, 4, 5, 6].map((first) => cell(`${first}xx`))
  const other = cell('other')
  return (view) => {
    const found =
      view.kind === 'response' ? byClass[Math.floor(view.layout.status / 100) - 1] : byMethod.get(view.method)
    ;(found ?? other).value++
  }
}

/** Why a message is dropped without an answer: the closed set of label `reason` of `xkeys_dropped_total`. */
export const DROP_REASONS = [
  'source-unknown',
  'via-malformed',
  'via-not-ours',
  'target-unknown',
  'users-overload',
] as const

/** Why a message was dropped. */
export type DropReason = (typeof DROP_REASONS)[number]

/** A fault of what is no SIP message. */
export type ParseError = Exclude<ParseFailure, 'empty'>

/** The closed set of label `kind` of `xkeys_sip_parse_errors_total`; `empty` is a keep-alive and no error. */
const PARSE_ERRORS: Readonly<Record<ParseError, true>> = {
  'start-line-malformed': true,
  'version-unsupported': true,
  'header-name-malformed': true,
  'header-malformed': true,
  'bare-cr': true,
  'bare-lf': true,
  nul: true,
  'headers-unterminated': true,
  'header-repeated': true,
  'header-missing': true,
  'cseq-malformed': true,
  'cseq-mismatch': true,
  'content-length-malformed': true,
  'content-length-exceeds': true,
}

/** Counters of drops, at 0. */
export function dropCounters({ dropped }: Metrics): Readonly<Record<DropReason, Cell>> {
  return {
    'source-unknown': dropped.cell({ reason: 'source-unknown' }),
    'via-malformed': dropped.cell({ reason: 'via-malformed' }),
    'via-not-ours': dropped.cell({ reason: 'via-not-ours' }),
    'target-unknown': dropped.cell({ reason: 'target-unknown' }),
    'users-overload': dropped.cell({ reason: 'users-overload' }),
  }
}

/** Counters of what is no SIP message, at 0. */
export function parseErrorCounters({ parseErrors }: Metrics): Readonly<Record<ParseError, Cell>> {
  const cells = Object.keys(PARSE_ERRORS).map((kind) => [kind, parseErrors.cell({ kind })])
  return Object.fromEntries(cells) as Record<ParseError, Cell>
}
