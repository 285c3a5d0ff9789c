/**
 * Requests whose decision takes time: bounded, in order within a call, and each judged once.
 * @module
 */

/** One request to decide. */
export interface Work<Decision> {
  /** What must stay in order: requests of one call from one source. */
  readonly call: string
  /** A retransmission has the name of the first one. */
  readonly transaction: string
  /** Address that it came from. */
  readonly source: string
  judge(): Decision | Promise<Decision>
  act(decision: Decision): void
}

/** What became of a request. `absorbed`: it is a retransmission of one that waits. `full`: there is no room to wait. */
export type Taken = 'decided' | 'waits' | 'absorbed' | 'full'

/** Requests that wait. */
export interface Pending<Decision> {
  /** Decides at once where that takes no time and nothing of the call waits. */
  take(work: Work<Decision>): Taken
  /** Waiting now. */
  readonly size: number
  /** What waits is judged no more, and nothing is done about what is being judged. */
  close(): void
}

/** What `createPending` takes. */
export interface PendingOptions {
  readonly capacity: number
  readonly perSource: number
  /** Told what a decision or acting on it threw, which is a bug. */
  readonly onError: (error: unknown) => void
}

/** Creates the queues. */
export function createPending<Decision>({ capacity, perSource, onError }: PendingOptions): Pending<Decision> {
  /** Of each call the works that wait behind the one that is being judged, and the transactions of all. */
  const calls = new Map<string, { readonly behind: Work<Decision>[]; readonly transactions: Set<string> }>()
  const bySource = new Map<string, number>()
  const isFull = (source: string): boolean => size >= capacity || (bySource.get(source) ?? 0) >= perSource
  let size = 0
  let closed = false

  function enter({ source }: Work<Decision>): void {
    size++
    bySource.set(source, (bySource.get(source) ?? 0) + 1)
  }

  function leave({ source }: Work<Decision>): void {
    size--
    const left = bySource.get(source)! - 1
    if (left === 0) bySource.delete(source)
    else bySource.set(source, left)
  }

  /** Acts on one decision after the other until nothing of the call waits. */
  async function follow(first: Work<Decision>, decision: Promise<Decision>): Promise<void> {
    const { behind, transactions } = calls.get(first.call)!
    let judged: Decision | Promise<Decision> = decision
    for (let work: Work<Decision> | undefined = first; work !== undefined; work = behind.shift()) {
      try {
        if (work !== first && !closed) judged = work.judge()
        const settled = await judged
        if (!closed) work.act(settled)
      } catch (error) {
        onError(error)
      }
      leave(work)
      transactions.delete(work.transaction)
    }
    calls.delete(first.call)
  }

  return {
    take(work) {
      const call = calls.get(work.call)
      if (call?.transactions.has(work.transaction) === true) return 'absorbed'
      if (isFull(work.source)) return 'full'
      if (call !== undefined) {
        enter(work)
        call.transactions.add(work.transaction)
        call.behind.push(work)
        return 'waits'
      }
      const decision = work.judge()
      if (!(decision instanceof Promise)) {
        work.act(decision)
        return 'decided'
      }
      enter(work)
      calls.set(work.call, { behind: [], transactions: new Set([work.transaction]) })
      void follow(work, decision)
      return 'waits'
    },
    get size() {
      return size
    },
    close() {
      closed = true
    },
  }
}
