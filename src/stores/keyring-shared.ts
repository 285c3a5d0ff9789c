/**
 * A keyring that follows a shared store: told of changes at once, and looking for itself every few seconds. What the store
 * says never takes a keyring away: when it cannot be asked, has nothing, or something older, what is in force stays.
 * @module
 */
import { ConfigError } from '../errors.ts'
import type { KeyringStore, StoredKeyring } from '../keyring/keyring-store.ts'
import { openKeyringCopy } from './keyring-copy-file.ts'
import type { LiveKeyring, LiveKeyringOptions, LiveKeyringStatus } from './keyring-file.ts'
import { beginWith, EMPTY, olderThan, readFrom, takeUp } from './keyring-take-up.ts'

/**
 * How it stands with the store. `here`: it was asked and has a keyring as new as the one in force. `away`: it cannot be
 * asked. `empty`: it has none. `older`: it has one that is older than the one in force.
 */
export type SharedState = 'here' | 'away' | 'empty' | 'older'

/**
 * What is told once when it begins. `back`: the store is as it should be again. `copy-failed`, `copy-written`: of the local
 * copy.
 */
export type SharedEvent = Exclude<SharedState, 'here'> | 'back' | 'copy-failed' | 'copy-written'

/** What a shared keyring needs, and whom it tells. */
export interface SharedKeyringOptions extends Omit<LiveKeyringOptions, 'env'> {
  /** Where the sealed text is kept for a start without the store; one for each node. Absent: nowhere. */
  readonly localCopy?: string | undefined
  /** May be called before the keyring is open. `detail` says why, and holds no secret. */
  readonly onStore: (event: SharedEvent, detail: string) => void
}

/** How it stands with a shared keyring. */
export interface SharedKeyringStatus extends LiveKeyringStatus {
  readonly store: SharedState
  /** Of the keyring in force. */
  readonly revision: number
  /** When the store last answered. */
  readonly reachedAt: Date | undefined
}

/** A keyring that follows a store. */
export interface SharedKeyring extends LiveKeyring {
  status(): SharedKeyringStatus
}

/** Why the store is looked at: it may have changed, or somebody wants to know. */
type Reason = 'change' | 'reload'

/** How often the store is looked at where it tells of no change, milliseconds; give or take a fifth. */
const EVERY_MS = 2000

/** After so many looks a text that was refused is tried again: the disk may have room by then, or the KEK be there. */
const TRY_AGAIN = 15

/**
 * Opens a keyring of a store: what the store has, or else the local copy. A text that cannot be used never replaces a
 * keyring: it is told once, and the next change is looked at.
 * @throws ConfigError `ERR_KEYRING_INVALID` where neither can be used
 */
export async function openSharedKeyring(
  store: KeyringStore,
  options: SharedKeyringOptions,
): Promise<SharedKeyring> {
  const { now, kek, onStore, onLoaded, onFailed } = options
  const copy = options.localCopy === undefined ? undefined : openKeyringCopy(options.localCopy)
  const first = await beginWith(store, copy, options)
  let { inForce } = first
  // The text that was looked at last, and why it cannot be used where it cannot.
  let { seen, reachedAt } = first
  let refused: string | undefined
  let state: SharedState = 'here'
  let loadedAt = now()
  let copyFailing = false
  let closed = false
  let looking = false
  let asked: Reason | undefined
  let triesLeft = TRY_AGAIN
  const reloads = { ok: 0, failed: 0 }

  function settle(next: SharedState, detail: string): void {
    if (next === state) return
    state = next
    onStore(next === 'here' ? 'back' : next, detail)
  }

  /** Where the operator asked for it, what hinders is told each time. */
  function hindered(next: SharedState, detail: string, why: Reason): void {
    settle(next, detail)
    if (why === 'reload')
      fail(new ConfigError('ERR_KEYRING_INVALID', [{ path: store.place, message: detail }]))
  }

  function fail(error: ConfigError): void {
    reloads.failed++
    onFailed(error)
  }

  function refuse(error: ConfigError): void {
    triesLeft = TRY_AGAIN
    const isTold = refused === error.message
    refused = error.message
    if (!isTold) fail(error)
    void fetchKekAgain()
  }

  /** It may have been sealed under a KEK that came after the start. */
  async function fetchKekAgain(): Promise<void> {
    if ((await kek?.refetch?.()) !== true || closed) return
    triesLeft = 0
    lookNow('change')
  }

  async function look(why: Reason): Promise<void> {
    const found = await readFrom(store)
    if (closed) return
    if (found instanceof Error) return hindered('away', found.message, why)
    reachedAt = now()
    if (found === 'empty') return hindered('empty', EMPTY, why)
    if (found.revision < inForce.revision)
      return hindered('older', olderThan(inForce.revision, found.revision), why)
    settle('here', `revision ${found.revision}`)
    if (found.text === inForce.text) return same(why)
    if (found.text === seen && why === 'change' && triesLeft-- > 0) return
    if (found.text !== seen || why === 'reload') refused = undefined
    take(found)
  }

  function same(why: Reason): void {
    seen = inForce.text
    refused = undefined
    if (why === 'change') return
    reloads.ok++
    loadedAt = now()
    onLoaded(inForce.keyring, 'same')
  }

  function take(found: StoredKeyring): void {
    seen = found.text
    const taken = takeUp(found, inForce, copy, options)
    if (taken instanceof ConfigError) return refuse(taken)
    refused = undefined
    reloads.ok++
    loadedAt = now()
    inForce = taken
    onLoaded(taken.keyring, 'changed')
    tellCopy(taken.copyError)
  }

  function tellCopy(error: ConfigError | undefined): void {
    if (copyFailing === (error !== undefined)) return
    copyFailing = error !== undefined
    onStore(
      copyFailing ? 'copy-failed' : 'copy-written',
      error?.message ?? 'the local copy can be written again',
    )
  }

  /** One look at a time; what is asked for meanwhile is looked at behind it. */
  function lookNow(why: Reason): void {
    if (asked !== 'reload') asked = why
    if (!looking) void lookOn()
  }

  async function lookOn(): Promise<void> {
    const why = asked
    if (why === undefined || closed) return
    asked = undefined
    looking = true
    await look(why).finally(() => {
      looking = false
    })
    void lookOn()
  }

  let timer: NodeJS.Timeout | undefined
  function lookLater(): void {
    const wait = EVERY_MS * (0.8 + Math.random() * 0.4)
    timer = setTimeout(() => {
      lookNow('change')
      lookLater()
    }, wait)
    timer.unref()
  }

  settle(first.state, first.detail)
  tellCopy(inForce.copyError)
  if (first.refused !== undefined) refuse(first.refused)
  lookLater()
  const followed = store.follow(() => lookNow('change'))
  return {
    keyring: () => inForce.keyring,
    reload: () => lookNow('reload'),
    close() {
      closed = true
      clearTimeout(timer)
      followed.close()
    },
    status: () => ({
      failing: refused !== undefined,
      loadedAt,
      reloads: { ...reloads },
      store: state,
      revision: inForce.revision,
      reachedAt,
    }),
  }
}
