/**
 * The secret of a node: by it an edge knows its own branches and tags again, also after a restart. `NODE.secret` in the
 * state directory.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { unwritable } from './file-error.ts'
import { replaceFile } from './replace-file.ts'

/**
 * The node's secret, 64 hex digits; made where it is missing, and anew where it is damaged: then responses to what was
 * sent before are dropped, and no more.
 * @throws ConfigError `ERR_FILE_UNWRITABLE` where it cannot be kept
 */
export function loadNodeSecret(directory: string, node: string): string {
  const path = join(directory, `${encodeURIComponent(node)}.secret`)
  const kept = read(path)
  if (kept !== undefined) return kept
  const secret = randomBytes(32).toString('hex')
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(directory, error)
  }
  replaceFile(path, `${secret}\n`)
  return secret
}

function read(path: string): string | undefined {
  try {
    return /^[0-9a-f]{64}(?=\n?$)/.exec(readFileSync(path, 'latin1'))?.[0]
  } catch {
    return undefined
  }
}
