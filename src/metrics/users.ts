/**
 * Metrics of digest authentication; registered only where users are configured.
 * @module
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import { createCells, type CellFamily } from './counters.ts'

/** Where accounts are looked up. */
export interface BackendFacts {
  /** What kind: `toml`, `flexisip`, `sql`, `decision`, `password`. */
  readonly backend: string
  /** Whether it answered when it was asked last. */
  readonly state: 'up' | 'down'
  /** Look-ups since the start: answered from the cache, and not. */
  readonly hits: number
  readonly misses: number
  /** Look-ups that failed. */
  readonly failures: number
  /** Look-ups that wait for their turn. */
  readonly waiting: number
}

/** How it stands with users. */
export interface UserFacts {
  /** Requests that wait for a decision, and those for which there was no room. */
  readonly pending: { readonly waiting: number; readonly overflows: number }
  /** Bans in force, and those not made for want of room. */
  readonly bans: { readonly active: number; readonly overflows: number }
  /** Nonce counts that are remembered; absent where the store cannot tell. */
  readonly claims: { readonly store: string; readonly entries: number; readonly capacity: number } | undefined
  readonly backend: BackendFacts
}

/** What is counted of users. */
export interface UserMetrics {
  readonly authentications: CellFamily<'outcome' | 'reason'>
  readonly blocks: CellFamily<'kind'>
}

/** A metric with one series, which is read at a scrape. */
interface Reading {
  readonly type: 'gauge' | 'counter'
  readonly name: string
  readonly help: string
  readonly label?: 'backend' | 'store'
  /** Undefined: there is none now. */
  readonly read: (facts: UserFacts) => number | undefined
}

const LABELS: Readonly<Record<'backend' | 'store', (facts: UserFacts) => Readonly<Record<string, string>>>> =
  {
    backend: ({ backend }) => ({ backend: backend.backend }),
    store: ({ claims }) => ({ store: claims?.store ?? '' }),
  }

const READINGS: readonly Reading[] = [
  {
    type: 'gauge',
    name: 'xkeys_digest_pending',
    help: 'Requests of users that wait for a decision',
    read: ({ pending }) => pending.waiting,
  },
  {
    type: 'counter',
    name: 'xkeys_digest_pending_overflows_total',
    help: 'Requests of users answered 503 because too many waited',
    read: ({ pending }) => pending.overflows,
  },
  {
    type: 'gauge',
    name: 'xkeys_blocks_active',
    help: 'Bans of sources and users in force',
    read: ({ bans }) => bans.active,
  },
  {
    type: 'counter',
    name: 'xkeys_block_overflows_total',
    help: 'Bans not made for want of room',
    read: ({ bans }) => bans.overflows,
  },
  {
    type: 'gauge',
    name: 'xkeys_claims_held',
    help: 'Nonce counts that are remembered',
    label: 'store',
    read: ({ claims }) => claims?.entries,
  },
  {
    type: 'gauge',
    name: 'xkeys_claims_capacity',
    help: 'Nonce counts for which there is room',
    label: 'store',
    read: ({ claims }) => claims?.capacity,
  },
  {
    type: 'gauge',
    name: 'xkeys_digest_backend_up',
    help: 'Whether the store of accounts answers',
    label: 'backend',
    read: ({ backend }) => (backend.state === 'up' ? 1 : 0),
  },
  {
    type: 'gauge',
    name: 'xkeys_digest_backend_queue_depth',
    help: 'Look-ups that wait for their turn',
    label: 'backend',
    read: ({ backend }) => backend.waiting,
  },
  {
    type: 'counter',
    name: 'xkeys_digest_backend_failures_total',
    help: 'Look-ups that failed',
    label: 'backend',
    read: ({ backend }) => backend.failures,
  },
  {
    type: 'counter',
    name: 'xkeys_digest_backend_cache_hits_total',
    help: 'Look-ups answered from the cache',
    label: 'backend',
    read: ({ backend }) => backend.hits,
  },
  {
    type: 'counter',
    name: 'xkeys_digest_backend_cache_misses_total',
    help: 'Look-ups not answered from the cache',
    label: 'backend',
    read: ({ backend }) => backend.misses,
  },
]

/** Registers them. @param facts asked at each scrape */
export function createUserMetrics(registry: Registry, facts: () => UserFacts): UserMetrics {
  for (const { type, name, help, label, read } of READINGS) {
    const Kind = type === 'gauge' ? Gauge : Counter
    const metric: Gauge | Counter = new Kind({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [registry],
      collect() {
        metric.reset()
        const now = facts()
        const value = read(now)
        if (value !== undefined) metric.inc(label === undefined ? {} : LABELS[label](now), value)
      },
    })
  }
  return {
    authentications: createCells(
      registry,
      'xkeys_digest_authentications_total',
      'Requests of users judged, by outcome and reason',
      ['outcome', 'reason'],
    ),
    blocks: createCells(registry, 'xkeys_blocks_total', 'Bans made because of wrong passwords', ['kind']),
  }
}
