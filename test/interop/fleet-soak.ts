/**
 * The body of `npm run soak:fleet`, which tells it by its environment how long and how much: rotations and faults of a
 * fleet under load, everything that must hold looked at all the time, everything told in lines of JSON.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { convergence, refusals } from './fleet-checks.ts'
import { PAIRS } from './fleet-config.ts'
import { FAULTS, type Suffering } from './fleet-faults.ts'
import { openNetns } from './fleet-netns.ts'
import { startFleet, type Fleet } from './fleet-rig.ts'
import { createRandom, keepOn, rotate, shuffled } from './fleet-steps.ts'

const setting = (name: string): number => Number(process.env[`FLEET_${name}`])
const [ROTATIONS, MINUTES, SEED] = [setting('ROTATIONS'), setting('MINUTES'), setting('SEED')]
const LOG = process.env['FLEET_LOG']!

/** Within which every node must have what is stored, once a fault is mended, milliseconds. */
const CONVERGED = 5000
/** More than a node ever needs, bytes. */
const MOST_MEMORY = 256 * 2 ** 20
const LOOK_EVERY = 1000
const MEASURE_EVERY = 10_000

/** What did not hold. */
const violations: string[] = []

function note(line: Readonly<Record<string, unknown>>): void {
  appendFileSync(LOG, `${JSON.stringify({ at: new Date().toISOString(), ...line })}\n`)
}

function violate(what: string): void {
  violations.push(what)
  note({ event: 'violation', what })
  console.log(`violation: ${what}`)
}

/** Looks at what must hold until it is ended. */
function watch({ fleet, load }: Suffering): () => Promise<void> {
  const seen = { refused: 0, lost: 0, wrong: 0 }
  let looks = 0
  return keepOn(async () => {
    await sleep(LOOK_EVERY)
    const { refused, lost } = load.account()
    const { wrong } = fleet.prober.account()
    const now = {
      refused: Object.values(refused).reduce((sum, one) => sum + one, 0),
      lost,
      wrong: wrong.length,
    }
    if (now.refused > seen.refused) violate(`messages between nodes were refused: ${JSON.stringify(refused)}`)
    if (now.lost > seen.lost) violate(`messages between nodes were lost: ${now.lost - seen.lost}`)
    for (const fault of wrong.slice(seen.wrong)) violate(fault)
    Object.assign(seen, now)
    if (looks++ % (MEASURE_EVERY / LOOK_EVERY) === 0) await measure(fleet)
  })
}

async function measure({ nodes }: Fleet): Promise<void> {
  for (const node of nodes) {
    try {
      const found = {
        rss: await node.metric('process_resident_memory_bytes'),
        heap: await node.metric('nodejs_heap_size_used_bytes'),
        ...(await refusals(node)),
      }
      note({ event: 'measured', node: node.name, ...found })
      const { rss, rejections, dropped, unsigned } = found
      if (rss > MOST_MEMORY) violate(`${node.name} needs ${rss} bytes`)
      if (rejections + dropped + unsigned > 0) violate(`${node.name} refused: ${JSON.stringify(found)}`)
    } catch {
      // It is down.
      note({ event: 'measured', node: node.name, down: true })
    }
  }
}

/** Faults in random order, each as often as the others, until it is ended. */
function suffer(suffering: Suffering): () => Promise<void> {
  const { fleet, random } = suffering
  return keepOn(async (isEnded) => {
    for (const [name, fault] of shuffled(Object.entries(FAULTS), random)) {
      if (isEnded()) return
      await sleep(2000 + random() * 8000)
      note({ event: 'fault begins', fault: name })
      try {
        const details = await fault(suffering)
        const converged = await convergence(fleet, CONVERGED)
        note({ event: 'fault', fault: name, converged, ...details })
        if (converged > CONVERGED) violate(`${name}: every node is current only after ${converged} ms`)
      } catch (error) {
        violate(`${name}: ${(error as Error).message}`)
      }
    }
  })
}

it(
  `${ROTATIONS} rotations in ${MINUTES} minutes`,
  async () => {
    const random = createRandom(SEED)
    const netns = openNetns()
    if (typeof netns === 'string') note({ event: 'no network namespace', why: netns })
    else onTestFinished(() => netns.remove())
    const fleet = await startFleet(typeof netns === 'string' ? undefined : netns)
    const load = fleet.load(60)
    const begun = performance.now()
    const suffering = { fleet, load, random, netns: typeof netns === 'string' ? undefined : netns }
    note({ event: 'begun', rotations: ROTATIONS, minutes: MINUTES, seed: SEED })
    const endWatch = watch(suffering)
    const endFaults = suffer(suffering)
    // The last ones need a while, too.
    const due = (n: number): number => begun + (n / ROTATIONS) * 0.95 * MINUTES * 60_000
    let done = 0
    await Promise.all(
      PAIRS.map(async (group, i) => {
        fleet.prober.use(group, ['first'])
        let old = 'first'
        for (let n = i; n < ROTATIONS; n += PAIRS.length) {
          await sleep(Math.max(0, due(n) - performance.now()))
          const from = performance.now()
          const next = `key-${n + 1}`
          try {
            await rotate(fleet, group, old, next)
            old = next
            note({ event: 'rotated', group, key: next, ms: Math.round(performance.now() - from) })
            done++
          } catch (error) {
            return violate(`rotation ${n + 1} of ${group}: ${(error as Error).message}`)
          }
        }
      }),
    )
    await sleep(Math.max(0, begun + MINUTES * 60_000 - performance.now()))
    await endFaults()
    await endWatch()
    const account = await load.stop()
    const probes = await fleet.prober.stop()
    await measure(fleet)
    note({
      event: 'ended',
      seconds: Math.round((performance.now() - begun) / 1000),
      rotations: done,
      account,
      probes: { ...probes, wrong: probes.wrong.length },
      violations,
    })
    expect({ done, violations }).toEqual({ done: ROTATIONS, violations: [] })
  },
  (MINUTES + 15) * 60_000,
)
