/**
 * What an operator does to a fleet: rotations by evidence. And what happens to it meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MAX_SKEW_MS } from '../../src/keyring/state.ts'
import { peersIn, trunkName, type Group } from './fleet-config.ts'
import type { NodeProcess } from './fleet-node.ts'
import type { Fleet } from './fleet-rig.ts'

/** A number from 0 up to 1. */
export type Random = () => number

/** The same numbers for the same seed (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One of them. */
export function pick<T>(all: readonly T[], random: Random): T {
  return all[Math.floor(random() * all.length)]!
}

/** All of them in any order. */
export function shuffled<T>(all: readonly T[], random: Random): readonly T[] {
  return all
    .map((one) => [random(), one] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, one]) => one)
}

/** Waits for something that comes to pass, however long the machine takes for it. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  seconds = 60,
): Promise<void> {
  for (const end = performance.now() + seconds * 1000; ;) {
    if (await isSo()) return
    if (performance.now() > end) throw new Error(`it does not come to pass: ${what}`)
    await sleep(20)
  }
}

/** Rotates the key of a group, from its start until the old one has ended on every clock and is gone. */
export async function rotate(fleet: Fleet, group: Group, old: string, next: string): Promise<void> {
  const { operator, truth, prober } = fleet
  const on = ['--group', group]
  /** What a command changed is known here when it has ended. */
  const step = async (
    words: readonly string[],
    isDone: () => boolean,
    onRefused?: (said: string) => Promise<void>,
  ): Promise<void> => {
    const isDoneNow = async (): Promise<boolean> => {
      await truth.refresh().catch(() => {})
      return isDone()
    }
    // Where Redis comes back with what it had before, the operator does it again.
    await until(`the change of ${words.join(' ')}`, async () => {
      await operator.step(words, isDoneNow, onRefused)
      return isDoneNow()
    })
  }
  await step(['rotate', 'start', ...on, '--name', next], () => truth.key(group, next) !== undefined)
  // The peer of the probes shows by them that it has the new key.
  prober.use(group, [next])
  await step(
    ['rotate', 'promote', ...on],
    () => truth.keyring().activeKey(group, new Date())?.name === next,
    async (refusal) => {
      // Of the others an operator says so; what was confirmed is lost where Redis loses it.
      for (const name of peersIn(group).map((peer) => trunkName(group, peer))) {
        if (refusal.includes(`rotate confirm ${name} `)) await operator.cli('rotate', 'confirm', name, ...on)
      }
    },
  )
  await step(['key', 'retire', old, ...on], () => truth.key(group, old)?.end !== undefined)
  prober.use(group, [old, next])
  const { end } = truth.key(group, old)!
  await until(`the end of ${group} ${old}`, () => Date.now() > end!.at + MAX_SKEW_MS, 120)
  await step(['key', 'prune'], () =>
    truth
      .keyring()
      .keys(group)
      .every(({ name }) => name !== old),
  )
}

/**
 * Does something again and again.
 * @param work is told how to find out whether it is to come to its end
 * @returns ends it, and waits for what is under way
 */
export function keepOn(work: (isEnded: () => boolean) => Promise<void>): () => Promise<void> {
  const ending = new AbortController()
  const isEnded = (): boolean => ending.signal.aborted
  async function run(): Promise<void> {
    while (!isEnded()) await work(isEnded)
  }
  const running = run()
  return async () => {
    ending.abort()
    await running
  }
}

/** Lets the nodes hear from Redis late and in any order, again and again. @returns what ends it */
export function delayNodes(nodes: readonly NodeProcess[], random: Random): () => Promise<void> {
  return keepOn(async () => {
    for (const { relay } of nodes) relay.stall()
    for (const { relay } of shuffled(nodes, random)) {
      await sleep(random() * 250)
      relay.resume()
    }
    await sleep(200 + random() * 600)
  })
}
