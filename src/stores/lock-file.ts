/**
 * A writer's lock: a file that is there while somebody writes another one, and says who. It is made whole or not at all,
 * so it is never found empty; one that a killed process left is taken over.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { codeOf, ConfigError } from '../errors.ts'
import { FILE_LOCKED, unwritable } from './file-error.ts'

/** Who holds a lock. `boot`, `space` and `started` tell a process from a later one of the same number; Linux only. */
interface Holder {
  readonly id: string
  readonly pid: number
  readonly host: string
  readonly at: string
  readonly boot?: string | undefined
  /** The process numbers that `pid` is one of: containers count their own. */
  readonly space?: string | undefined
  readonly started?: string | undefined
}

/**
 * Takes a lock, waiting while another process has it. Blocks.
 * @param lock the lock's path
 * @param path the file it stands for, as the reader knows it
 * @returns gives it back
 * @throws ConfigError `ERR_FILE_LOCKED` naming who holds it, `ERR_FILE_UNWRITABLE`
 */
export function takeLock(lock: string, path: string, waitMs: number): () => void {
  const mine = newHolder()
  const end = performance.now() + waitMs
  for (;;) {
    if (makeLock(lock, path, mine)) return () => giveBack(lock, mine)
    const holder = readHolder(lock)
    if (holder !== 'none' && holder !== 'unreadable' && stateOf(holder) === 'gone') {
      removeGone(lock, path, holder, Math.max(0, end - performance.now()))
      continue
    }
    if (performance.now() >= end) throw locked(lock, path, holder)
    sleep(10 + Math.random() * 20)
  }
}

/** Linking a finished file makes it appear with its content, and fails where there is one. */
function makeLock(lock: string, path: string, holder: Holder): boolean {
  const temporary = join(
    dirname(lock),
    `.${basename(lock)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`,
  )
  try {
    writeFileSync(temporary, `${JSON.stringify(holder)}\n`, { flag: 'wx', mode: 0o600 })
    try {
      linkSync(temporary, lock)
      return true
    } catch (error) {
      // ENOENT: whoever has the lock took our temporary file for a leftover.
      if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false
      throw error
    }
  } catch (error) {
    throw unwritable(path, error)
  } finally {
    unlinkQuietly(temporary)
  }
}

/**
 * Removes the lock of a process that is gone. Two may find the same one, and the slower must not remove what the faster
 * has put in its place: so the right to remove this very lock is a lock itself, named by its id.
 */
function removeGone(lock: string, path: string, gone: Holder, waitMs: number): void {
  const release = takeLock(`${lock}.${gone.id}`, path, waitMs)
  try {
    const now = readHolder(lock)
    if (now !== 'none' && now !== 'unreadable' && now.id === gone.id) unlinkSync(lock)
  } finally {
    release()
  }
}

function giveBack(lock: string, mine: Holder): void {
  const now = readHolder(lock)
  if (now !== 'none' && now !== 'unreadable' && now.id === mine.id) unlinkQuietly(lock)
}

function newHolder(): Holder {
  return {
    id: randomBytes(8).toString('hex'),
    pid: process.pid,
    host: hostname(),
    at: new Date().toISOString(),
    boot: bootOf(),
    space: spaceOf(),
    started: startOf(process.pid),
  }
}

function readHolder(lock: string): Holder | 'none' | 'unreadable' {
  try {
    const holder = JSON.parse(readFileSync(lock, 'utf8')) as Holder
    const known =
      /^[0-9a-f]{16}$/.test(holder.id) && Number.isSafeInteger(holder.pid) && typeof holder.host === 'string'
    return known ? holder : 'unreadable'
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'none' : 'unreadable'
  }
}

/** Only a process of this machine, counted as ours are, can be known to be gone. */
function stateOf(holder: Holder): 'alive' | 'gone' | 'unknown' {
  if (holder.host !== hostname()) return 'unknown'
  if (holder.boot !== bootOf()) return 'gone'
  if (holder.space !== spaceOf()) return 'unknown'
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if (codeOf(error) === 'ESRCH') return 'gone'
  }
  const started = startOf(holder.pid)
  // Not every system tells when the process of another user was started.
  return started === undefined || holder.started === undefined || started === holder.started
    ? 'alive'
    : 'gone'
}

const bootOf = (): string | undefined =>
  quietly(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())
const spaceOf = (): string | undefined => quietly(() => readlinkSync('/proc/self/ns/pid'))

/** When a process started, in ticks since the machine did (proc(5), field 22 of stat). */
const startOf = (pid: number): string | undefined =>
  quietly(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  })

function locked(lock: string, path: string, holder: Holder | 'none' | 'unreadable'): ConfigError {
  const message =
    typeof holder === 'string'
      ? `it is locked by ${lock}, which does not say by whom: remove that file if nobody is at work`
      : `it is being changed by process ${holder.pid} on ${holder.host} since ${holder.at}${remedyOf(lock, holder)}`
  return new ConfigError(FILE_LOCKED, [{ path, message }])
}

function remedyOf(lock: string, holder: Holder): string {
  return stateOf(holder) === 'unknown' ? `: remove ${lock} if that process is gone` : ''
}

function unlinkQuietly(path: string): void {
  quietly(() => unlinkSync(path))
}

function quietly<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
