/**
 * Changing a keyring from a command: nobody else's change in between, sealed again where it was sealed, told in the audit.
 * @module
 */
import { statSync } from 'node:fs'
import { ConfigError } from '../errors.ts'
import { resealKeyring } from '../keyring/seal.ts'
import { appendAudit, auditChange, auditLine, settleAudit, type AuditEntry } from '../stores/audit-file.ts'
import { withLockedFile } from '../stores/replace-file.ts'
import { parseToml } from '../toml.ts'
import { changeShared, type SharedTarget } from './keyring-change-shared.ts'
import { openKeyring, warn, type KeyringTarget } from './keyring-target.ts'
import { asking } from './shared-store.ts'

/** One change of a keyring. */
export interface KeyringChange {
  /** What goes into the audit; a function is asked after `change`, so it can tell what that found. */
  readonly audit: AuditEntry | (() => AuditEntry)
  /** Edits the text. Of a shared keyring it is asked again where somebody else was faster. */
  readonly change: (text: string) => string
  /** Of a shared keyring: reads what `change` needs of its store, before each time that it is asked. */
  readonly prepare?: () => Promise<void>
}

/**
 * Changes a keyring. A file: takes its lock, lets `change` edit the text, seals it again where it was sealed and `change`
 * left `[seal]` alone, checks that the result is a keyring, and replaces the file between two lines of audit. A shared
 * one: the same without a lock; it is replaced where it still is what was read, or else everything is done again. Where
 * `change` returns what it was given nothing is written, no audit either.
 * @returns the text that the keyring now has
 * @throws ConfigError: locked, unwritable, not a keyring afterwards; RefusedError where others always were faster; and
 *   what `change` throws. The keyring is as it was
 * @example
 * await changeKeyring(target, {
 *   audit: { command: 'key retire', group, key: name, fingerprint, expires },
 *   change: (text) => setKeySetting(text, { group, name }, 'expires', '2026-12-01T00:00:00Z'),
 * })
 */
export async function changeKeyring(target: KeyringTarget, change: KeyringChange): Promise<string> {
  const { store } = target
  return store === undefined
    ? changeFile(target, change)
    : changeShared({ ...target, store }, change, (before, edited) => sealAgain(target, before, edited))
}

/** Tells the audit of what changes no key: of a shared keyring that in its store. */
export async function noteAudit({ store, path }: KeyringTarget, entry: AuditEntry): Promise<void> {
  if (store === undefined) appendAudit(path, entry)
  else await asking(store, store.note(auditLine(entry)))
}

/** Whether the nodes of a fleet share the keyring. */
export function isShared(target: KeyringTarget): target is SharedTarget {
  return target.store !== undefined
}

function changeFile(target: KeyringTarget, { audit, change }: KeyringChange): string {
  return withLockedFile(target.path, (file) => {
    const before = file.text
    settleAudit(target.path, before)
    const edited = change(before)
    if (edited === before) return before
    const after = sealAgain(target, before, edited)
    openKeyring(target, after)
    const entry = typeof audit === 'function' ? audit() : audit
    const mode = statSync(file.path).mode & 0o777
    auditChange(target.path, entry, { before, after }, () => file.replace(after))
    if ((mode & 0o077) !== 0 && (mode & 0o007) === 0) {
      warn(`${target.path}: its group could read it (mode 0${mode.toString(8)}); now only its owner can`)
    }
    return after
  })
}

function sealAgain(target: KeyringTarget, before: string, edited: string): string {
  const seal = sealOf(before)
  if (seal === undefined || seal !== sealOf(edited)) return edited
  if (target.kek === undefined) {
    const message = 'the keyring is sealed: give its key-encryption key with --kek, --config or XKEYS_KEK'
    throw new ConfigError('ERR_KEYRING_INVALID', [{ path: target.path, message }])
  }
  return resealKeyring(before, edited, target.kek, { resolve: target.resolve })
}

/** What the table `[seal]` says. */
function sealOf(toml: string): string | undefined {
  const document = parseToml(toml)
  return document.ok ? JSON.stringify(document.value['seal']) : undefined
}
