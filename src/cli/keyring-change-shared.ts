/**
 * Changing a shared keyring: read, edit, put in its place where it still is what was read, or begin again.
 * @module
 */
import { ConfigError } from '../errors.ts'
import type { KeyringStore, StoredKeyring } from '../keyring/keyring-store.ts'
import { lostTombstones } from '../keyring/tombstones.ts'
import { auditLine } from '../stores/audit-file.ts'
import { RefusedError } from './exit.ts'
import type { KeyringChange } from './keyring-change.ts'
import { openKeyring, type KeyringTarget } from './keyring-target.ts'
import { asking, cannotBeAsked, readStored } from './shared-store.ts'

/** A keyring that nodes share. */
export interface SharedTarget extends KeyringTarget {
  readonly store: KeyringStore
}

/** How often a change is tried where others are faster. */
const TRIES = 5

/**
 * Changes it.
 * @param sealAgain seals an edited text as the next revision
 * @returns the text that is stored now
 */
export async function changeShared(
  target: SharedTarget,
  { audit, change, prepare }: KeyringChange,
  sealAgain: (before: string, edited: string) => string,
): Promise<string> {
  const { store, path } = target
  for (let tried = 0; tried < TRIES; tried++) {
    const before = await readStored(store)
    await prepare?.()
    const edited = change(before.text)
    if (edited === before.text) return edited
    const after = storedOf(target, before, sealAgain(before.text, edited))
    const entry = typeof audit === 'function' ? audit() : audit
    const line = auditLine({ ...entry, revision: after.revision })
    if (await replace(store, { before: before.revision, after, audit: line })) return after.text
  }
  throw new RefusedError(
    `${path}: others changed it at the same time, ${TRIES} times: nothing is changed, try again`,
  )
}

/** What may be stored: sealed, under the same name, a later revision, and no revoked key counts again. */
function storedOf(target: SharedTarget, before: StoredKeyring, text: string): StoredKeyring {
  const { keyring } = openKeyring(target, text)
  const { revision } = keyring
  if (revision === undefined)
    return fail(
      target.path,
      'only a sealed keyring may stand there: xkeys fleet export gives a copy to work on',
    )
  const old = openKeyring(target, before.text).keyring
  if (keyring.name !== old.name) return fail('seal.keyring', `it must stay ${JSON.stringify(old.name)}`)
  const lost = lostTombstones(old, keyring, target.now)
  if (lost.length > 0) throw new ConfigError('ERR_KEYRING_INVALID', lost)
  return { text, revision }
}

function fail(path: string, message: string): never {
  throw new ConfigError('ERR_KEYRING_INVALID', [{ path, message }])
}

/** Whether it is in; where the answer was lost, what is stored tells. */
async function replace(
  store: KeyringStore,
  change: Parameters<KeyringStore['replace']>[0],
): Promise<boolean> {
  try {
    return (await store.replace(change)) === 'done'
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const now = await asking(store, store.read()).catch(() => 'unknown' as const)
    if (now === 'unknown') {
      const { message } = cannotBeAsked(store, error)
      throw new RefusedError(`${message}; whether the change is in is unknown: look before you do it again`)
    }
    if (now !== 'empty' && now.text === change.after.text) return true
    throw cannotBeAsked(store, error)
  }
}
