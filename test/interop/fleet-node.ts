/**
 * A node of a fleet: an edge in a process of its own, with folder, clock and way to Redis of its own.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint } from '../../src/message/types.ts'
import { parseExposition } from '../support/exposition.ts'
import { start, waitUntil, type Running } from '../support/peers.ts'
import type { Proxy } from '../support/redis.ts'
import { CLI } from './edge-process.ts'
import { createShiftedClock, type ShiftedClock } from './fleet-clock.ts'
import { pidOf } from './rotation-rig.ts'

/** Where a node is, and by what clock it goes. */
export interface NodePlace {
  readonly name: string
  readonly folder: string
  readonly trunk: Endpoint
  readonly upstream: Endpoint
  /** How far its clock is ahead at first, milliseconds. */
  readonly skew: number
  /** The way to Redis. */
  readonly relay: Proxy
  /** Words that begin a command which runs where the node does. */
  readonly enter: readonly string[]
}

/** A line of a node's log. */
export interface LogLine {
  readonly event?: string
  readonly [field: string]: unknown
}

/** A node that runs, or that ran and will again. */
export interface NodeProcess extends NodePlace {
  readonly clock: ShiftedClock
  /** Starts it, and waits until it says that it runs. */
  start(): Promise<void>
  /** Ends it as a crash does. */
  kill(): Promise<void>
  /** Ends it in good order. */
  stop(): Promise<void>
  pid(): number
  /** What it wrote since the first start. */
  output(): string
  /** The lines of its log that tell of an event, of this life. */
  told(event: string): readonly LogLine[]
  /** All metrics as they are served. */
  exposition(): Promise<string>
  /** Sum of a metric's samples of which `isMeant`. */
  metric(name: string, isMeant?: (labels: Readonly<Record<string, string>>) => boolean): Promise<number>
}

/** Makes a node of its configuration, not started. */
export function createNode(place: NodePlace, config: string): NodeProcess {
  const { folder } = place
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(join(folder, 'edge.toml'), config)
  const clock = createShiftedClock(join(folder, 'clock'), place.skew)
  let before = ''
  let edge: Running | undefined
  let metrics: Endpoint | undefined

  function told(event: string): readonly LogLine[] {
    const lines = edge?.output().split('\n').slice(0, -1) ?? []
    return lines
      .filter((line) => line.includes(`"event":"${event}"`))
      .map((line) => JSON.parse(line) as LogLine)
  }
  async function exposition(): Promise<string> {
    const response = await fetch(`http://${metrics!.address}:${metrics!.port}/metrics`)
    return response.text()
  }
  async function end(how: (running: Running) => void | Promise<void>): Promise<void> {
    if (edge === undefined) return
    await how(edge)
    await edge.ended
    before += edge.output()
    edge = undefined
  }

  return {
    ...place,
    clock,
    async start() {
      clock.restarted()
      const words = [...place.enter, process.execPath, ...clock.words, CLI, 'run', '--config', 'edge.toml']
      edge = start(words[0]!, words.slice(1), folder)
      await waitUntil(edge, () => told('started').length > 0)
      metrics = told('started')[0]!['metrics'] as Endpoint
    },
    kill: () => end(() => void process.kill(pidOf(folder), 'SIGKILL')),
    stop: () => end((running) => running.stop()),
    pid: () => pidOf(folder),
    output: () => before + (edge?.output() ?? ''),
    told,
    exposition,
    async metric(name, isMeant = () => true) {
      const samples = parseExposition(await exposition()).get(name)?.samples ?? []
      return samples.reduce((sum, { labels, value }) => sum + (isMeant(labels) ? value : 0), 0)
    },
  }
}
