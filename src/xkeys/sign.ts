/**
 * Signing: the sender's side of an agreement.
 * @module
 */
import type { KeyRef } from '../keyring/keyring.ts'
import type { MessageContext } from '../message/types.ts'
import { viewOf } from '../message/view.ts'
import { MISSING, TOO_LONG } from '../template/compile.ts'
import { DATA_START, createWorkBuffer } from './algorithm.ts'
import { holdsNul } from './data.ts'
import { selectKeys, type KeyOptions } from './selection.ts'

/** Why a message could not be signed. */
export type SignFailure =
  | 'group-unknown'
  | 'no-active-key'
  | 'variable-missing'
  | 'direction-unsigned'
  | 'message-unparsable'
  | 'data-too-long'
  | 'field-illegal'

/** The header to add (after removing every one of that name), or why there is none. */
export type SignResult =
  | { readonly ok: true; readonly header: string; readonly token: string; readonly key: KeyRef }
  | { readonly ok: false; readonly reason: SignFailure }

/** Signs messages under one agreement. */
export interface Signer {
  /** Never throws because of a message. `context` is the message as the receiver will see it. */
  sign(context: MessageContext): SignResult
  /** Lets go of keys that are in force no more, which else waits for the next message. */
  refresh(): void
}

const failed = (reason: SignFailure): SignResult => ({ ok: false, reason })

/**
 * Creates the sender's side of an agreement.
 * @param options `keyring` may be a function, read once per message, so that a keyring can be exchanged under load.
 * @example createSigner({ agreement, keyring }).sign({ message, transport: 'udp', source, local })
 */
export function createSigner(options: KeyOptions): Signer {
  const { agreement } = options
  const { header, spec, encoding } = agreement
  const work = createWorkBuffer(agreement.maxData)
  const select = selectKeys(options, work, 'sign')
  return {
    refresh: () => void select(),
    sign(context) {
      const view = viewOf(context.message)
      const template = (view.kind === 'request' ? agreement.request : agreement.response)?.sender
      if (template === undefined) return failed('direction-unsigned')
      if (!view.layout.complete) return failed('message-unparsable')
      const { known, signing } = select()
      if (signing === undefined) return failed(known ? 'no-active-key' : 'group-unknown')
      const end = template.write(view, context, work.bytes, DATA_START)
      if (end === MISSING) return failed('variable-missing')
      if (end === TOO_LONG || end - DATA_START > signing.maxData) return failed('data-too-long')
      if (spec.family === 'sha' && holdsNul(work, end)) return failed('field-illegal')
      return { ok: true, header, token: signing.hash(work, end, encoding), key: signing.ref }
    },
  }
}
