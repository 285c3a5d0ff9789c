/**
 * A node's own copy of a shared keyring, sealed as it came, for a start without the store: `KEYRING`, and beside it
 * `KEYRING.next` while a text is about to come into force. A crash at any instant leaves a text that was in force, or one
 * that was found right.
 * @module
 */
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { MAX_KEYRING_LENGTH } from '../keyring/keyring-replacement.ts'
import { unwritable } from './file-error.ts'
import { replaceFile, syncFolder } from './replace-file.ts'

/** A copy in a file. Everything here blocks: keyrings change rarely. */
export interface KeyringCopy {
  /** The texts that may have been in force last, the likeliest first. What cannot be read is not among them. */
  read(): readonly string[]
  /**
   * Puts a text beside the copy, before it comes into force.
   * @throws ConfigError `ERR_FILE_UNWRITABLE`
   */
  stage(text: string): void
  /**
   * It came into force.
   * @throws ConfigError `ERR_FILE_UNWRITABLE`
   */
  commit(): void
  /** It did not. */
  discard(): void
}

/** The copy at a path in the state directory; its folder must be there when it is first written. */
export function openKeyringCopy(path: string): KeyringCopy {
  const next = `${path}.next`
  return {
    read: () => [path, next].flatMap(textOf),
    stage: (text) => replaceFile(next, text),
    commit() {
      try {
        renameSync(next, path)
        syncFolder(dirname(path))
      } catch (error) {
        throw unwritable(path, error)
      }
    },
    discard() {
      try {
        rmSync(next, { force: true })
      } catch {
        // A start looks at what is in force first.
      }
    },
  }
}

function textOf(path: string): readonly string[] {
  try {
    const found = statSync(path)
    return found.isFile() && found.size <= MAX_KEYRING_LENGTH ? [readFileSync(path, 'utf8')] : []
  } catch {
    return []
  }
}
