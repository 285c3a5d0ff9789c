/**
 * What every shared store asks of a change before it takes it.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import type { KeyringReplacement, StoredKeyring } from './keyring-store.ts'
import { readSealedText } from './sealed-text.ts'
import { lostTombstones } from './tombstones.ts'

/** Longest text that a store takes or gives, characters. */
export const MAX_KEYRING_LENGTH: number = 8 << 20

/** How many lines of the audit a store keeps: the last ones. */
export const AUDIT_LINES = 10_000

/**
 * Judges a change by its text alone: sealed under the store's name, every secret of it, as the revision that is given.
 * @param name what the keyring of the store must be sealed under
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue
 */
export function assertReplacement({ before, after }: KeyringReplacement, name: string): void {
  if (after.text.length > MAX_KEYRING_LENGTH)
    fail([{ path: 'groups', message: `the text has more than ${MAX_KEYRING_LENGTH} characters` }])
  const text = readSealedText(after.text)
  const issues: Issue[] = []
  if (text.name !== name)
    issues.push({
      path: 'seal.keyring',
      message: `must be ${JSON.stringify(name)}, the name of the shared keyring`,
    })
  if (text.revision !== after.revision)
    issues.push({ path: 'seal.revision', message: `must be ${after.revision}, as it is put in` })
  if (before !== 'empty' && text.revision <= before)
    issues.push({
      path: 'seal.revision',
      message: `must be above ${before}, which it is put in the place of`,
    })
  if (issues.length > 0) fail(issues)
}

/**
 * Sees that no revoked key of what is stored comes back.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every such key
 */
export function assertTombstones(stored: StoredKeyring, after: StoredKeyring, now: Date): void {
  const issues = lostTombstones(readSealedText(stored.text), readSealedText(after.text), now)
  if (issues.length > 0) fail(issues)
}

function fail(issues: readonly Issue[]): never {
  throw new ConfigError('ERR_KEYRING_INVALID', issues)
}
