/**
 * What operators have confirmed of their peers: `rotation.json` in the state directory. Names and fingerprints, never a
 * secret.
 * @module
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { codeOf, ConfigError } from '../errors.ts'
import type { Confirmation } from '../keyring/rotation.ts'
import { updateFile } from './replace-file.ts'

/** One confirmation in JSON. Unknown fields are left alone: another version may have written them. */
export const confirmationSchema = z.object({
  group: z.string(),
  key: z.string(),
  fingerprint: z.string(),
  peer: z.string(),
  at: z.iso.datetime().transform((text) => new Date(text)),
  by: z.string(),
})

const fileSchema = z.object({ version: z.literal(1), confirmations: z.array(confirmationSchema) })

/** Where the confirmations stand. */
export function confirmationsPath(directory: string): string {
  return join(directory, 'rotation.json')
}

/**
 * Reads the confirmations; none where there is no file.
 * @throws ConfigError `ERR_CONFIG_INVALID` where it cannot be read or says something else
 */
export function loadConfirmations(directory: string): readonly Confirmation[] {
  const path = confirmationsPath(directory)
  try {
    return parse(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    if (codeOf(error) === 'ENOENT') return []
    throw invalid(path, `it cannot be read (${codeOf(error)})`)
  }
}

/**
 * Adds a confirmation, in place of an earlier one of the same key and peer, and drops those for which `isLive` is false:
 * of keys that are gone.
 * @throws ConfigError as `loadConfirmations` and `updateFile`
 */
export function saveConfirmation(
  directory: string,
  added: Confirmation,
  isLive: (entry: Confirmation) => boolean,
): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = confirmationsPath(directory)
  updateFile(
    path,
    (text) => {
      const kept = (text === '' ? [] : parse(text, path)).filter(
        (entry) => isLive(entry) && (entry.peer !== added.peer || entry.fingerprint !== added.fingerprint),
      )
      return `${JSON.stringify({ version: 1, confirmations: [...kept, added] }, null, 2)}\n`
    },
    { missing: 'empty' },
  )
}

function parse(text: string, path: string): readonly Confirmation[] {
  const parsed = fileSchema.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data.confirmations
  throw invalid(path, 'it is damaged: remove it, and confirm again')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function invalid(path: string, message: string): ConfigError {
  return new ConfigError('ERR_CONFIG_INVALID', [{ path, message }])
}
