/**
 * Claims that nodes share, and that hold without the store they share them in. What a node hears of a claim it notes in its
 * own memory, too. While the store cannot be asked the memory answers at once: nobody waits, nobody is refused, and a claim
 * of another node may be missed. That is an alarm.
 * @module
 */
import type { ClaimResult, Claims } from '../pipeline/claim.ts'
import type { MemoryClaims } from './claim-memory.ts'
import type { RedisClaim, RedisClaims } from './claim-redis.ts'
import { StoreError } from './store-error.ts'

/** Who answers: the store that nodes share, or this node's memory. */
export type ClaimsState = 'shared' | 'local'

/** What `createSharedClaims` takes. */
export interface SharedClaimsOptions {
  readonly shared: RedisClaims
  /** This node's memory, and nobody else's. */
  readonly local: MemoryClaims
  /** The clock that what is claimed is dated by. */
  readonly now: () => Date
  /** Told once per change; it begins as `shared`. `detail` says why, and holds no secret. */
  readonly onState: (state: ClaimsState, detail: string) => void
}

/** Claims that nodes share. Never rejects. */
export interface SharedClaims extends Claims {
  readonly state: ClaimsState
  close(): void
}

/** How often the store is tried, milliseconds; give or take a fifth. */
const EVERY_MS = 1000

/** Makes the claims, and begins to look after the store. Keeps no process alive. */
export function createSharedClaims({ shared, local, now, onState }: SharedClaimsOptions): SharedClaims {
  let state: ClaimsState = 'shared'
  let since: Date | undefined
  let epoch: string | undefined
  let closed = false
  let timer: NodeJS.Timeout | undefined

  function turn(next: ClaimsState, detail: string): void {
    if (closed || next === state) return
    state = next
    // Before, others claimed what this memory does not know; behind, what they noted in theirs.
    since = now()
    onState(next, detail)
  }

  function heard(found: string): void {
    // Empty where it had no memory for one.
    if (found === '' || found === epoch) return
    if (epoch !== undefined) since = now()
    epoch = found
  }

  async function ask(key: string, value: string, ttl: number): Promise<ClaimResult> {
    try {
      const answer = await shared.ask(key, value, ttl)
      heard(answer.epoch)
      return note(key, answer)
    } catch (error) {
      turn('local', reasonOf(error))
      return local.claim(key, value, ttl)
    }
  }

  /** Notes what the store says, for when it is away or has forgotten it. */
  function note(key: string, { result, held, left }: RedisClaim): ClaimResult {
    if (held === undefined || left === 0) return result
    // Claimed here while the store was asked: as when it went away in between.
    return local.claim(key, held, left) === 'other' ? 'other' : result
  }

  async function look(): Promise<void> {
    try {
      heard(await shared.probe())
      turn('shared', 'the store answers')
    } catch (error) {
      turn('local', reasonOf(error))
    }
    if (closed) return
    timer = setTimeout(() => void look(), EVERY_MS * (0.8 + Math.random() * 0.4))
    timer.unref()
  }

  void look()
  return {
    get since() {
      return since
    },
    get state() {
      return state
    },
    claim(key, value, ttl) {
      if (state === 'local') return local.claim(key, value, ttl)
      const held = local.held(key)
      // What is known here needs no asking, and counts even where the store has forgotten it.
      if (held !== undefined) return held === value ? 'same' : 'other'
      return ask(key, value, ttl)
    },
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}

function reasonOf(error: unknown): string {
  return error instanceof StoreError ? error.message : 'the store failed'
}
