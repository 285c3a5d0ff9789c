/**
 * Where the nodes of a fleet have their keyring from: the contract that a shared store fills.
 * @module
 */
import type { NodeReport } from './evidence.ts'
import type { Confirmation } from './rotation.ts'

/** A sealed keyring as it is stored. */
export interface StoredKeyring {
  /** TOML with a table `[seal]`: no secret is in it. */
  readonly text: string
  /** What `[seal]` says of it; only grows. */
  readonly revision: number
}

/** One change of a keyring. */
export interface KeyringReplacement {
  /** The revision that the change was made of; `empty`: there was none, as before `xkeys fleet seed`. */
  readonly before: number | 'empty'
  readonly after: StoredKeyring
  /** One line of JSON for the audit, without its end; kept with the change or not at all. Never a secret. */
  readonly audit: string
}

/** `conflict`: another operator was faster, or the store lost what it had; nothing was changed. */
export type ReplaceResult = 'done' | 'conflict'

/** What a node tells the others, every few seconds and whenever it took up a keyring. */
export interface Heartbeat {
  /** With the revision and fingerprints of the keyring in force; `at` is the node's clock. */
  readonly report: NodeReport
  /** Fingerprint of the keyring in force: equal where two nodes hold the same. */
  readonly keyring: string
  /** Of the program. */
  readonly version: string
  /** Why the node does not use what is stored, where it does not; no secret. */
  readonly refuses?: string | undefined
}

/** A heartbeat as the store has it. */
export interface FoundHeartbeat extends Heartbeat {
  /** How long ago it came, by the clock of the store, milliseconds. */
  readonly age: number
  /** How far the node's clock was ahead of the store's when it came, milliseconds; transit is in it. */
  readonly ahead: number
}

/**
 * A shared keyring with what its nodes and operators say of it. Everything rejects where the store cannot be asked, within
 * a time that the store bounds; what it rejects with holds no secret.
 */
export interface KeyringStore {
  /** For messages: server and name, no password. */
  readonly place: string
  /** `empty`: the store has no keyring of that name. That never means a keyring without keys. */
  read(): Promise<StoredKeyring | 'empty'>
  /**
   * Puts `after` in the place of `before`, only where it still is there, and tells those who follow.
   * @throws ConfigError `ERR_KEYRING_INVALID` where the text is not sealed, or its revision is not the one given or not
   *   above that of `before`
   */
  replace(change: KeyringReplacement): Promise<ReplaceResult>
  /** The last lines of the audit, oldest first. */
  audit(count: number): Promise<readonly string[]>
  /** Adds a line to the audit for what changes no key: a secret that was shown, a confirmation. Form as in `replace`. */
  note(audit: string): Promise<void>
  /** Calls `onChange` when a keyring was put in, and when the store can be asked again; never too often to be ignored. */
  follow(onChange: () => void): { close(): void }
  /** Tells of this node; what it told before is gone. */
  beat(heartbeat: Heartbeat): Promise<void>
  /** Of every node that ever told, by its name; also of those that are gone. `damaged`: there is one that says nothing. */
  heartbeats(): Promise<ReadonlyMap<string, FoundHeartbeat | 'damaged'>>
  /** Forgets a node that is gone for good. @returns whether it was known */
  forget(node: string): Promise<boolean>
  confirmations(): Promise<readonly Confirmation[]>
  /** Adds one in place of an earlier one of the same key and peer, and drops those for which `isLive` is false. */
  confirm(added: Confirmation, isLive: (entry: Confirmation) => boolean): Promise<void>
  close(): Promise<void>
}
