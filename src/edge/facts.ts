/**
 * Small facts of a message that a proxy asks for.
 * @module
 */
import { parseVia, type Via } from '../message/via.ts'
import type { MessageView } from '../message/view.ts'

/** The top Via; null where it cannot be parsed. */
export function topVia(view: MessageView): Via | null {
  const row = view.layout.via
  return parseVia(view.bytes, view.valueStart(row), view.valueEnd(row))
}

/** Whether a request begins something new: it is in no dialog, and belongs to no request before it. */
export function startsWork(view: MessageView): boolean {
  return view.method !== 'ACK' && view.method !== 'CANCEL' && !inDialog(view)
}

/** Whether a request belongs to a dialog: its To has a tag (RFC 3261 §12.2). */
export function inDialog(view: MessageView): boolean {
  return view.to !== null && view.to.tagStart >= 0
}

/** The Call-ID. */
export function callIdOf(view: MessageView): string {
  const { callId } = view.layout
  return view.text(view.valueStart(callId), view.valueEnd(callId)).trimEnd()
}
