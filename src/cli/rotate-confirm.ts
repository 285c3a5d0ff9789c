/**
 * `xkeys rotate confirm`: a peer's operator says that it holds the new key.
 * @module
 */
import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { nearest } from '../errors.ts'
import { misfit } from '../keyring/rotation-fit.ts'
import type { Confirmation } from '../keyring/rotation.ts'
import { saveConfirmation } from '../stores/rotation-file.ts'
import { UsageError } from './exit.ts'
import { print, printJson } from './io.ts'
import { noteAudit } from './keyring-change.ts'
import { textOf } from './keyring-target.ts'
import { readFleet } from './rotate-fleet.ts'
import { asking } from './shared-store.ts'
import { refuse } from './rotate-change.ts'
import {
  addRotationOptions,
  readRotation,
  withSource,
  type RotationOptions,
  type RotationSource,
} from './rotate-options.ts'

/** Adds the command. */
export function addRotateConfirmCommand(rotate: Command): void {
  const command = rotate
    .command('confirm')
    .summary('note that a peer holds the new key')
    .description(
      "Notes that the peer's operator has confirmed to hold the waiting key, for a peer that does not sign with it before we do. Bound to this very key; told in the audit.",
    )
    .argument('<peer>', 'name of its trunk')
    .addHelpText('after', '\nExample:\n  xkeys rotate confirm carrier --group trunk-a --config edge.toml')
  addRotationOptions(command).action((peer: string, options: RotationOptions) =>
    withSource(options, (source) => confirm(source, peer)),
  )
}

async function confirm(source: RotationSource, peer: string): Promise<void> {
  const { target, directory, options } = source
  const fleet = await readFleet(target)
  const { status, fingerprintOf } = readRotation(source, new Date(), await textOf(target), fleet)
  const { group, now, waiting } = status
  const names = status.peers.map((one) => one.peer)
  if (!names.includes(peer)) {
    const near = nearest(peer, names)
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    throw new UsageError(`no trunk ${JSON.stringify(peer)} uses the group ${group}${hint}`)
  }
  const missing = misfit(status, 'confirm')
  if (missing !== undefined) return refuse(source, status, 'rotate confirm', missing)
  const { name, fingerprint } = waiting[0]!
  const entry = { group, key: name, fingerprint, peer }
  // Told first: a confirmation that nobody can look up later would be worth nothing.
  await noteAudit(target, { command: 'rotate confirm', ...entry })
  const added = { ...entry, at: now, by: operator() }
  const isLive = (other: Confirmation): boolean =>
    other.group !== group || fingerprintOf(other.key) === other.fingerprint
  const { store } = target
  if (store === undefined) saveConfirmation(directory, added, isLive)
  else await asking(store, store.confirm(added, isLive))
  if (options.json) printJson({ ok: true, command: 'rotate confirm', ...entry, state: status.state })
  else print(`${group}: ${peer} holds ${name} (${fingerprint}), says its operator`)
}

function operator(): string {
  const caller = process.env['SUDO_USER']
  if (caller !== undefined && caller !== '') return caller
  try {
    return userInfo().username
  } catch {
    // A user id need not have a name.
    return `uid ${process.geteuid?.() ?? 'unknown'}`
  }
}
