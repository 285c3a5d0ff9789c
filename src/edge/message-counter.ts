/**
 * Counting SIP messages by method or class, without building labels per message.
 * @module
 */
import type { MessageView } from '../message/view.ts'
import type { Cell } from '../metrics/counters.ts'
import type { Metrics } from '../metrics/metrics.ts'

/** Methods that get a series of their own; what a peer invents shares one. */
const METHODS =
  'INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE'.split(' ')

/** Counts one message. */
export type MessageCounter = (view: MessageView) => void

/** A counter of one direction. */
export function createMessageCounter(metrics: Metrics, direction: 'in' | 'out'): MessageCounter {
  const cell = (name: string): Cell =>
    metrics.messages.cell({ direction, method_or_class: name, transport: 'udp' })
  const byMethod = new Map(METHODS.map((method) => [method, cell(method)]))
  const byClass = [1, 2, 3, 4, 5, 6].map((first) => cell(`${first}xx`))
  const other = cell('other')
  return (view) => {
    const found =
      view.kind === 'response' ? byClass[Math.floor(view.layout.status / 100) - 1] : byMethod.get(view.method)
    ;(found ?? other).value++
  }
}
