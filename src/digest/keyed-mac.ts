/**
 * HMAC-SHA-256 under the keys of a group, for what is made and checked with every message: nonces and flow tokens. The
 * pads of RFC 2104 §2 are laid once a key; two one-shot hashes then cost half of a streaming HMAC.
 * @module
 */
import { hash } from 'node:crypto'
import type { Key } from '../keyring/key.ts'
import type { Keyring, KeyringSource } from '../keyring/keyring.ts'

const BLOCK = 64
const SIZE = 32

/** Longest data that is hashed where it is laid behind the pad, bytes; beyond lies what hardly any message has. */
const ROOM = 1024

/** No bytes behind the text. */
const NOTHING = new Uint8Array(0)

/** HMACs under one secret. */
export interface Mac {
  /** HMAC-SHA-256 of text and the bytes behind it, as latin1 text: one character a byte. */
  digest(text: string, encoding: 'latin1' | 'utf8', tail?: Uint8Array): string
  /** Forgets the secret. What is digested from then on is worth nothing. */
  forget(): void
}

/** Binds a secret, of which it keeps the pads alone. */
export function createMac(secret: Uint8Array): Mac {
  const inner = Buffer.alloc(BLOCK + ROOM)
  const outer = Buffer.alloc(BLOCK + SIZE, 0x5c)
  const long = secret.length > BLOCK ? hash('sha256', secret, 'buffer') : undefined
  const key = long ?? secret
  inner.fill(0x36, 0, BLOCK)
  for (let i = 0; i < key.length; i++) {
    inner[i] = key[i]! ^ 0x36
    outer[i] = key[i]! ^ 0x5c
  }
  long?.fill(0)
  const views: (Buffer | undefined)[] = []

  function innerHash(text: string, encoding: 'latin1' | 'utf8', tail: Uint8Array): string {
    // A character takes three bytes at most.
    if (text.length * 3 + tail.length > ROOM) {
      const data = Buffer.concat([inner.subarray(0, BLOCK), Buffer.from(text, encoding), tail])
      const digest = hash('sha256', data, 'binary')
      data.fill(0, 0, BLOCK)
      return digest
    }
    let end = BLOCK + inner.write(text, BLOCK, encoding)
    for (let i = 0; i < tail.length; i++) inner[end++] = tail[i]!
    return hash('sha256', (views[end - BLOCK] ??= inner.subarray(0, end)), 'binary')
  }

  return {
    digest(text, encoding, tail = NOTHING) {
      const first = innerHash(text, encoding, tail)
      for (let i = 0; i < SIZE; i++) outer[BLOCK + i] = first.charCodeAt(i)
      return hash('sha256', outer, 'binary')
    },
    forget() {
      inner.fill(0)
      outer.fill(0)
    },
  }
}

/** The usable keys of a group at one time, each bound to what it makes. */
export interface BoundKeys<Bound> {
  readonly active: Bound | undefined
  readonly verifying: readonly Bound[]
}

/**
 * Binds the keys that count now, once per change of their states: whoever asks holds none beyond one message, since those
 * that count no more are forgotten.
 * @param bind makes of a secret, which is wiped behind it, what is kept
 * @returns the keys at a time, epoch milliseconds
 */
export function bindKeys<Bound extends { readonly forget: () => void }>(
  source: KeyringSource,
  group: string,
  bind: (secret: Uint8Array) => Bound,
): (now: number) => BoundKeys<Bound> {
  let current: Keyring | undefined
  let validUntil = -Infinity
  let bound = new Map<Key, Bound>()
  let keys: BoundKeys<Bound> = { active: undefined, verifying: [] }
  return (now) => {
    const ring = source()
    if (ring === current && now < validUntil) return keys
    const date = new Date(now)
    const next = new Map<Key, Bound>()
    const boundTo = (key: Key): Bound => {
      const known = next.get(key) ?? bound.get(key) ?? withSecret(key, bind)
      next.set(key, known)
      return known
    }
    const active = ring.activeKey(group, date)
    keys = { active: active && boundTo(active), verifying: ring.verificationKeys(group, date).map(boundTo) }
    for (const [key, old] of bound) if (!next.has(key)) old.forget()
    bound = next
    validUntil = ring.nextChange(group, date)?.getTime() ?? Infinity
    current = ring
    return keys
  }
}

function withSecret<Bound>(key: Key, bind: (secret: Uint8Array) => Bound): Bound {
  const secret = key.secret.export()
  const bound = bind(secret)
  secret.fill(0)
  return bound
}
