/**
 * The audit of a keyring: `KEYRING.audit`, a line of JSON for every operation on keys, appended and synced, mode 0600.
 * It tells who, when, what and fingerprints, never a secret.
 *
 * A change has two lines, `begin` before the file is replaced and `end` after it, tied by `operation`. Where a process
 * was killed or failed in between, the next change finds out from the file what became of it, and says so.
 * @module
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { codeOf } from '../errors.ts'
import { unwritable } from './file-error.ts'
import { followLinks, syncFolder } from './replace-file.ts'

/** What was done. Never a secret. */
export interface AuditEntry {
  /** The command's words: `key add`. */
  readonly command: string
  readonly group?: string
  /** Name of the key. */
  readonly key?: string
  readonly fingerprint?: string
  /** Settings as written, reasons, further keys. */
  readonly [detail: string]: unknown
}

/** The texts that a change leads from and to. */
export interface AuditedChange {
  readonly before: string
  readonly after: string
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants

/** How much of the end of an audit is searched for a change without an end, in bytes. */
const TAIL_BYTES = 65_536

/** A line of audit, without its end: when, who, where, and the entry. As `appendAudit` writes it. */
export function auditLine(entry: AuditEntry): string {
  const { pid } = process
  return JSON.stringify({ at: new Date().toISOString(), ...whoIs(), host: hostname(), pid, ...entry })
}

/**
 * Appends a line: `{"at","who","host","pid",…}` and the entry. `who` is the user, or whoever called sudo; then `as` is
 * the user that sudo made of them. The line is on disk when this returns.
 * @throws ConfigError `ERR_FILE_UNWRITABLE`
 */
export function appendAudit(keyringPath: string, entry: AuditEntry): void {
  const keyring = followLinks(keyringPath)
  const path = auditOf(keyring)
  const line = auditLine(entry)
  try {
    const isNew = lstatSync(path, { throwIfNoEntry: false }) === undefined
    // A link there could make root write anywhere for whoever owns the folder.
    const file = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
    try {
      if (isNew) giveToOwnerOf(keyring, file)
      // What a full disk cut off stays a line of its own.
      const begin = endsLine(file) ? '' : '\n'
      writeAll(file, `${begin}${line}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    if (isNew) syncFolder(dirname(path))
  } catch (error) {
    throw unwritable(path, error)
  }
}

/**
 * Runs `replace`, which must replace the file's text `before` by `after`, between its two lines in the audit. Only under
 * the writer's lock.
 * @throws ConfigError `ERR_FILE_UNWRITABLE`: where the first line cannot be written nothing is done; where the last one
 *   cannot, the message says that the change itself is done. And what `replace` throws
 */
export function auditChange(
  keyringPath: string,
  entry: AuditEntry,
  change: AuditedChange,
  replace: () => void,
): void {
  const operation = randomBytes(8).toString('hex')
  const [before, after] = [markOf(change.before), markOf(change.after)]
  appendAudit(keyringPath, { ...entry, phase: 'begin', operation, before, after })
  const { command } = entry
  try {
    replace()
  } catch (error) {
    settleQuietly(keyringPath)
    throw error
  }
  try {
    appendAudit(keyringPath, { command, phase: 'end', operation, outcome: 'done' })
  } catch (error) {
    const message =
      'the change is done and its beginning is in the audit, but its end could not be written there'
    throw unwritable(keyringPath, message, error)
  }
}

/**
 * Ends a change that was cut off or failed: says whether the file has its outcome. Only under the writer's lock.
 * @param text what the file holds now
 * @throws ConfigError `ERR_FILE_UNWRITABLE`
 */
export function settleAudit(keyringPath: string, text: string): void {
  const cut = findCutOff(auditOf(followLinks(keyringPath)))
  if (cut === undefined) return
  const now = markOf(text)
  const outcome = now === cut['after'] ? 'done' : now === cut['before'] ? 'not done' : 'unknown'
  const { command, operation } = cut
  appendAudit(keyringPath, { command, phase: 'end', operation, outcome, settled: true })
}

/** What hindered the change may hinder this, too: then the next change settles it. */
function settleQuietly(keyringPath: string): void {
  try {
    settleAudit(keyringPath, readFileSync(keyringPath, 'utf8'))
  } catch {
    // As said.
  }
}

type AuditLine = AuditEntry & { readonly phase?: unknown; readonly operation?: unknown }

function findCutOff(path: string): AuditLine | undefined {
  const lines = readTail(path)
    .split('\n')
    .flatMap((text): AuditLine[] => {
      try {
        const line: unknown = JSON.parse(text)
        return typeof line === 'object' && line !== null && 'operation' in line ? [line as AuditLine] : []
      } catch {
        return []
      }
    })
  const begin = lines.findLast(({ phase }) => phase === 'begin')
  const ended = lines.some(({ phase, operation }) => phase === 'end' && operation === begin?.operation)
  return ended ? undefined : begin
}

function readTail(path: string): string {
  try {
    const file = openSync(path, 'r')
    try {
      const { size } = fstatSync(file)
      const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES))
      const length = readSync(file, bytes, 0, bytes.length, size - bytes.length)
      return bytes.toString('utf8', 0, length)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ''
    throw unwritable(path, error)
  }
}

/** A text told by 16 digits: enough to tell two apart, too few to look for a secret with. */
function markOf(text: string): string {
  return createHash('sha256').update('auth-xkeys audit\0').update(text).digest('hex').slice(0, 16)
}

function auditOf(keyring: string): string {
  return `${keyring}.audit`
}

function whoIs(): { readonly who: string; readonly as?: string } {
  const user = nameOfUser()
  const caller = process.env['SUDO_USER']
  return caller === undefined || caller === '' || caller === user ? { who: user } : { who: caller, as: user }
}

/** A user id need not have a name. */
function nameOfUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.geteuid?.() ?? 'unknown'}`
  }
}

/** Made by root for another's keyring, it must stay writable for them. */
function giveToOwnerOf(keyring: string, file: number): void {
  const owner = statSync(keyring, { throwIfNoEntry: false })
  if (owner !== undefined && process.geteuid?.() === 0 && owner.uid !== 0) {
    fchownSync(file, owner.uid, owner.gid)
  }
}

function endsLine(file: number): boolean {
  const { size } = fstatSync(file)
  const last = Buffer.alloc(1)
  return size === 0 || readSync(file, last, 0, 1, size - 1) === 0 || last[0] === 0x0a
}

/** In one write, so that lines of two writers do not mix. */
function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text)
  if (writeSync(file, bytes) < bytes.length) throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
}
