/**
 * A shared keyring in Redis: `xkeys:{NAME}:keyring`, and beside it `:audit`, `:nodes` and `:confirmations`. The braces keep
 * them on one node of a Cluster. Only sealed text is in it, and every step is one script.
 * @module
 */
import { createHash } from 'node:crypto'
import {
  assertReplacement,
  assertTombstones,
  AUDIT_LINES,
  MAX_KEYRING_LENGTH,
} from '../keyring/keyring-replacement.ts'
import type { FoundHeartbeat, KeyringStore, StoredKeyring } from '../keyring/keyring-store.ts'
import type { Confirmation } from '../keyring/rotation.ts'
import { readSealedText } from '../keyring/sealed-text.ts'
import { openRedis, type RedisScript } from './redis-client.ts'
import { formatHeartbeat, MAX_HEARTBEAT_LENGTH, parseHeartbeat, showable } from './redis-heartbeat.ts'
import * as scripts from './redis-keyring-scripts.ts'
import type { RedisSettings } from './redis-settings.ts'
import { confirmationSchema } from './rotation-file.ts'
import { StoreError } from './store-error.ts'

/** Which keyring, and where. */
export interface RedisKeyringOptions extends RedisSettings {
  /** What the keyring is sealed under. */
  readonly name: string
}

/** How long reading all heartbeats may take, page by page, milliseconds. */
const HEARTBEATS_MS = 10_000

/** Longest line of the audit, characters. */
const MAX_LINE = 16_384

/**
 * Opens a keyring in Redis; whether the server can be reached shows in what it is asked. What its functions reject with is
 * a `StoreError`.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue of the settings, or where ioredis is not installed
 */
export async function openRedisKeyringStore({
  name,
  ...settings
}: RedisKeyringOptions): Promise<KeyringStore> {
  const client = await openRedis(settings)
  // A brace of the name would end what a Cluster looks at.
  const prefix = `xkeys:{${encodeURIComponent(name)}}`
  const [keyring, audit, nodes, confirmations] = ['keyring', 'audit', 'nodes', 'confirmations'].map(
    (part) => `${prefix}:${part}`,
  ) as [string, string, string, string]
  const channel = `${prefix}:changes`
  let known: { readonly digest: string; readonly stored: StoredKeyring } | undefined

  async function run(
    script: RedisScript,
    keys: readonly string[],
    ...values: (string | number)[]
  ): Promise<unknown> {
    await client.ready()
    return client.run(script, keys, values)
  }

  async function read(): Promise<StoredKeyring | 'empty'> {
    // What was read before need not be sent again.
    const before = known
    const answer = await run(scripts.READ, [keyring], before?.digest ?? '', MAX_KEYRING_LENGTH)
    const [found, revision, text] = Array.isArray(answer) ? (answer as unknown[]) : []
    if (found === 'empty') return 'empty'
    if (found === 'same' && before !== undefined && revision === String(before.stored.revision))
      return before.stored
    if (found !== 'read' || typeof text !== 'string' || !isSealedAs(text, revision))
      throw damaged('the keyring')
    known = { digest: digestOf(text), stored: { text, revision: Number(revision) } }
    return known.stored
  }

  async function confirmed(): Promise<readonly StoredConfirmation[]> {
    const answer = await run(scripts.CONFIRMATIONS, [confirmations], scripts.MAX_CONFIRMATIONS)
    if (!Array.isArray(answer)) throw damaged('the list of confirmations')
    return pairsOf(answer).map(([field, value]) => ({ field, value, entry: parseConfirmation(value) }))
  }

  async function append(line: string): Promise<void> {
    assertLine(line)
    await run(scripts.NOTE, [audit], line, AUDIT_LINES)
  }

  return {
    place: `${name} in ${client.place}`,
    read,
    async replace(change) {
      assertReplacement(change, name)
      assertLine(change.audit)
      const { before, after } = change
      let digest = ''
      if (before !== 'empty') {
        const stored = await read()
        if (stored === 'empty' || stored.revision !== before) return 'conflict'
        assertTombstones(stored, after, new Date())
        digest = digestOf(stored.text)
      }
      const values = [before, digest, after.revision, after.text, change.audit, AUDIT_LINES, channel]
      return (await run(scripts.REPLACE, [keyring, audit], ...values)) === 'done' ? 'done' : 'conflict'
    },
    async audit(count) {
      if (count < 1) return []
      const answer = await run(scripts.AUDIT, [audit], Math.min(count, AUDIT_LINES))
      return Array.isArray(answer) ? answer.map((line) => showable(String(line))) : []
    },
    note: append,
    follow(onChange) {
      return client.listen(channel, onChange, onChange)
    },
    async beat(heartbeat) {
      const text = formatHeartbeat(heartbeat)
      if (text.length > MAX_HEARTBEAT_LENGTH)
        throw new StoreError('full', 'the report of this node is too long')
      const answer = await run(scripts.BEAT, [nodes], heartbeat.report.node, text, scripts.MAX_NODES)
      if (answer !== 'done')
        throw new StoreError('full', `it knows ${scripts.MAX_NODES} nodes: forget those that are gone`)
    },
    async heartbeats() {
      const found = new Map<string, FoundHeartbeat | 'damaged'>()
      let cursor = '0'
      for (const end = performance.now() + HEARTBEATS_MS; performance.now() < end;) {
        const answer = await run(scripts.BEATS, [nodes], cursor)
        const [asked, next, page] = Array.isArray(answer) ? (answer as unknown[]) : []
        if (typeof next !== 'string' || !Array.isArray(page)) throw damaged('the list of nodes')
        for (const [node, stored] of pairsOf(page))
          found.set(showable(node), parseHeartbeat(node, stored, Number(asked)))
        if (next === '0') return found
        cursor = next
      }
      throw new StoreError('away', `it takes more than ${HEARTBEATS_MS / 1000} s to tell of all nodes`)
    },
    forget: async (node) => (await run(scripts.FORGET, [nodes], node)) === 1,
    confirmations: async () => (await confirmed()).flatMap(({ entry }) => entry ?? []),
    async confirm(added, isLive) {
      const field = fieldOf(added)
      const dropped = (await confirmed()).filter(
        ({ field: other, entry }) => other !== field && (entry === undefined || !isLive(entry)),
      )
      const values = dropped.flatMap((entry) => [entry.field, entry.value])
      const most = scripts.MAX_CONFIRMATIONS
      const answer = await run(
        scripts.CONFIRM,
        [confirmations],
        field,
        JSON.stringify(added),
        most,
        ...values,
      )
      if (answer !== 'done') throw new StoreError('full', 'it holds too many confirmations')
    },
    close: () => client.close(),
  }
}

/** `entry` is absent where the value says nothing: then nothing is confirmed. */
interface StoredConfirmation {
  readonly field: string
  readonly value: string
  readonly entry: Confirmation | undefined
}

/** One for each key and peer. */
function fieldOf({ fingerprint, peer }: Confirmation): string {
  return `${fingerprint} ${peer}`
}

function parseConfirmation(text: string): Confirmation | undefined {
  try {
    const entry = confirmationSchema.safeParse(JSON.parse(text)).data
    return entry && { ...entry, by: showable(entry.by) }
  } catch {
    return undefined
  }
}

/** Whoever can write there could also put a revision beside a text of another. */
function isSealedAs(text: string, revision: unknown): boolean {
  try {
    return String(readSealedText(text).revision) === revision
  } catch {
    return false
  }
}

function assertLine(line: string): void {
  if (line.length > MAX_LINE || /[\r\n]/.test(line))
    throw new StoreError('refused', 'the line of the audit is not one short line')
}

function digestOf(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

function pairsOf(flat: readonly unknown[]): readonly (readonly [string, string])[] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[String(name), String(flat[i + 1])] as const] : []))
}

function damaged(what: string): StoreError {
  return new StoreError('damaged', `${what} in it is damaged`)
}
