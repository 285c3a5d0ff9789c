/**
 * A gate in front of what must not be overrun: so much work at once, so much waiting, in the order in which it came.
 * @module
 */

/** What a gate lets in. */
export interface GateOptions {
  /** Pieces of work at once. */
  readonly limit: number
  /** Pieces that wait; one more is refused at once. */
  readonly queue: number
  /** The error of what is refused. */
  readonly full: () => Error
}

/** A gate. */
export interface Gate {
  /** A place behind the gate, at once or later; rejects where too many wait, or with what the signal was aborted with. */
  enter(signal: AbortSignal): Promise<void> | undefined
  /** Gives the place back: once for each that entered. */
  leave(): void
  readonly active: number
  readonly waiting: number
}

interface Waiter {
  readonly admit: () => void
}

/** Makes a gate. */
export function createGate({ limit, queue, full }: GateOptions): Gate {
  const waiting = new Set<Waiter>()
  let active = 0

  function enter(signal: AbortSignal): Promise<void> | undefined {
    if (active < limit) {
      active++
      return undefined
    }
    if (waiting.size >= queue) return Promise.reject(full())
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        waiting.delete(waiter)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = {
        admit() {
          signal.removeEventListener('abort', abort)
          resolve()
        },
      }
      waiting.add(waiter)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  function leave(): void {
    for (const next of waiting) {
      waiting.delete(next)
      next.admit()
      return
    }
    active--
  }

  return {
    enter,
    leave,
    get active() {
      return active
    },
    get waiting() {
      return waiting.size
    },
  }
}
