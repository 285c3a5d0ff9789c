/**
 * What names a trunk in the Record-Route of a dialog, so that no other peer can: `name.mac`.
 * @module
 */
import type { KeyringSource } from '../keyring/keyring.ts'
import type { Agreement } from '../xkeys/agreement.ts'
import { ALGORITHMS, DATA_START, createWorkBuffer } from '../xkeys/algorithm.ts'
import { selectKeys, type BoundKey } from '../xkeys/selection.ts'

/** The marks of one trunk. */
export interface RouteMarks {
  /** The mark of a dialog, under the key that signs; the name alone where none does. */
  mark(callId: string): string
  /** Whether a mark is this trunk's for the dialog, under any usable key. */
  isMark(mark: string, callId: string): boolean
}

/** Longest Call-ID that is covered whole, bytes. */
const MAX_CALL_ID = 1024

/**
 * Creates the marks of a trunk: a MAC over its name and the Call-ID under the keys of its group, so they hold on every
 * node and after a restart, and end with the key.
 */
export function createRouteMarks(name: string, agreement: Agreement, keyring: KeyringSource): RouteMarks {
  const spec = ALGORITHMS.get('hmac-sha256')!
  const maxData = 64 + name.length + MAX_CALL_ID
  const work = createWorkBuffer(maxData)
  const options = { agreement: { ...agreement, spec, maxData }, keyring }
  const signing = selectKeys(options, work, 'sign')
  const verifying = selectKeys(options, work, 'verify')

  function markWith(key: BoundKey, callId: string): string {
    const text = `record-route\0${name}\0${callId.slice(0, MAX_CALL_ID)}`
    const end = DATA_START + work.bytes.write(text, DATA_START, 'latin1')
    return `${name}.${key.hash(work, end, 'hex').slice(0, 20)}`
  }

  return {
    mark(callId) {
      const key = signing().signing
      return key === undefined ? name : markWith(key, callId)
    },
    isMark: (mark, callId) => verifying().verifying.some((key) => markWith(key, callId) === mark),
  }
}
