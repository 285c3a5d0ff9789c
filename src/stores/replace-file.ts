/**
 * Files replaced as a whole: whoever reads one finds the old text or the new, also after a crash or a power cut.
 * Everything here blocks: it is for commands, and for small files at rare times.
 * @module
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { codeOf, ConfigError } from '../errors.ts'
import { FILE_CHANGED, FILE_UNREADABLE, unwritable } from './file-error.ts'
import { takeLock } from './lock-file.ts'

/** How a file is updated. */
export interface UpdateOptions {
  /** How long to wait for another writer, in milliseconds, default 5000. */
  readonly waitMs?: number | undefined
  /** A file that is not there: refused (default), or taken for an empty one and made. */
  readonly missing?: 'refuse' | 'empty' | undefined
}

/** A file under its writer's lock. */
export interface LockedFile {
  /** Where it is, symbolic links followed. */
  readonly path: string
  readonly text: string
  /** Replaces it, as `replaceFile`; refuses where somebody who takes no lock has written it since. */
  replace(text: string): void
}

const DEFAULT_WAIT_MS = 5000

/**
 * Replaces a file by `text`, or makes it: a temporary file beside it, mode 0600, synced, renamed, the folder synced. A
 * symbolic link stays and its target is replaced. The owner stays, so root can edit what a service reads.
 * @throws ConfigError `ERR_FILE_UNWRITABLE`: no right, no space; the file is as it was, unless the message says otherwise
 */
export function replaceFile(path: string, text: string): void {
  replaceTarget(followLinks(path), path, text)
}

function replaceTarget(target: string, path: string, text: string): void {
  const temporary = `${temporaryPrefix(target)}${process.pid}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const old = statSync(target, { throwIfNoEntry: false })
    if (old !== undefined && !old.isFile()) throw unwritable(path, 'it is not a regular file')
    const file = openSync(temporary, 'wx', 0o600)
    try {
      fchmodSync(file, 0o600)
      if (old !== undefined && old.uid !== process.geteuid?.()) fchownSync(file, old.uid, old.gid)
      writeFileSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, target)
  } catch (error) {
    removeQuietly(temporary)
    throw unwritable(path, error)
  }
  try {
    syncFolder(dirname(target))
  } catch (error) {
    const message = `it was replaced, but may be the old one again after a power cut (${codeOf(error)})`
    throw unwritable(path, message, error)
  }
}

/**
 * Reads, changes and replaces a file while no other writer can: `PATH.lock` says who is at it. Where `change` throws or
 * returns what it was given, nothing is written.
 * @returns the text that the file now has
 * @throws ConfigError `ERR_FILE_LOCKED` naming who holds it, `ERR_FILE_UNREADABLE`, `ERR_FILE_UNWRITABLE`,
 *   `ERR_FILE_CHANGED` where somebody without the lock wrote it in between; and what `change` throws
 * @example
 * updateFile('/etc/xkeys/keyring.toml', (text) => appendKey(text, 'trunk-a', key))
 */
export function updateFile(
  path: string,
  change: (text: string) => string,
  options: UpdateOptions = {},
): string {
  return withLockedFile(
    path,
    (file) => {
      const text = change(file.text)
      if (text !== file.text) file.replace(text)
      return text
    },
    options,
  )
}

/**
 * Runs `work` with a file that no other writer can replace meanwhile.
 * @throws ConfigError as `updateFile`
 */
export function withLockedFile<T>(
  path: string,
  work: (file: LockedFile) => T,
  options: UpdateOptions = {},
): T {
  const target = followLinks(path)
  // No lock file in a folder that lacks the file: a slip in a name leaves nothing behind.
  if (options.missing !== 'empty') readText(target, path, 'refuse')
  const release = takeLock(`${target}.lock`, path, options.waitMs ?? DEFAULT_WAIT_MS)
  try {
    removeLeftovers(target)
    const missing = options.missing ?? 'refuse'
    let text = readText(target, path, missing)
    return work({
      path: target,
      text,
      replace: (next) => {
        if (readText(target, path, missing) !== text) {
          const message = 'somebody else wrote it at the same time: nothing is changed, run the command again'
          throw new ConfigError(FILE_CHANGED, [{ path, message }])
        }
        replaceTarget(target, path, next)
        text = next
      },
    })
  } finally {
    release()
  }
}

/** Where a path leads once symbolic links are followed, be the last target there or not. */
export function followLinks(path: string): string {
  let at = resolve(path)
  // As many as Linux follows.
  for (let links = 0; links < 40; links++) {
    try {
      return realpathSync(at)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw unreadable(path, error)
    }
    const link = linkOf(at)
    if (link === undefined) return at
    at = resolve(dirname(at), link)
  }
  throw unreadable(path, 'ELOOP')
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The text as it is: what is not UTF-8 is refused, since it could not be written back unchanged. */
function readText(target: string, path: string, missing: 'refuse' | 'empty'): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(target))
  } catch (error) {
    if (missing === 'empty' && codeOf(error) === 'ENOENT') return ''
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): ConfigError {
  const code = typeof cause === 'string' ? cause : codeOf(cause)
  const message =
    code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8' : `it cannot be read (${code})`
  return new ConfigError(FILE_UNREADABLE, [{ path, message }], { cause })
}

function temporaryPrefix(target: string): string {
  return join(dirname(target), `.${basename(target)}.`)
}

/** What a writer that was killed has left: it may hold secrets. Only under the lock, when no writer is at work. */
function removeLeftovers(target: string): void {
  const name = basename(target).replace(/[^\w]/g, String.raw`\$&`)
  const leftover = new RegExp(
    `^(?:\\.${name}(?:\\.lock)?\\.\\d+\\.[0-9a-f]{12}\\.tmp|${name}\\.lock\\.[0-9a-f]{16})$`,
  )
  for (const entry of readdirSync(dirname(target))) {
    if (leftover.test(entry)) removeQuietly(join(dirname(target), entry))
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Gone already, or the next writer tries again.
  }
}

/** Makes the names in a folder outlast a power cut. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } catch (error) {
    // Some file systems have nothing to sync there.
    if (codeOf(error) !== 'EINVAL') throw error
  } finally {
    closeSync(handle)
  }
}
