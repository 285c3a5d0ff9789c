/**
 * Flow tokens (RFC 5626 §5.3): the address of a phone with a MAC, as user of a URI of ours. Whoever sends a request back
 * to it reaches the phone, on every node that has the keyring and after a restart, and nothing is stored.
 *
 * `p` address `-` MAC stands in Path, for as long as the registration and the key last; `d` address `-` MAC stands in
 * the Record-Route of one dialog, since the MAC covers its Call-ID, too.
 * @module
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Key } from '../keyring/key.ts'
import type { Keyring, KeyringSource } from '../keyring/keyring.ts'
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

/** Characters of the MAC: 80 bits. */
const MAC_LENGTH = 20
const LABELS = { p: 'auth-xkeys flow registration 1', d: 'auth-xkeys flow dialog 1' } as const

const TOKEN = /^([pd])([0-9a-f]{12}|[0-9a-f]{36})-([0-9a-f]{20})$/

/** Whether the user of a URI looks like a flow token. */
export function isFlowToken(user: string): boolean {
  return TOKEN.test(user)
}

/** Creates the maker and reader of flow tokens. */
export function createFlowTokens({ keyring, group, now }: FlowTokenOptions): FlowTokens {
  const keysNow = createKeyCache(keyring, group)
  // Goes with the key that they belong to.
  const subkeys = new WeakMap<Key, Readonly<Record<Kind, Buffer>>>()

  function subkeyOf(key: Key, kind: Kind): Buffer {
    let found = subkeys.get(key)
    if (found === undefined) {
      const derive = (label: string): Buffer => createHmac('sha256', key.secret).update(label).digest()
      subkeys.set(key, (found = { p: derive(LABELS.p), d: derive(LABELS.d) }))
    }
    return found[kind]
  }

  function macOf(key: Key, kind: Kind, address: string, view: MessageView | undefined): string {
    const mac = createHmac('sha256', subkeyOf(key, kind)).update(address)
    if (kind === 'd' && view !== undefined) mac.update(`\n${callIdOf(view)}`, 'latin1')
    return mac.digest('hex').slice(0, MAC_LENGTH)
  }

  function make(kind: Kind, flow: Endpoint, view?: MessageView): string | undefined {
    const { signing } = keysNow(now())
    const address = writeFlow(flow)
    if (signing === undefined || address === undefined) return undefined
    return `${kind}${address}-${macOf(signing, kind, address, view)}`
  }

  return {
    forRegistration: (flow) => make('p', flow),
    forDialog: (flow, view) => make('d', flow, view),
    read(token, view) {
      const [, kind, address = '', mac = ''] = TOKEN.exec(token) ?? []
      const flow = parseFlow(address)
      if ((kind !== 'p' && kind !== 'd') || flow === undefined) return undefined
      const given = Buffer.from(mac, 'latin1')
      const isOurs = keysNow(now()).verifying.some((key) =>
        timingSafeEqual(Buffer.from(macOf(key, kind, address, view), 'latin1'), given),
      )
      return isOurs ? { kind: kind === 'p' ? 'registration' : 'dialog', flow } : undefined
    },
  }
}

type Kind = keyof typeof LABELS

interface FlowKeys {
  readonly signing: Key | undefined
  readonly verifying: readonly Key[]
}

/** The usable keys, looked up once per change of their states. */
function createKeyCache(source: KeyringSource, group: string): (now: Date) => FlowKeys {
  let current: Keyring | undefined
  let validUntil = -Infinity
  let keys: FlowKeys = { signing: undefined, verifying: [] }
  return (now) => {
    const ring = source()
    if (ring === current && now.getTime() < validUntil) return keys
    keys = { signing: ring.activeKey(group, now), verifying: ring.verificationKeys(group, now) }
    validUntil = ring.nextChange(group, now)?.getTime() ?? Infinity
    current = ring
    return keys
  }
}
