/**
 * Carrying out a step of a rotation: the edits in the keyring, the audit, what is said of it.
 * @module
 */
import {
  appendKey,
  removeKey,
  removeKeySetting,
  setKeySetting,
  tomlDate,
  tomlString,
} from '../keyring/edit-toml.ts'
import { generateSecret } from '../keyring/generate.ts'
import { createKey } from '../keyring/key.ts'
import type { Missing } from '../keyring/rotation-evidence.ts'
import type { RotationEdit, RotationPlan } from '../keyring/rotation-plan.ts'
import { rotationPosition } from '../keyring/rotation-state.ts'
import type { RotationStatus } from '../keyring/rotation.ts'
import type { AuditEntry } from '../stores/audit-file.ts'
import { acknowledge } from './acknowledge.ts'
import { EXIT } from './exit.ts'
import { print, printJson } from './io.ts'
import { changeKeyring, isShared } from './keyring-change.ts'
import { openKeyring } from './keyring-target.ts'
import { NO_FLEET, readFleet } from './rotate-fleet.ts'
import {
  readRotation,
  withSource,
  type Rotation,
  type RotationSource,
  type StepOptions,
} from './rotate-options.ts'
import { meaningOf, missingLines, nextOf } from './rotate-screen.ts'

/**
 * Takes a step: plans it of what is known while nobody else can change the keyring, and carries it out. Or says why
 * not, and sets exit 1. Of a shared keyring it waits for the nodes then.
 * @param command its words, for the audit
 * @throws ConfigError as `changeKeyring` and `readRotation`, UsageError as the latter
 */
export function takeStep(
  options: StepOptions,
  command: string,
  planOf: (rotation: Rotation) => RotationPlan,
): Promise<void> {
  return withSource(options, (source) => stepOn(source, command, planOf))
}

async function stepOn(
  source: RotationSource<StepOptions>,
  command: string,
  planOf: (rotation: Rotation) => RotationPlan,
): Promise<void> {
  const { target, options } = source
  const secret = generateSecret()
  let rotation: Rotation | undefined
  let plan: RotationPlan | undefined
  let fleet = NO_FLEET
  const text = await changeKeyring(target, {
    audit: () => auditOf(command, options.group, plan, secret, rotation),
    prepare: async () => {
      fleet = await readFleet(target)
    },
    change: (before) => {
      // Read here: a command may have waited for another one.
      rotation = readRotation(source, new Date(), before, fleet)
      plan = planOf(rotation)
      if (!plan.ok) return before
      const { group } = rotation.status
      return plan.edits.reduce((toml, edit) => applyEdit(toml, group, edit, secret), before)
    },
  })
  if (!plan!.ok) return refuse(source, rotation!.status, command, plan!.missing)
  const { key, notes, forced } = plan!
  const { keyring } = openKeyring(target, text)
  const { group, now } = rotation!.status
  const after = rotationPosition(keyring, group, now)
  if (options.json) {
    const fingerprint = fingerprintOf(plan!, secret, rotation!)
    const acknowledgement = await acknowledge(target, text, options)
    const told = { ok: true, command, group, key, fingerprint, state: after.state, notes, forced }
    return printJson({ ...told, ...(acknowledgement && { acknowledgement }) })
  }
  print(`${group}: ${after.state}: ${meaningOf(after, now)}`)
  for (const note of notes) print(`note: ${note}`)
  for (const line of missingLines(forced)) print(`forced: ${line}`)
  const next = nextOf(after, isShared(target) ? undefined : target.path)
  if (next !== undefined) print(`next: ${next}`)
  await acknowledge(target, text, options)
}

/** Tells why a step is not taken; exit 1. */
export function refuse(
  { options }: RotationSource,
  { group, state }: RotationStatus,
  command: string,
  missing: readonly Missing[],
): void {
  process.exitCode = EXIT.refused
  if (options.json) return printJson({ ok: false, command, group, state, missing })
  process.stderr.write(`xkeys: ${group}: ${state}: ${command} refused\n`)
  for (const { message, remedy } of missing) process.stderr.write(`xkeys: ${message}; needs: ${remedy}\n`)
}

function auditOf(
  command: string,
  group: string,
  plan: RotationPlan | undefined,
  secret: string,
  rotation: Rotation | undefined,
): AuditEntry {
  if (plan?.ok !== true || rotation === undefined) return { command, group }
  const { key, edits, forced } = plan
  return {
    command,
    group: rotation.status.group,
    key,
    fingerprint: fingerprintOf(plan, secret, rotation),
    changes: edits.map(tell),
    ...(forced.length > 0 && { forced }),
  }
}

/** Of the key that a plan is about, be it the new one. */
function fingerprintOf(
  { key, edits }: RotationPlan & { ok: true },
  secret: string,
  rotation: Rotation,
): string {
  const isNew = edits.some(({ edit }) => edit === 'add')
  return isNew ? createKey({ name: key, secret }).fingerprint : rotation.fingerprintOf(key)!
}

function applyEdit(toml: string, group: string, edit: RotationEdit, secret: string): string {
  const ref = { group, name: edit.key }
  switch (edit.edit) {
    case 'add':
      return appendKey(toml, group, {
        name: edit.key,
        settings: [
          ['value', tomlString(secret)],
          ['active_from', tomlDate(edit.activeFrom)],
        ],
      })
    case 'set':
      return setKeySetting(toml, ref, edit.setting, tomlDate(edit.time))
    case 'unset':
      return removeKeySetting(toml, ref, edit.setting)
    case 'remove':
      return removeKey(toml, ref)
  }
}

/** An edit for the audit: what was written, never a secret. */
function tell(edit: RotationEdit): string {
  switch (edit.edit) {
    case 'add':
      return `${edit.key}: added, active_from = ${tomlDate(edit.activeFrom)}`
    case 'set':
      return `${edit.key}: ${edit.setting} = ${tomlDate(edit.time)}`
    case 'unset':
      return `${edit.key}: ${edit.setting} removed`
    case 'remove':
      return `${edit.key}: removed`
  }
}
