/**
 * Messages for which a stage is waiting: so many, so many a source, and so long. A stage that hangs takes the room of
 * those who wait for it, and of nobody else.
 * @module
 */

/** What waits. Times are milliseconds of one clock that does not step back. */
export interface Waiting {
  /**
   * Begins to wait; undefined where there is no room.
   * @param expire called once where it takes too long
   * @returns ends the wait: false where it took too long
   */
  enter(source: string, now: number, expire: () => void): (() => boolean) | undefined
  /** Ends what waits too long. */
  sweep(now: number): void
}

/** How long a stage may take, milliseconds. A request is sent again for 32 s; whoever sent it needs an answer before. */
export const LONGEST_WAIT = 10_000

/** One source address takes this part of the room, at most. */
const SHARE = 4

interface Wait {
  readonly source: string
  readonly deadline: number
  readonly expire: () => void
}

/** Creates the room. @param limit most at once */
export function createWaiting(limit: number): Waiting {
  const share = Math.ceil(limit / SHARE)
  // In order of their deadlines, since all wait equally long.
  const waits = new Set<Wait>()
  const perSource = new Map<string, number>()

  function leave(wait: Wait): boolean {
    if (!waits.delete(wait)) return false
    const left = (perSource.get(wait.source) ?? 1) - 1
    if (left > 0) perSource.set(wait.source, left)
    else perSource.delete(wait.source)
    return true
  }

  return {
    enter(source, now, expire) {
      const waiting = perSource.get(source) ?? 0
      if (waits.size >= limit || waiting >= share) return undefined
      const wait = { source, deadline: now + LONGEST_WAIT, expire }
      waits.add(wait)
      perSource.set(source, waiting + 1)
      return () => leave(wait)
    },
    sweep(now) {
      for (const wait of waits) {
        if (wait.deadline > now) return
        leave(wait)
        wait.expire()
      }
    },
  }
}
