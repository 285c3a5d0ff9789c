/**
 * A shared keyring in the memory of one process: for tests, and for nodes that are one process.
 * @module
 */
import { assertReplacement, assertTombstones, AUDIT_LINES } from '../keyring/keyring-replacement.ts'
import type { FoundHeartbeat, KeyringStore, StoredKeyring } from '../keyring/keyring-store.ts'
import type { Confirmation } from '../keyring/rotation.ts'

/** What the memory needs. */
export interface MemoryKeyringOptions {
  /** What its keyring is sealed under. */
  readonly name: string
  /** The store's clock. */
  readonly now: () => Date
}

/** Opens an empty store. */
export function createMemoryKeyringStore({ name, now }: MemoryKeyringOptions): KeyringStore {
  let stored: StoredKeyring | 'empty' = 'empty'
  const lines: string[] = []
  const followers = new Set<() => void>()
  const beats = new Map<string, Omit<FoundHeartbeat, 'age'> & { readonly came: number }>()
  let confirmed: readonly Confirmation[] = []

  function note(line: string): void {
    lines.push(line)
    if (lines.length > AUDIT_LINES) lines.shift()
  }

  return {
    place: `${name} in memory`,
    read: async () => stored,
    async replace(change) {
      assertReplacement(change, name)
      const revision = stored === 'empty' ? stored : stored.revision
      if (revision !== change.before) return 'conflict'
      if (stored !== 'empty') assertTombstones(stored, change.after, now())
      stored = { text: change.after.text, revision: change.after.revision }
      note(change.audit)
      for (const tell of followers) queueMicrotask(() => followers.has(tell) && tell())
      return 'done'
    },
    audit: async (count) => (count > 0 ? lines.slice(-count) : []),
    note: async (line) => note(line),
    follow(onChange) {
      const tell = (): void => onChange()
      followers.add(tell)
      queueMicrotask(() => followers.has(tell) && tell())
      return { close: () => void followers.delete(tell) }
    },
    async beat(heartbeat) {
      const came = now().getTime()
      const { at, node } = heartbeat.report
      beats.set(node, { ...structuredClone(heartbeat), ahead: at.getTime() - came, came })
    },
    async heartbeats() {
      const asked = now().getTime()
      return new Map(
        Array.from(beats, ([node, { came, ...found }]) => [
          node,
          { ...structuredClone(found), age: Math.max(0, asked - came) },
        ]),
      )
    },
    forget: async (node) => beats.delete(node),
    confirmations: async () => confirmed,
    async confirm(added, isLive) {
      const others = confirmed.filter(
        (entry) => isLive(entry) && (entry.peer !== added.peer || entry.fingerprint !== added.fingerprint),
      )
      confirmed = [...others, structuredClone(added)]
    },
    async close() {
      followers.clear()
    },
  }
}
