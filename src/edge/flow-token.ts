/**
 * Flow tokens (RFC 5626 §5.3): the address of a phone with a MAC, as user of a URI of ours. Whoever sends a request back
 * to it reaches the phone, on every node that has the keyring and after a restart, and nothing is stored.
 *
 * `p` address `-` MAC stands in Path, for as long as the registration and the key last; `d` address `-` MAC stands in
 * the Record-Route of one dialog, since the MAC covers its Call-ID, too.
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import { bindKeys, createMac, type Mac } from '../digest/keyed-mac.ts'
import type { KeyringSource } from '../keyring/keyring.ts'
import type { Endpoint } from '../message/types.ts'
import type { MessageView } from '../message/view.ts'
import { callIdOf } from './facts.ts'
import { parseFlow, writeFlow } from './flow.ts'

/** Makes and reads flow tokens. */
export interface FlowTokens {
  /** For Path; undefined where no key signs now, or the address cannot be written. */
  forRegistration(flow: Endpoint): string | undefined
  /** For the Record-Route of the dialog that `view` belongs to. */
  forDialog(flow: Endpoint, view: MessageView): string | undefined
  /** The address in a token under any usable key, one of a dialog only for the dialog of `view`. */
  read(token: string, view: MessageView): FlowToken | undefined
}

/** A token that holds. */
export interface FlowToken {
  readonly kind: 'registration' | 'dialog'
  readonly flow: Endpoint
}

/** What `createFlowTokens` takes. */
export interface FlowTokenOptions {
  readonly keyring: KeyringSource
  /** The group of it whose keys prove tokens. */
  readonly group: string
  /** The time by which keys begin and end; never goes back. */
  readonly now: () => Date
}

/** Bytes of the MAC: 80 bits, twice as many characters. */
const MAC_BYTES = 10
const LABELS = { p: 'auth-xkeys flow registration 1', d: 'auth-xkeys flow dialog 1' } as const

const TOKEN = /^([pd])([0-9a-f]{12}|[0-9a-f]{36})-([0-9a-f]{20})$/

/** Whether the user of a URI looks like a flow token. */
export function isFlowToken(user: string): boolean {
  return TOKEN.test(user)
}

type Kind = keyof typeof LABELS

/** The MACs of one key, under a secret of its own for each kind of token. */
interface TokenKey extends Readonly<Record<Kind, Mac>> {
  readonly forget: () => void
}

/** Creates the maker and reader of flow tokens. */
export function createFlowTokens({ keyring, group, now }: FlowTokenOptions): FlowTokens {
  const keysNow = bindKeys(keyring, group, bindKey)
  const [wanted, given] = [Buffer.alloc(MAC_BYTES), Buffer.alloc(MAC_BYTES)]

  function make(kind: Kind, flow: Endpoint, view?: MessageView): string | undefined {
    const { active } = keysNow(now().getTime())
    const address = writeFlow(flow)
    if (active === undefined || address === undefined) return undefined
    writeMac(active, kind, address, view, wanted)
    return `${kind}${address}-${wanted.toString('hex')}`
  }

  return {
    forRegistration: (flow) => make('p', flow),
    forDialog: (flow, view) => make('d', flow, view),
    read(token, view) {
      const [, kind, address = '', mac = ''] = TOKEN.exec(token) ?? []
      const flow = parseFlow(address)
      if ((kind !== 'p' && kind !== 'd') || flow === undefined) return undefined
      given.write(mac, 'hex')
      const isOurs = keysNow(now().getTime()).verifying.some((key) => {
        writeMac(key, kind, address, view, wanted)
        return timingSafeEqual(wanted, given)
      })
      return isOurs ? { kind: kind === 'p' ? 'registration' : 'dialog', flow } : undefined
    },
  }
}

function bindKey(secret: Uint8Array): TokenKey {
  const main = createMac(secret)
  const derive = (label: string): Mac => {
    const subkey = Buffer.from(main.digest(label, 'latin1'), 'latin1')
    const mac = createMac(subkey)
    subkey.fill(0)
    return mac
  }
  const [p, d] = [derive(LABELS.p), derive(LABELS.d)]
  main.forget()
  return {
    p,
    d,
    forget() {
      p.forget()
      d.forget()
    },
  }
}

/** @param view whose Call-ID the MAC of a dialog covers */
function writeMac(
  key: TokenKey,
  kind: Kind,
  address: string,
  view: MessageView | undefined,
  out: Uint8Array,
): void {
  const text = kind === 'd' && view !== undefined ? `${address}\n${callIdOf(view)}` : address
  const digest = key[kind].digest(text, 'latin1')
  for (let i = 0; i < MAC_BYTES; i++) out[i] = digest.charCodeAt(i)
}
