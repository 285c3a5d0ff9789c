/**
 * Wall clocks of processes that are off, and that step: a preload shifts what `Date` shows, and nothing else.
 */
import { renameSync, writeFileSync } from 'node:fs'

/** A clock that a process goes by. */
export interface ShiftedClock {
  /** Words for node, before the program. */
  readonly words: readonly string[]
  /** Sets how far it is ahead, milliseconds. A process that runs follows within `CLOCK_FOLLOWS_MS`. */
  shift(milliseconds: number): void
  /**
   * Between which instants the time lies by which keys begin and end, that never goes back, while the real one is `real`.
   * A process that just started shows nothing of before.
   */
  around(real: number): { readonly earliest: number; readonly latest: number }
  /** The process is another one. */
  restarted(): void
}

/** How soon a running process has the new shift, milliseconds; a busy machine may take longer, and `around` allows for it. */
const CLOCK_FOLLOWS_MS = 20
const ALLOWED_MS = 3000

/** Makes a clock that is told by a file. */
export function createShiftedClock(file: string, milliseconds: number): ShiftedClock {
  let shifted = milliseconds
  let before = milliseconds
  let since = -Infinity
  // The latest that it may have shown: a clock that is put back shows no key as usable that had ended.
  let shown = -Infinity
  const write = (): void => {
    writeFileSync(`${file}.new`, String(shifted))
    renameSync(`${file}.new`, file)
  }
  write()
  return {
    words: ['--import', preloadOf(file)],
    shift(to) {
      shown = Math.max(shown, Date.now() + ALLOWED_MS + Math.max(shifted, before))
      before = shifted
      shifted = to
      since = Date.now()
      write()
    },
    around(real) {
      const other = real < since + ALLOWED_MS ? before : shifted
      return {
        earliest: real + Math.min(shifted, other),
        latest: Math.max(real + Math.max(shifted, other), shown),
      }
    },
    restarted() {
      before = shifted
      shown = -Infinity
    },
  }
}

/** A module as a `data:` URL: nothing of the test stands in the process but this. */
function preloadOf(file: string): string {
  const code = `
import { readFileSync } from 'node:fs'
const System = Date, wall = Date.now
let shift = 0
function read() {
  try {
    shift = Number(readFileSync(${JSON.stringify(file)}, 'latin1'))
  } catch {}
}
read()
setInterval(read, ${CLOCK_FOLLOWS_MS}).unref()
System.now = () => wall() + shift
globalThis.Date = new Proxy(System, {
  construct: (target, words, made) => Reflect.construct(target, words.length === 0 ? [System.now()] : words, made),
})
`
  return `data:text/javascript,${encodeURIComponent(code)}`
}
