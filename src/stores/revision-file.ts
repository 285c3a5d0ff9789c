/**
 * The newest revision of each sealed keyring that a node has accepted, so that an old file cannot come back:
 * `NODE.revisions.json` in the state directory.
 * @module
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { unwritable } from './file-error.ts'
import { replaceFile } from './replace-file.ts'

/**
 * Accepts a revision and remembers it, or tells that a newer one was accepted before. Revisions are a node's own, since
 * a file does not reach all nodes at once. Where the memory is lost or damaged it begins anew.
 * @param keyring the name that the keyring is sealed under
 * @param node name of the node, default the host's
 * @throws ConfigError `ERR_FILE_UNWRITABLE` where it cannot be remembered
 */
export function acceptRevision(
  directory: string,
  keyring: string,
  revision: number,
  node: string = hostname(),
): 'ok' | 'older' {
  const path = join(directory, `${encodeURIComponent(node)}.revisions.json`)
  const accepted = readRevisions(path)
  const last = accepted.get(keyring) ?? 0
  if (revision < last) return 'older'
  if (revision > last) {
    makeFolder(directory)
    replaceFile(path, `${JSON.stringify(Object.fromEntries(accepted.set(keyring, revision)))}\n`)
  }
  return 'ok'
}

function makeFolder(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(directory, error)
  }
}

function readRevisions(path: string): Map<string, number> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof value !== 'object' || value === null) return new Map()
    return new Map(
      Object.entries(value).filter(
        (entry): entry is [string, number] => Number.isSafeInteger(entry[1]) && entry[1] > 0,
      ),
    )
  } catch {
    return new Map()
  }
}
