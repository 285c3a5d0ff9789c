/**
 * What is true of a fleet's keys, by what its store has had: the measure of what nodes do.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createKey, type Key } from '../../src/keyring/key.ts'
import type { KeyringStore } from '../../src/keyring/keyring-store.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import type { KekSource } from '../../src/keyring/seal.ts'
import { keepOn } from './fleet-steps.ts'

/** One key that the store has, or had. */
export interface KnownKey {
  /** Without its times: it always signs. */
  readonly bare: Key
  /** From this revision on nodes have it. */
  readonly since: number
  /** When it ends, and from which revision on nodes know that. */
  readonly end: { readonly at: number; readonly since: number } | undefined
}

/** Follows a store. */
export interface Truth {
  readonly store: KeyringStore
  /** The newest revision that the store ever had. */
  revision(): number
  /** The keyring of that revision, and its text. */
  keyring(): Keyring
  text(): string
  key(group: string, name: string): KnownKey | undefined
  /** Every secret that there ever was. */
  secrets(): readonly string[]
  /** The newest revision that a node has told to be in force there; 0 where it told none. */
  inForce(node: string): number
  /** Reads the store now. */
  refresh(): Promise<void>
  close(): Promise<void>
}

/** How often heartbeats are read, milliseconds. */
const LOOK_EVERY = 250

/** Opens it on a store that has a keyring. */
export async function openTruth(store: KeyringStore, kek: KekSource): Promise<Truth> {
  const known = new Map<string, KnownKey>()
  const secrets = new Set<string>()
  const inForce = new Map<string, number>()
  let newest: { readonly text: string; readonly revision: number; readonly keyring: Keyring } | undefined

  async function refresh(): Promise<void> {
    const found = await store.read()
    if (found === 'empty' || found.revision <= (newest?.revision ?? 0)) return
    const keyring = parseKeyring(found.text, { kek, now: new Date() })
    newest = { ...found, keyring }
    for (const group of keyring.groups)
      for (const key of keyring.keys(group)) learn(group, key, found.revision)
  }
  function learn(group: string, key: Key, revision: number): void {
    const at = Math.min(key.expires?.getTime() ?? Infinity, key.revoked?.getTime() ?? Infinity)
    const id = `${group} ${key.name}`
    const before = known.get(id)
    secrets.add(key.secret.export().toString('latin1'))
    known.set(id, {
      bare: before?.bare ?? createKey({ name: key.name, secret: key.secret }),
      since: before?.since ?? revision,
      end: at === before?.end?.at ? before.end : at === Infinity ? undefined : { at, since: revision },
    })
  }
  async function look(): Promise<void> {
    for (const [node, beat] of await store.heartbeats()) {
      if (beat !== 'damaged') inForce.set(node, Math.max(inForce.get(node) ?? 0, beat.report.revision ?? 0))
    }
  }
  await refresh()
  const follower = store.follow(() => void refresh().catch(() => {}))
  const endLooking = keepOn(async () => {
    // The store may be away; what was known stays known.
    await Promise.all([refresh(), look()]).catch(() => {})
    await sleep(LOOK_EVERY)
  })
  return {
    store,
    revision: () => newest!.revision,
    keyring: () => newest!.keyring,
    text: () => newest!.text,
    key: (group, name) => known.get(`${group} ${name}`),
    secrets: () => [...secrets],
    inForce: (node) => inForce.get(node) ?? 0,
    refresh,
    async close() {
      follower.close()
      await endLooking()
      await store.close()
    },
  }
}
