/**
 * The keyring: all key groups of a node, as one immutable value. Changing it means making another.
 * @module
 */
import { ConfigError } from '../errors.ts'
import { formatPath } from '../toml.ts'
import { labelProblems, type Key, type Problem } from './key.ts'
import {
  endOf,
  isUsable,
  keyStates,
  MAX_SKEW_MS,
  nextStateChange,
  signingKey,
  type Ends,
  type KeyState,
} from './state.ts'

/** Which key: group id and name in the group. */
export interface KeyRef {
  readonly group: string
  readonly name: string
}

/** One key as it may be shown. */
export interface KeyListing extends KeyRef {
  readonly state: KeyState
  readonly fingerprint: string
}

/** All key groups of a node. Group ids compare ASCII case-blind, as in Kamailio. Unknown groups have no keys. */
export interface Keyring {
  /** Group ids as written, in the order written. */
  readonly groups: readonly string[]
  /** The name that a sealed keyring was sealed under; absent of one that is not sealed. */
  readonly name?: string
  /** How often a sealed keyring was changed: a later one is higher. Absent of one that is not sealed. */
  readonly revision?: number
  hasGroup(group: string): boolean
  /** Every key of a group, ended ones too, in listed order. */
  keys(group: string): readonly Key[]
  /** The key that signs at `now`. */
  activeKey(group: string, now: Date): Key | undefined
  /** The usable keys at `now`, last listed first: the order in which Kamailio tries them. */
  verificationKeys(group: string, now: Date): readonly Key[]
  /** `undefined`: there is no such key. */
  keyState(ref: KeyRef, now: Date): KeyState | undefined
  /**
   * The first instant after `now` at which the state of a key in the group changes, be it by the hand-over ahead of an
   * expiry; `undefined`: never. `activeKey` and `verificationKeys` can be kept until then.
   */
  nextChange(group: string, now: Date): Date | undefined
  /** Every key with its state at `now`, in the order written. */
  list(now: Date): readonly KeyListing[]
}

/** Gives the keyring that is in force. Called once per message. */
export type KeyringSource = () => Keyring

/** Limits of a keyring. */
export interface KeyringOptions {
  /**
   * How many keys of a group may verify at once, default 8: a forged token costs one hash for each. Pending keys count,
   * since they verify at once.
   */
  readonly maxKeysPerGroup?: number | undefined
  /** Keys that have ended by then do not count towards `maxKeysPerGroup`. Absent: only keys revoked for ever do not. */
  readonly now?: Date | undefined
  /** How long before its `expires` a signing key hands over to its successor, in milliseconds, default 5000. */
  readonly maxSkewMs?: number | undefined
}

/** `revoked = true`: revoked at every instant that a clock can show. */
export const REVOKED_ALWAYS: Date = Object.freeze(new Date(0))

const DEFAULT_MAX_KEYS = 8

/**
 * Makes a keyring of `[group id, keys]` pairs, such as a `Map` or `Object.entries(…)`.
 * @throws ConfigError `ERR_KEYRING_INVALID` with every issue: empty or repeated group ids (also when they differ only in
 * case), repeated key names, too many usable keys.
 * @example
 * createKeyring([['trunk-a', [createKey({ name: '2026-q4', secret })]]])
 */
export function createKeyring(
  groups: Iterable<readonly [id: string, keys: readonly Key[]]>,
  options: KeyringOptions = {},
): Keyring {
  const entries = Array.from(groups, ([id, keys]) => ({ id, keys: Object.freeze([...keys]) }))
  const problems = groupProblems(entries, options)
  if (problems.length > 0) {
    throw new ConfigError(
      'ERR_KEYRING_INVALID',
      problems.map(({ path, message }) => ({ path: formatPath(path), message })),
    )
  }
  const maxSkewMs = options.maxSkewMs ?? MAX_SKEW_MS
  const keysByGroup = new Map(entries.map(({ id, keys }) => [foldGroup(id), keys]))
  const keysOf = (group: string): readonly Key[] => keysByGroup.get(foldGroup(group)) ?? []

  return Object.freeze<Keyring>({
    groups: Object.freeze(entries.map(({ id }) => id)),
    hasGroup: (group) => keysByGroup.has(foldGroup(group)),
    keys: keysOf,
    activeKey: (group, now) => signingKey(keysOf(group), now, maxSkewMs),
    verificationKeys: (group, now) =>
      keysOf(group)
        .filter((key) => isUsable(key, now))
        .toReversed(),
    keyState: ({ group, name }, now) => {
      const keys = keysOf(group)
      return keyStates(keys, now, maxSkewMs)[keys.findIndex((key) => key.name === name)]
    },
    nextChange: (group, now) => nextStateChange(keysOf(group), now, maxSkewMs),
    list: (now) =>
      entries.flatMap(({ id, keys }) => {
        const states = keyStates(keys, now, maxSkewMs)
        return keys.map(({ name, fingerprint }, i) => ({ group: id, name, state: states[i]!, fingerprint }))
      }),
  })
}

/** Lower case of ASCII letters only: how group ids compare (Kamailio: `strncasecmp` in auth_xkeys.c). */
export function foldGroup(id: string): string {
  return id.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** A group as far as it could be read: keys may still lack what is checked elsewhere. */
export interface GroupDraft {
  readonly id: string
  readonly keys: readonly (Ends & { readonly name?: string | undefined })[]
}

/** What is wrong between the groups, and between the keys of each. Paths start with `groups`. */
export function groupProblems(groups: readonly GroupDraft[], options: KeyringOptions): readonly Problem[] {
  const problems: Problem[] = optionProblems(options)
  const seen = new Map<string, string>()
  for (const { id, keys } of groups) {
    problems.push(...labelProblems(['groups', id], id), ...nameProblems(id, keys))
    const twin = seen.get(foldGroup(id))
    if (twin !== undefined) {
      const message = `is the same group as ${JSON.stringify(twin)}: ids are compared without regard to case`
      problems.push({ path: ['groups', id], message })
    } else {
      seen.set(foldGroup(id), id)
    }
    const max = options.maxKeysPerGroup ?? DEFAULT_MAX_KEYS
    // Nothing delays verifying, so at any instant the usable keys are those that have not ended yet.
    const start = Math.max(options.now?.getTime() ?? -Infinity, REVOKED_ALWAYS.getTime())
    const usable = keys.filter((key) => start < endOf(key)).length
    if (usable > max) {
      const message = `has ${usable} keys that may be used at once, at most ${max} are allowed: remove ended keys or raise the limit`
      problems.push({ path: ['groups', id, 'keys'], message })
    }
  }
  return problems
}

function nameProblems(id: string, keys: GroupDraft['keys']): Problem[] {
  const names = keys.map((key) => key.name)
  return names.flatMap((name, i) => {
    if (name === undefined || names.indexOf(name) === i) return []
    return [
      {
        path: ['groups', id, 'keys', i, 'name'],
        message: `repeats the name of keys[${names.indexOf(name)}]`,
      },
    ]
  })
}

function optionProblems({ maxKeysPerGroup, maxSkewMs }: KeyringOptions): Problem[] {
  const problems: Problem[] = []
  if (maxKeysPerGroup !== undefined && !(Number.isSafeInteger(maxKeysPerGroup) && maxKeysPerGroup > 0)) {
    problems.push({ path: ['maxKeysPerGroup'], message: 'must be a whole number, at least 1' })
  }
  if (maxSkewMs !== undefined && !(Number.isFinite(maxSkewMs) && maxSkewMs >= 0)) {
    problems.push({ path: ['maxSkewMs'], message: 'must be a number of milliseconds, at least 0' })
  }
  return problems
}
