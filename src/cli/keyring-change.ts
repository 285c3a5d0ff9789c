/**
 * Changing a keyring from a command: under its lock, sealed again where it was sealed, told in the audit.
 * @module
 */
import { statSync } from 'node:fs'
import { ConfigError } from '../errors.ts'
import { resealKeyring } from '../keyring/seal.ts'
import { auditChange, settleAudit, type AuditEntry } from '../stores/audit-file.ts'
import { withLockedFile } from '../stores/replace-file.ts'
import { parseToml } from '../toml.ts'
import { openKeyring, warn, type KeyringTarget } from './keyring-target.ts'

/**
 * Changes a keyring file: takes its lock, lets `change` edit the text, seals it again where it was sealed and `change`
 * left `[seal]` alone, checks that the result is a keyring, and replaces the file between two lines of audit. Where
 * `change` returns what it was given nothing is written, no audit either.
 * @param audit what goes into the audit; a function is asked after `change`, so it can tell what that found
 * @returns the text that the file now has
 * @throws ConfigError: locked, unwritable, not a keyring afterwards; and what `change` throws. The file is as it was
 * @example
 * changeKeyring(target, { command: 'key retire', group, key: name, fingerprint, expires }, (text) =>
 *   setKeySetting(text, { group, name }, 'expires', '2026-12-01T00:00:00Z'),
 * )
 */
export function changeKeyring(
  target: KeyringTarget,
  audit: AuditEntry | (() => AuditEntry),
  change: (text: string) => string,
): string {
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
