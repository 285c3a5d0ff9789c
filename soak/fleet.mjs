// @ts-check
/**
 * `npm run soak:fleet -- --rotations 100 --minutes 60 [--seed 1]`: three nodes that share a keyring through a real Redis and
 * are peers of each other, under at least 500 signed messages a second, with clocks 2 s apart and more. Their keys are
 * rotated by the command line while faults come in random order: Redis stopped and back without what it had, Redis stalled,
 * nodes killed, cut off and delayed, clocks stepped, keys revoked. All the time nothing valid may be refused and nothing
 * ended accepted, after each fault every node must have what is stored within 5 s, and the memory must not grow. What
 * happened is kept line by line; any fault of ours means exit 1, and no result is kept.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'
import { provenance } from '../bench/provenance.mjs'
import { median } from '../bench/statistics.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const results = join(root, 'bench/results/soak')

const { values } = parseArgs({
  options: {
    rotations: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const rotations = Number(values.rotations)
const minutes = Number(values.minutes)
const folder = mkdtempSync(join(tmpdir(), 'xkeys-soak-'))
const log = join(folder, 'fleet.jsonl')
writeFileSync(log, '')
Object.assign(process.env, {
  FLEET_ROTATIONS: values.rotations,
  FLEET_MINUTES: values.minutes,
  FLEET_SEED: values.seed,
  FLEET_LOG: log,
  PEERS_LIFETIME: String(Math.ceil((minutes + 20) * 60)),
})
process.stdout.write(`seed ${values.seed}; what happens is told in ${log}\n`)

/** @typedef {Record<string, any>} Line */

/** @param {readonly number[]} numbers */
const extremes = (numbers) => ({ median: median([...numbers]), max: Math.max(...numbers) })

/** @param {readonly Line[]} lines */
function faultsOf(lines) {
  const faults = lines.filter(({ event }) => event === 'fault')
  const kinds = [...new Set(faults.map(({ fault }) => String(fault)))]
  return Object.fromEntries(
    kinds.map((kind) => {
      const converged = faults.filter(({ fault }) => fault === kind).map((line) => line['converged'])
      return [kind, { count: converged.length, converged_ms: extremes(converged) }]
    }),
  )
}

/** From the change in the store to the last message that was accepted, of all nodes. @param {readonly Line[]} lines */
function revocationsOf(lines) {
  const times = lines
    .filter(({ event, fault }) => event === 'fault' && fault === 'key revoked')
    .flatMap(({ nodes }) => Object.values(nodes))
  return {
    count: times.length,
    from_write_ms: extremes(times.map(({ fromWrite }) => fromWrite)),
    from_command_ms: extremes(times.map(({ fromCommand }) => fromCommand)),
  }
}

/** The first node lives all the time. @param {readonly Line[]} lines */
function memoryOf(lines) {
  const measured = lines.filter(({ event, node, down }) => event === 'measured' && node === 'n1' && !down)
  const quarter = Math.max(1, Math.floor(measured.length / 4))
  const heap = measured.map((line) => line['heap'])
  return {
    rss_max: Math.max(...lines.map(({ rss = 0 }) => rss)),
    // A collection may come at any time: what stays is in the median.
    heap_growth: median(heap.slice(-quarter)) / median(heap.slice(quarter, 2 * quarter)) - 1,
  }
}

let vitest
try {
  vitest = await startVitest('test', [], {
    root,
    run: true,
    watch: false,
    include: ['test/interop/fleet-soak.ts'],
    reporters: ['default'],
  })
  if (process.exitCode) throw new Error(`the soak failed; what happened is in ${log}`)
  /** @type {Line[]} */
  const lines = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
  const { rotations: done, account, probes, seconds } = lines.at(-1) ?? {}
  const memory = memoryOf(lines)
  const isLong = minutes >= 30
  if (account.perSecond < 500) throw new Error(`only ${account.perSecond} messages a second`)
  if (isLong && memory.heap_growth > 0.25)
    throw new Error(`the heap of n1 grew by ${(memory.heap_growth * 100).toFixed(0)} %`)
  const faults = faultsOf(lines)
  const result = {
    question: 'fleet',
    ...provenance(),
    seed: Number(values.seed),
    seconds,
    rotations: done,
    traffic: account,
    probes,
    faults,
    revocations: revocationsOf(lines),
    memory,
    rounds: lines.filter(({ event }) => event === 'fault' || event === 'rotated'),
  }
  if (process.env['BENCH_KEEP'] !== 'no') {
    mkdirSync(results, { recursive: true })
    writeFileSync(join(results, 'fleet.json'), `${JSON.stringify(result)}\n`)
    copyFileSync(log, join(results, 'fleet.jsonl'))
  }
  const count = Object.values(faults).reduce((sum, fault) => sum + fault.count, 0)
  const slowest = Math.max(...Object.values(faults).map((fault) => fault.converged_ms.max))
  process.stdout.write(
    `${done} of ${rotations} rotations and ${count} faults in ${Math.round(seconds / 60)} minutes under ${account.perSecond} signed messages a second: ` +
      `${account.answered} transactions, 0 refused, 0 lost; ${probes.accepted + probes.refused} probes, 0 wrong; ` +
      `every node had what was stored within ${slowest} ms; revoked keys refused within ${result.revocations.from_write_ms.max} ms; ` +
      `at most ${Math.round(memory.rss_max / 2 ** 20)} MiB a node\n`,
  )
  rmSync(folder, { recursive: true })
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  await vitest?.close()
}
