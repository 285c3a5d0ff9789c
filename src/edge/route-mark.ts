/**
 * What names a trunk in the Record-Route of a dialog, so that no other peer can: a MAC beside the name.
 * @module
 */
import { hash } from 'node:crypto'
import { writeHex } from '../message/hex.ts'
import type { MessageView } from '../message/view.ts'
import { ALGORITHMS, DATA_START, createWorkBuffer } from '../xkeys/algorithm.ts'
import { selectKeys, type BoundKey, type KeyOptions } from '../xkeys/selection.ts'

/** Bytes of the digest that are used: 80 bits, which also withholds what an extension of the hash would need. */
const MAC_BYTES = 10

/** Length of a MAC as it stands in the Record-Route. */
export const MAC_LENGTH = 2 * MAC_BYTES

/** The marks of one trunk. */
export interface RouteMarks {
  /** Writes the MAC of a dialog under the key that signs, MAC_LENGTH bytes, at `at`; false where there is no key. */
  write(view: MessageView, out: Uint8Array, at: number): boolean
  /** Whether a MAC is this trunk's for the dialog of `view`, under any usable key. */
  isMark(mac: string, view: MessageView): boolean
  /** Lets go of keys that are in force no more. */
  refresh(): void
}

/** Longest Call-ID that is covered whole, bytes. */
const MAX_CALL_ID = 1024
const SUBKEY_LENGTH = 32

/**
 * Creates the marks of a trunk: a MAC over the Call-ID under keys derived from those of its group, so they hold on every
 * node and after a restart, and end with the key.
 * @param purpose what the mark says beside the trunk's name; it goes into the derived keys
 */
export function createRouteMarks(
  name: string,
  { agreement, keyring, now }: Required<KeyOptions>,
  purpose: string,
): RouteMarks {
  const label = `record-route\0${name}\0${purpose}`
  const derivation = createWorkBuffer(label.length)
  const options = {
    agreement: { ...agreement, spec: ALGORITHMS.get('hmac-sha256')!, maxData: label.length },
    keyring,
    now,
  }
  const signing = selectKeys(options, derivation, 'sign')
  const verifying = selectKeys(options, derivation, 'verify')
  const work = Buffer.alloc(SUBKEY_LENGTH + MAX_CALL_ID)
  const views: (Buffer | undefined)[] = []
  // Goes with the key that it belongs to.
  const subkeys = new WeakMap<BoundKey, Buffer>()
  let laidFor: BoundKey | undefined

  /** RFC 2104 HMAC of the label: one hash a mark is then enough. */
  function subkeyOf(key: BoundKey): Buffer {
    let subkey = subkeys.get(key)
    if (subkey === undefined) {
      const end = DATA_START + derivation.bytes.write(label, DATA_START, 'latin1')
      subkey = Buffer.from(key.hash(derivation, end, 'binary'), 'latin1')
      subkeys.set(key, subkey)
    }
    return subkey
  }

  /** SHA-256(subkey, Call-ID); of a fixed-length secret in front and cut to 80 bits, nothing can be extended. */
  function macWith(key: BoundKey, view: MessageView): string {
    if (laidFor !== key) {
      work.set(subkeyOf(key))
      laidFor = key
    }
    const { callId } = view.layout
    const { bytes } = view
    const start = view.valueStart(callId)
    let stop = Math.min(view.valueEnd(callId), start + MAX_CALL_ID)
    while (bytes[stop - 1] === 32 || bytes[stop - 1] === 9) stop--
    let end = SUBKEY_LENGTH
    for (let i = start; i < stop; i++) work[end++] = bytes[i]!
    return hash('sha256', (views[end] ??= work.subarray(0, end)), 'binary')
  }

  return {
    write(view, out, at) {
      const key = signing().signing
      if (key === undefined) return false
      writeHex(macWith(key, view), MAC_BYTES, out, at)
      return true
    },
    isMark: (mac, view) =>
      verifying().verifying.some((key) => {
        const wanted = Buffer.alloc(MAC_LENGTH)
        writeHex(macWith(key, view), MAC_BYTES, wanted, 0)
        return wanted.toString('latin1') === mac
      }),
    refresh() {
      signing()
      verifying()
      work.fill(0, 0, SUBKEY_LENGTH)
      laidFor = undefined
    },
  }
}
