/**
 * Steady traffic between the nodes of a fleet, every transaction of which is accounted for while it goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeProcess } from './fleet-node.ts'
import { requestOf, type Flow, type Party } from './rotation-load.ts'

/** What became of the traffic so far. */
export interface FleetAccount {
  readonly sent: number
  /** Answered with 200. */
  readonly answered: number
  /** Other final answers. */
  readonly refused: Readonly<Record<string, number>>
  /** Not answered, and no node on their way was excused. */
  readonly lost: number
  /** Under way when a node on their way went down. */
  readonly excused: number
  /** Signed messages between nodes a second: a request and a response each. */
  readonly perSecond: number
}

/** Traffic that runs. */
export interface FleetLoad {
  /** The node goes down: what is under way through it may be lost, and nothing new is sent its way. */
  excuse(node: string): void
  /** It is back. */
  expect(node: string): void
  account(): FleetAccount
  /** Stops, and waits until all is answered. */
  stop(): Promise<FleetAccount>
}

/** At most so many transactions of a flow at once, so that no socket's buffer can run over. */
const WINDOW = 30
/** What has no answer by then is lost, milliseconds: a busy machine is slow, and loses nothing. */
const LOST_MS = 15_000

interface Route extends Flow {
  readonly nodes: readonly string[]
  readonly open: Map<string, number>
  sent: number
}

let loads = 0

/**
 * Begins `perSecond` transactions a second from the upstream of each node to that of each other.
 * @param upstreams of the nodes, in their order
 */
export function startFleetLoad(
  nodes: readonly NodeProcess[],
  upstreams: readonly Party[],
  perSecond: number,
): FleetLoad {
  const routes = nodes.flatMap((from, i) =>
    nodes
      .filter((to) => to !== from)
      .map(({ name, trunk }): Route => ({
        from: upstreams[i]!,
        to: from.upstream,
        uri: `sip:bob@${trunk.address}:${trunk.port}`,
        nodes: [from.name, name],
        open: new Map(),
        sent: 0,
      })),
  )
  const load = ++loads
  const began = performance.now()
  const down = new Set<string>()
  const refused: Record<string, number> = {}
  let count = 0
  let answered = 0
  let excused = 0
  let lost = 0

  function begin(route: Route, now: number): void {
    const id = `fleet-${process.pid}-${load}-${count++}`
    route.sent++
    route.open.set(id, now)
    route.from.call(requestOf(route, id), id, route.to, (status) => {
      if (!route.open.delete(id)) return
      if (status === '200') answered++
      else refused[status] = (refused[status] ?? 0) + 1
    })
  }
  function forgetLost(route: Route, now: number): void {
    for (const [id, at] of route.open) {
      if (now - at < LOST_MS) return
      route.open.delete(id)
      lost++
    }
  }
  let last = began
  const timer = setInterval(() => {
    const now = performance.now()
    // What a busy machine did not get to send is not caught up with in a burst.
    const share = (Math.min(now - last, 50) / 1000) * perSecond
    last = now
    for (const route of routes) {
      forgetLost(route, now)
      if (route.nodes.some((name) => down.has(name))) continue
      // A part of a transaction is one now and then.
      for (let due = Math.floor(share + Math.random()); due > 0 && route.open.size < WINDOW; due--)
        begin(route, now)
    }
  }, 4)

  const account = (): FleetAccount => ({
    sent: count,
    answered,
    refused: { ...refused },
    lost,
    excused,
    perSecond: Math.round((2 * answered) / ((performance.now() - began) / 1000)),
  })
  let stopped: Promise<FleetAccount> | undefined
  const open = (): number => routes.reduce((sum, route) => sum + route.open.size, 0)
  async function stop(): Promise<FleetAccount> {
    clearInterval(timer)
    const { perSecond: reached } = account()
    for (let i = 0; i < LOST_MS / 50 && open() > 0; i++) await sleep(50)
    return { ...account(), perSecond: reached, lost: lost + open() }
  }
  return {
    excuse(node) {
      down.add(node)
      for (const route of routes.filter(({ nodes }) => nodes.includes(node))) {
        excused += route.open.size
        route.open.clear()
      }
    },
    expect: (node) => void down.delete(node),
    account,
    stop: () => (stopped ??= stop()),
  }
}
