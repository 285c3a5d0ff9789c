/**
 * Metrics of what changes while a node runs: reloads of its keyring, the last use of each key, its report.
 * @module
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** How it stands with the keyring's source. */
export interface ReloadFacts {
  /** What kind of source: `file`. */
  readonly source: string
  /** Reloads since the start, by how they went. */
  readonly ok: number
  readonly failed: number
  /** The source cannot be used as it is now: an older keyring is in force. */
  readonly failing: boolean
  /** When it was last read and found right. */
  readonly loadedAt: Date
}

/** When a key was last used with any peer, epoch milliseconds. */
export interface UseFacts {
  readonly group: string
  readonly key: string
  readonly verified: number | undefined
  readonly signed: number | undefined
}

/** What is known of the use of keys. */
export interface EvidenceFacts {
  /** From then on it is complete. */
  readonly since: Date
  readonly uses: readonly UseFacts[]
  /** When it was last written to the state directory; absent where there is none. */
  readonly writtenAt?: Date | undefined
}

/** What is read at each scrape; absent until there is something to tell. */
export interface LiveReadings {
  readonly reloads?: (() => ReloadFacts) | undefined
  readonly evidence?: (() => EvidenceFacts) | undefined
}

/** What a counter shows before there is anything to count. */
const NONE = { source: 'file', ok: 0, failed: 0 }

/** Registers them. */
export function registerLive(registry: Registry, readings: () => LiveReadings): void {
  const registers = [registry]
  const reloads = new Counter({
    name: 'xkeys_keyring_reloads_total',
    help: 'Reloads of the keyring, by how they went',
    labelNames: ['source', 'outcome'],
    registers,
    collect() {
      reloads.reset()
      const { source, ok, failed } = readings().reloads?.() ?? NONE
      reloads.inc({ source, outcome: 'ok' }, ok)
      reloads.inc({ source, outcome: 'failed' }, failed)
    },
  })
  const success = new Gauge({
    name: 'xkeys_keyring_last_reload_success',
    help: 'Whether the keyring in force is what its source holds; 0: the source cannot be used',
    labelNames: ['source'],
    registers,
    collect() {
      const facts = readings().reloads?.()
      if (facts !== undefined) success.set({ source: facts.source }, facts.failing ? 0 : 1)
    },
  })
  const loaded = new Gauge({
    name: 'xkeys_keyring_last_reload_timestamp_seconds',
    help: 'When the keyring was last read and found right',
    labelNames: ['source'],
    registers,
    collect() {
      const facts = readings().reloads?.()
      if (facts !== undefined) loaded.set({ source: facts.source }, facts.loadedAt.getTime() / 1000)
    },
  })
  const used = new Gauge({
    name: 'xkeys_key_last_used_timestamp_seconds',
    help: 'When a key last signed, or verified a token that had not come before',
    labelNames: ['group', 'key', 'use'],
    registers,
    collect() {
      used.reset()
      for (const { group, key, verified, signed } of readings().evidence?.().uses ?? []) {
        if (verified !== undefined) used.set({ group, key, use: 'verify' }, verified / 1000)
        if (signed !== undefined) used.set({ group, key, use: 'sign' }, signed / 1000)
      }
    },
  })
  const since = new Gauge({
    name: 'xkeys_evidence_since_timestamp_seconds',
    help: 'From when on it is known which key was used',
    registers,
    collect() {
      since.remove()
      const facts = readings().evidence?.()
      if (facts !== undefined) since.set(facts.since.getTime() / 1000)
    },
  })
  const written = new Gauge({
    name: 'xkeys_report_written_timestamp_seconds',
    help: 'When the report of this node was last written to the state directory',
    registers,
    collect() {
      written.remove()
      const writtenAt = readings().evidence?.().writtenAt
      if (writtenAt !== undefined) written.set(writtenAt.getTime() / 1000)
    },
  })
}
