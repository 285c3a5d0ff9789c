/**
 * Revoked keys of a shared keyring stay in it, so that no later revision can bring them back: neither an operator who
 * edits an old copy, nor a store that lost its last changes.
 * @module
 */
import type { KeyObject } from 'node:crypto'
import type { Issue } from '../errors.ts'
import { formatPath } from '../toml.ts'

/** The part of a key that says whether it was revoked. */
export interface RevocableKey {
  readonly name: string
  readonly revoked?: Date | undefined
  /** Known where the keyring is open. */
  readonly secret?: KeyObject
}

/** Keys by group: a keyring, or the text of one that is sealed. */
export interface Revocations {
  readonly groups: readonly string[]
  keys(group: string): readonly RevocableKey[]
}

/**
 * What speaks against `after` in the place of `before`: a key that was revoked by `now` must still be there and revoked by
 * now, and no key that is new in its group may have its secret. Empty: nothing. The date may be a later one: where the
 * store has lost a revocation it is given again.
 */
export function lostTombstones(before: Revocations, after: Revocations, now: Date): readonly Issue[] {
  return before.groups.flatMap((group) => {
    const known = before.keys(group)
    const found = after.keys(group)
    const names = new Set(known.map(({ name }) => name))
    return known
      .filter(({ revoked }) => revoked !== undefined && revoked <= now)
      .flatMap((key) => {
        const kept = found.find(({ name }) => name === key.name)
        const issues = problemsOf(key, kept, now).map((message) => issueOf(group, key, message))
        const again = found.filter((other) => !names.has(other.name) && hasSecretOf(other, key))
        return [
          ...issues,
          ...again.map((other) =>
            issueOf(group, other, `has the secret of ${JSON.stringify(key.name)}, which was revoked`),
          ),
        ]
      })
  })
}

function problemsOf(key: RevocableKey, kept: RevocableKey | undefined, now: Date): readonly string[] {
  if (kept === undefined) return ['is gone: it was revoked, and a revoked key stays in a shared keyring']
  if (kept.revoked === undefined || kept.revoked > now)
    return [`was revoked at ${key.revoked!.toISOString()}, and must stay so`]
  return []
}

function hasSecretOf({ secret }: RevocableKey, key: RevocableKey): boolean {
  return secret !== undefined && key.secret !== undefined && secret.equals(key.secret)
}

function issueOf(group: string, { name }: RevocableKey, message: string): Issue {
  return { path: formatPath(['groups', group, 'keys', name]), message }
}
