/**
 * The table `[kek]`: where the key-encryption key of a sealed keyring is kept.
 * @module
 */
import { openKek, type KekHolder, type KekReference } from '../stores/kek.ts'

/** The table as read. */
export interface KekConfig {
  readonly reference: KekReference
  /** How long a command may take. */
  readonly timeoutMs: number
  /** The name that the keyring must be sealed under; absent: any. */
  readonly keyring: string | undefined
}

/**
 * Opens the KEK that a configuration names, paths relative to `directory`. Whoever names one means a sealed keyring: one
 * in plaintext, which anybody could have written, is refused.
 */
export function openConfigKek(
  { reference, timeoutMs, keyring }: KekConfig,
  env: Readonly<Record<string, string | undefined>>,
  directory: string,
): KekHolder {
  return openKek(reference, { env, directory, timeoutMs, keyring, plaintext: 'refused' })
}
