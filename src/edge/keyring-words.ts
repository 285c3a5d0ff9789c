/**
 * A shared keyring in words.
 * @module
 */
import type { EdgeConfig } from './config.ts'
import type { SharedReading } from './read-keyring.ts'

/** Where it is, and where what was read of it came from, as lines. */
export function explainShared(
  { node, state }: Pick<EdgeConfig, 'node' | 'state'>,
  { place, keyring, why }: SharedReading,
): readonly string[] {
  const revision = keyring?.revision === undefined ? '' : `revision ${keyring.revision}`
  const found =
    why === undefined
      ? `${revision}, read from the store`
      : keyring === undefined
        ? 'not read: neither the store nor a local copy has it'
        : `${revision}, read from the local copy`
  return [
    'Keyring:',
    `  store      ${place}`,
    `  found      ${found}`,
    `  node       ${node}, with its copy and its evidence in ${state ?? ''}`,
  ]
}
