/**
 * Noticing that files changed, however they were changed: written in place, truncated and written, renamed over, a
 * symlink on the way turned (as Kubernetes does with a mounted secret), gone for a while.
 *
 * - Every half second each file is looked at: what its path leads to, device, inode, size, times of content and inode.
 *   This finds every way of changing, on every file system, and needs no descriptor.
 * - Events of the folders only make it faster. They may be missing, late or too many.
 * - A change counts once nothing moves for 100 ms, so that a file is not read half written; a file that is missing is
 *   given 2 seconds to come back.
 * - A change that leaves no trace in size and times (the same size within one tick of the file system's clock, which may
 *   be 2 seconds long) is found by content: for 3 seconds after each change, and once a minute.
 * @module
 */
import { watch, type FSWatcher } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../errors.ts'

/** What is watched, and how its content is told apart. */
export interface WatchOptions {
  /** The files, and a digest of what was read of each last. Asked at each look, since a file may refer to others. */
  readonly known: () => Contents
  /** The digest of a file as it is now. */
  readonly digest: (path: string) => Promise<string>
  /** Something changed, and stands still at `contents`. Reads the files; what is another by then is looked at again. */
  readonly onChange: (contents: Contents) => void
}

/** Digests of files by path. */
export type Contents = ReadonlyMap<string, string>

/** Whether two say the same of the same files. */
export function isSameContents(one: Contents, other: Contents): boolean {
  return one.size === other.size && [...one].every(([path, digest]) => other.get(path) === digest)
}

/** A watch that goes on until it is closed. */
export interface FileWatch {
  close(): void
}

const EVERY_MS = 500
const SETTLE_MS = 100
const MISSING_MS = 2_000
const YOUNG_MS = 3_000
const CONTENT_EVERY_MS = 60_000

/** Begins to watch. Keeps no process alive. */
export function watchFiles({ known, digest, onChange }: WatchOptions): FileWatch {
  const folders = createFolderWatch(() => lookIn(SETTLE_MS))
  let seen: Contents | undefined
  let moving: { readonly what: string; readonly since: number } | undefined
  let youngUntil = performance.now() + YOUNG_MS
  let contentAt = performance.now()
  let timer: NodeJS.Timeout | undefined
  let timerAt = Infinity
  let looking = false
  let closed = false

  /** Looks in a while, or sooner where a look is due sooner. */
  function lookIn(milliseconds: number): void {
    const at = performance.now() + milliseconds
    if (closed || looking || at >= timerAt) return
    clearTimeout(timer)
    timerAt = at
    timer = setTimeout(() => void look(), milliseconds)
    timer.unref()
  }

  async function look(): Promise<void> {
    looking = true
    timerAt = Infinity
    const next = await inspect().catch(() => EVERY_MS)
    looking = false
    lookIn(next)
  }

  /** One look; says in how many milliseconds the next is due. */
  async function inspect(): Promise<number> {
    const found = await tracesOf([...known().keys()])
    if (closed) return EVERY_MS
    folders.follow(found.folders)
    const now = performance.now()
    const { traces } = found
    // The first look only sees: what changed since the files were read shows in the content.
    seen ??= traces
    const isStill = isSameContents(seen, traces)
    if (isStill && moving === undefined && now >= youngUntil && now - contentAt < CONTENT_EVERY_MS)
      return EVERY_MS
    contentAt = now
    const contents = await contentsOf([...traces.keys()])
    if (closed) return EVERY_MS
    if (isStill && isSameContents(contents, known())) {
      moving = undefined
      return EVERY_MS
    }
    const what = [...traces, ...contents].join()
    if (moving?.what !== what) moving = { what, since: now }
    const wait = found.missing ? MISSING_MS : SETTLE_MS
    const left = moving.since + wait - now
    if (left > 0) return Math.min(left, EVERY_MS)
    // Older than what is read now: what changes in between is seen at the next look.
    seen = traces
    moving = undefined
    youngUntil = performance.now() + YOUNG_MS
    onChange(contents)
    return SETTLE_MS
  }

  async function contentsOf(files: readonly string[]): Promise<Contents> {
    const contents = new Map<string, string>()
    for (const file of files) contents.set(file, await digest(file))
    return contents
  }

  lookIn(0)
  return {
    close() {
      closed = true
      clearTimeout(timer)
      folders.follow([])
    },
  }
}

interface Traces {
  /** By path; what a change changes. */
  readonly traces: Contents
  readonly missing: boolean
  /** The folders that the files, and what they lead to, stand in. */
  readonly folders: readonly string[]
}

async function tracesOf(files: readonly string[]): Promise<Traces> {
  const folders = new Set<string>()
  let missing = false
  const entries = await Promise.all(
    Array.from(new Set(files), async (path): Promise<[string, string]> => {
      folders.add(dirname(path))
      try {
        const [target, { dev, ino, size, mtimeNs, ctimeNs }] = await Promise.all([
          realpath(path),
          stat(path, { bigint: true }),
        ])
        folders.add(dirname(target))
        return [path, [target, dev, ino, size, mtimeNs, ctimeNs].join(' ')]
      } catch (error) {
        const code = codeOf(error, 'unreadable')
        missing ||= code === 'ENOENT' || code === 'ENOTDIR'
        return [path, code]
      }
    }),
  )
  return { traces: new Map(entries), missing, folders: [...folders] }
}

/** Most folders whose events are asked for: the looks find what happens in the others. */
const MAX_FOLDERS = 8

/** Events of folders, where the system gives any. */
function createFolderWatch(onEvent: () => void): { follow(folders: readonly string[]): void } {
  const open = new Map<string, FSWatcher>()
  const drop = (folder: string): void => {
    open.get(folder)?.close()
    open.delete(folder)
  }
  return {
    follow(folders) {
      const wanted = folders.slice(0, MAX_FOLDERS)
      for (const folder of open.keys()) if (!wanted.includes(folder)) drop(folder)
      for (const folder of wanted) {
        if (open.has(folder)) continue
        try {
          const watcher = watch(folder, { persistent: false }, onEvent)
          watcher.on('error', () => drop(folder))
          open.set(folder, watcher)
        } catch {
          // No events from there: tried again at the next look.
        }
      }
    },
  }
}
