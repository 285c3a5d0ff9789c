/**
 * `xkeys key revoke`: end a key now.
 * @module
 */
import type { Command } from 'commander'
import { setKeySetting, tomlDate } from '../keyring/edit-toml.ts'
import type { Key } from '../keyring/key.ts'
import { isUsable, MAX_SKEW_MS, signingKey } from '../keyring/state.ts'
import { acknowledge, addWaitOption, type WaitOptions } from './acknowledge.ts'
import { EXIT } from './exit.ts'
import { print, printJson } from './io.ts'
import { addKeyWords, findKey, keyRow } from './key-row.ts'
import { changeKeyring } from './keyring-change.ts'
import {
  addTargetOptions,
  openKeyring,
  withTarget,
  type KeyringTarget,
  type OpenKeyring,
  type TargetOptions,
} from './keyring-target.ts'

type RevokeOptions = TargetOptions &
  WaitOptions & { readonly group: string; readonly force?: true; readonly json?: true }

/** Adds the command. */
export function addKeyRevokeCommand(key: Command): void {
  const command = key
    .command('revoke')
    .summary('end a key now')
    .description(
      'Ends a key at once: it neither signs nor verifies any more, on every node that has the file, or shares the keyring. Where no other key of its group can sign it refuses, exit 1, unless forced.',
    )
    .option('--force', 'even where no other key of the group can sign; told in the audit')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  xkeys key revoke 2026-q3 --keyring keyrings/demo.toml --group trunk-a',
    )
  addWaitOption(addTargetOptions(addKeyWords(command))).action((name: string, options: RevokeOptions) =>
    withTarget(options, (target) => revokeKey(target, name, options)),
  )
}

async function revokeKey(target: KeyringTarget, name: string, options: RevokeOptions): Promise<void> {
  const { now } = target
  const { group } = options
  const ref = { group, name }
  // A node whose clock is behind would wait for a time that is still ahead of it.
  const revoked = tomlDate(new Date(Math.floor((now.getTime() - MAX_SKEW_MS) / 1000) * 1000))
  let fingerprint = 'unknown'
  let danger: string | undefined
  let wasRevoked = false
  const isRefused = (): boolean => danger !== undefined && options.force === undefined
  const text = await changeKeyring(target, {
    audit: () => ({
      command: 'key revoke',
      group,
      key: name,
      fingerprint,
      revoked,
      ...(danger && { forced: danger }),
    }),
    change: (before) => {
      const open = openKeyring(target, before)
      const key = findKey(open, ref)
      fingerprint = open.fingerprintOf(key) ?? 'unknown'
      wasRevoked = key.revoked !== undefined && key.revoked <= now
      danger = dangerOf(open, group, key, now)
      return wasRevoked || isRefused() ? before : setKeySetting(before, ref, 'revoked', revoked)
    },
  })
  if (isRefused()) {
    process.stderr.write(`xkeys: not revoked: ${danger}; --force does it all the same\n`)
    process.exitCode = EXIT.refused
    return
  }
  const after = openKeyring(target, text)
  const row = keyRow(after, group, findKey(after, ref), now)
  const outcome = wasRevoked ? 'was revoked already' : 'is revoked'
  if (!options.json) print(`key ${name} of group ${group} ${outcome}, fingerprint ${row.fingerprint}`)
  const acknowledgement = await acknowledge(target, text, options)
  if (options.json) printJson({ ...row, ...(acknowledgement && { acknowledgement }) })
}

/** What ending the key would break. */
function dangerOf({ keyring }: OpenKeyring, group: string, key: Key, now: Date): string | undefined {
  if (!isUsable(key, now)) return undefined
  const others = keyring.keys(group).filter((other) => other !== key)
  if (signingKey(others, now) !== undefined) return undefined
  const named = `${JSON.stringify(key.name)} is the only key of group ${JSON.stringify(group)} that`
  const waiting = others.find((other) => isUsable(other, now))
  return waiting === undefined
    ? `${named} can be used, and without one every message is refused: add another first`
    : `${named} can sign now: ${JSON.stringify(waiting.name)} only verifies until its active_from`
}
