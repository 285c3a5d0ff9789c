/**
 * Whether a keyring that a store has may come into force, and with what a node begins.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import type { KeyringStore, StoredKeyring } from '../keyring/keyring-store.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { parseKeyring } from '../keyring/parse-toml.ts'
import { readSealedText, type SealedText } from '../keyring/sealed-text.ts'
import { lostTombstones, type Revocations } from '../keyring/tombstones.ts'
import type { KeyringCopy } from './keyring-copy-file.ts'
import type { LiveKeyringOptions } from './keyring-file.ts'

/** What judges a text. */
export type Judge = Pick<LiveKeyringOptions, 'kek' | 'check' | 'now'>

/** A keyring that came into force. */
export interface Taken extends StoredKeyring {
  readonly keyring: Keyring
  /** The local copy could not be written. */
  readonly copyError?: ConfigError | undefined
}

/** What a node begins with. */
export interface Beginning {
  readonly inForce: Taken
  readonly state: 'here' | 'away' | 'empty' | 'older'
  /** Of the state, in words. */
  readonly detail: string
  /** The text that the store has. */
  readonly seen: string | undefined
  readonly reachedAt: Date | undefined
  /** Why that text is not used. */
  readonly refused: ConfigError | undefined
}

/** What an empty store is told as. */
export const EMPTY = 'the store has no keyring of this name'

/** That what the store has is older. */
export function olderThan(inForce: number, stored: number): string {
  return `the store has revision ${stored}, and ${inForce} was in force here`
}

/** Asks a store. Never rejects: an error is what the answer is. */
export async function readFrom(store: KeyringStore): Promise<StoredKeyring | 'empty' | Error> {
  try {
    return await store.read()
  } catch (error) {
    return error instanceof Error ? error : new Error('it cannot be asked')
  }
}

/**
 * Opens, judges and copies a text that is to come into force in the place of `before`. It is put beside the copy before
 * `check` is asked, which may remember its revision for good.
 */
export function takeUp(
  found: StoredKeyring,
  before: Predecessor | undefined,
  copy: KeyringCopy | undefined,
  judge: Judge,
): Taken | ConfigError {
  const keyring = open(found.text, judge)
  if (keyring instanceof ConfigError) return keyring
  const isNew = found.text !== before?.text
  const against = isNew && before !== undefined ? successionIssues(found, keyring, before, judge.now()) : []
  if (against.length > 0) return new ConfigError('ERR_KEYRING_INVALID', against)
  const staging = isNew ? copyError(() => copy?.stage(found.text)) : undefined
  const refused = checkIssues(keyring, judge)
  if (refused !== undefined) {
    copy?.discard()
    return refused
  }
  const failed = staging ?? (isNew ? copyError(() => copy?.commit()) : undefined)
  return { ...found, keyring, copyError: failed }
}

/** What a text comes in the place of. */
export interface Predecessor extends StoredKeyring {
  /** As far as it can be opened. */
  readonly keyring: Keyring | SealedText
  /** It cannot be opened: its KEK is gone, or it is damaged. */
  readonly isShut?: true
}

/**
 * Begins with what the store has, or else with the local copy.
 * @throws ConfigError `ERR_KEYRING_INVALID` where neither can be used
 */
export async function beginWith(
  store: KeyringStore,
  copy: KeyringCopy | undefined,
  judge: Judge & { readonly localCopy?: string | undefined },
): Promise<Beginning> {
  const found = await readFrom(store)
  const texts = copy?.read() ?? []
  const before = texts
    .flatMap((text) => predecessorOf(text, judge))
    .find(({ keyring }) => isOfName(keyring.name, judge))
  const reachedAt = found instanceof Error ? undefined : judge.now()
  let refused: ConfigError | undefined
  let [state, detail]: [Beginning['state'], string] = ['here', '']
  if (found instanceof Error) [state, detail] = ['away', found.message]
  else if (found === 'empty') [state, detail] = ['empty', EMPTY]
  else if (before !== undefined && found.revision < before.revision)
    [state, detail] = ['older', olderThan(before.revision, found.revision)]
  else {
    const taken = takeUp(found, before, copy, judge)
    if (!(taken instanceof ConfigError))
      return { inForce: taken, state, detail, seen: found.text, reachedAt, refused }
    refused = taken
  }
  const seen = typeof found === 'object' && 'text' in found ? found.text : undefined
  const issues: Issue[] = [...(refused?.issues ?? [{ path: store.place, message: detail }])]
  for (const text of texts) {
    const keyring = open(text, judge)
    const problem = keyring instanceof ConfigError ? keyring : checkIssues(keyring, judge)
    if (!(keyring instanceof ConfigError) && problem === undefined)
      return {
        inForce: { text, revision: keyring.revision!, keyring },
        state,
        detail,
        seen,
        reachedAt,
        refused,
      }
    const file = judge.localCopy
    issues.push(
      ...(problem?.issues ?? []).map((issue) => ({ ...(file !== undefined && { file }), ...issue })),
    )
  }
  throw new ConfigError('ERR_KEYRING_INVALID', issues)
}

function predecessorOf(text: string, judge: Judge): readonly Predecessor[] {
  const keyring = open(text, judge)
  if (!(keyring instanceof ConfigError)) return [{ text, revision: keyring.revision!, keyring }]
  try {
    // Its KEK may be gone: what was revoked stands in clear.
    const sealed = readSealedText(text)
    return [{ text, revision: sealed.revision, keyring: sealed, isShut: true }]
  } catch {
    return []
  }
}

/** The node may have been given a keyring of another name, as where a KEK is lost: then its copy is of no keyring here. */
function isOfName(name: string | undefined, { kek }: Judge): boolean {
  return kek?.keyring === undefined || name === kek.keyring
}

function open(text: string, { kek, now }: Judge): Keyring | ConfigError {
  try {
    return parseKeyring(text, { now: now(), kek: { find: () => undefined, ...kek, plaintext: 'refused' } })
  } catch (error) {
    if (error instanceof ConfigError) return error
    return bug(error)
  }
}

/** What `check` says, or that it failed. */
function checkIssues(keyring: Keyring, { check }: Judge): ConfigError | undefined {
  try {
    const issues = check?.(keyring) ?? []
    return issues.length === 0 ? undefined : new ConfigError('ERR_KEYRING_INVALID', issues)
  } catch (error) {
    return error instanceof ConfigError ? error : bug(error)
  }
}

/** Nothing that a store has may end the process. */
function bug(cause: unknown): ConfigError {
  const issue = { path: 'groups', message: 'cannot be read because of a bug' }
  return new ConfigError('ERR_KEYRING_INVALID', [issue], { cause })
}

function successionIssues(
  { revision }: StoredKeyring,
  keyring: Keyring,
  before: Predecessor,
  now: Date,
): readonly Issue[] {
  const issues: Issue[] = []
  if (keyring.revision !== revision)
    issues.push({ path: 'seal.revision', message: `is not ${revision}, as the store says` })
  if (revision < before.revision)
    issues.push({ path: 'seal.revision', message: olderThan(before.revision, revision) })
  // Two that were made of one: taking the second would lose what the first changed, and nobody would be told.
  // A copy that cannot be opened is none of them.
  if (revision === before.revision && !before.isShut)
    issues.push({
      path: 'seal.revision',
      message: `${revision} is in force here with other contents: make the change again as a later one`,
    })
  if (keyring.name !== before.keyring.name)
    issues.push({ path: 'seal.keyring', message: `must stay ${JSON.stringify(before.keyring.name)}` })
  return [...issues, ...lostTombstones(before.keyring satisfies Revocations, keyring, now)]
}

function copyError(write: () => void): ConfigError | undefined {
  try {
    write()
    return undefined
  } catch (error) {
    return error instanceof ConfigError ? error : bug(error)
  }
}
