/**
 * The heartbeats of a node that shares its keyring: what it has in force, every two seconds, and at once when a keyring
 * came into force. That is how operators know that a key is revoked everywhere.
 * @module
 */
import type { Heartbeat, KeyringStore } from '../keyring/keyring-store.ts'

/** What heartbeats are made of. */
export interface HeartbeatOptions {
  readonly store: Pick<KeyringStore, 'beat'>
  /** What this node tells now. */
  readonly tell: (end?: 'stopped') => Heartbeat
  /** Several in a row did not arrive, and why; or one does again. Told once. */
  readonly onState: (state: 'failed' | 'sent', reason: string) => void
}

/** Tells of a node until it is closed. */
export interface Heartbeats {
  /** Begins to tell. */
  begin(): void
  /** Tells at once. */
  now(): void
  /** Tells a last time, that the node has stopped. */
  close(): Promise<void>
}

/** Time between two heartbeats, milliseconds. */
export const BEAT_EVERY_MS = 2000

/** So many heartbeats in a row are lost before it is told: when the store goes away, who follows it says so first. */
const LOST_UNTOLD = 3

/** Makes the heartbeats of a node. One is under way at a time; one that is lost is followed by the next. */
export function createHeartbeats({ store, tell, onState }: HeartbeatOptions): Heartbeats {
  let timer: NodeJS.Timeout | undefined
  let again = false
  let sending: Promise<void> | undefined
  let lost = 0

  async function beat(end?: 'stopped'): Promise<void> {
    try {
      await store.beat(tell(end))
      if (lost >= LOST_UNTOLD) onState('sent', '')
      lost = 0
    } catch (error) {
      if (++lost === LOST_UNTOLD) onState('failed', error instanceof Error ? error.message : 'unknown error')
    }
  }

  async function send(): Promise<void> {
    do {
      again = false
      await beat()
    } while (again)
    sending = undefined
  }

  function now(): void {
    if (timer === undefined) return
    again = true
    sending ??= send()
  }

  return {
    begin() {
      timer = setInterval(now, BEAT_EVERY_MS)
      timer.unref()
      now()
    },
    now,
    async close() {
      if (timer === undefined) return
      clearInterval(timer)
      timer = undefined
      again = false
      await sending
      await beat('stopped')
    },
  }
}
