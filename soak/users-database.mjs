// @ts-check
/**
 * `npm run soak:users-database`: an edge whose database is taken away for SOAK_DOWN seconds, and comes back, while SOAK_RATE
 * users a second register, one in ten of them with a wrong password. MariaDB and PostgreSQL in turn. While it is away all
 * who answer a challenge must get 503, nobody 200; when it is back all must be as before, in the same process. The first
 * fault ends the soak, and no result is kept.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { provenance } from '../bench/provenance.mjs'
import { fillAccounts, startDatabase } from '../bench/users/database.mjs'
import { startPhones } from '../bench/users/phones.mjs'
import { allPorts, OTHER_CORE, run, startEdge, writeEdge } from '../bench/users/rig.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const DOWN = Number(process.env['SOAK_DOWN'] ?? 20)
const RATE = Number(process.env['SOAK_RATE'] ?? 200)
const ACCOUNTS = 500
/** Of this many, one comes with a wrong password. */
const WRONG = 10
/** How long everything goes well before and behind, seconds. */
const AROUND = 5
/** How long the first accept may take when the database is back, seconds. */
const PATIENCE = 20

/** @param {unknown} holds @param {string} what */
function must(holds, what) {
  if (holds !== true) throw new Error(what)
}

/** How often each status was. @param {import('../bench/users/phones.mjs').Outcome[]} outcomes */
function counts(outcomes) {
  /** @type {Record<string, number>} */
  const found = {}
  for (const { status, password } of outcomes) {
    const name = `${password}: ${status}`
    found[name] = (found[name] ?? 0) + 1
  }
  return found
}

/** @param {import('../bench/users/database.mjs').Engine} engine @param {string} folder */
async function soak(engine, folder) {
  const database = await startDatabase(engine, join(folder, 'database'), OTHER_CORE)
  const ports = await allPorts()
  await fillAccounts(database, ACCOUNTS)
  // Nothing is remembered: each is asked for.
  writeEdge(folder, ports, database.url, 'cache_found = 0\n')
  const edge = await startEdge(folder, ports)
  const answer = join(here, '../bench/users/answer.mjs')
  const upstream = run([...OTHER_CORE, process.execPath, answer, String(ports.upstream)])
  const phones = await startPhones(ports, { rate: RATE, accounts: ACCOUNTS, wrong: WRONG })
  const { outcomes } = phones
  try {
    // What was asked before a time is not judged by what is the case behind it.
    await sleep(1000)
    const begun = performance.now()
    await sleep(AROUND * 1000)
    const stopping = performance.now()
    await database.stop()
    const stopped = performance.now()
    await sleep(DOWN * 1000)
    const starting = performance.now()
    await database.start()
    const started = performance.now()
    const isBack = () => outcomes.findLast(({ asked, status }) => asked > started && status === 200)
    while (isBack() === undefined) {
      must(performance.now() < started + PATIENCE * 1000, 'nobody is accepted when the database is back')
      await sleep(20)
    }
    const back = isBack()?.at ?? 0
    await sleep(AROUND * 1000)
    await phones.stop()

    const before = counts(outcomes.filter(({ asked, at }) => asked > begun && at < stopping))
    const down = outcomes.filter(({ asked, at }) => asked > stopped && at < starting)
    const after = counts(outcomes.filter(({ asked }) => asked > back + 1000))
    for (const [name, found] of Object.entries({ before, after })) {
      const { 'right: 200': right, 'wrong: 403': wrong, ...others } = found
      must(Object.keys(others).length === 0, `${name} it: ${JSON.stringify(others)}`)
      must((right ?? 0) > RATE * 2 && (wrong ?? 0) > 0, `${name} it too few came: ${JSON.stringify(found)}`)
    }
    must(down.length > RATE * DOWN * 0.8, `only ${down.length} were answered while it was away`)
    must(
      down.every(({ status }) => status === 503),
      `while it was away: ${JSON.stringify(counts(down))}`,
    )
    must(
      outcomes.every(({ status, password }) => status !== 200 || password === 'right'),
      'a wrong password was accepted',
    )
    const waits = down.map(({ asked, at }) => at - asked).toSorted((a, b) => a - b)
    return {
      engine,
      before,
      down: counts(down),
      after,
      unanswered: outcomes.filter(({ status }) => status === 0).length,
      recoveredAfterMs: Math.round(back - started),
      longestWaitMs: Math.round(waits.at(-1) ?? 0),
      medianWaitMs: Math.round((waits[Math.floor(waits.length / 2)] ?? 0) * 10) / 10,
    }
  } catch (error) {
    process.stderr.write(edge.output())
    throw error
  } finally {
    await Promise.all([edge.stop(), upstream.stop(), database.stop()])
  }
}

const results = []
for (const engine of /** @type {const} */ (['mysql', 'postgres'])) {
  const folder = mkdtempSync(join(tmpdir(), 'xkeys-soak-'))
  try {
    const result = await soak(engine, folder)
    results.push(result)
    process.stdout.write(
      `${engine}, away ${DOWN} s under ${RATE} registrations/s: ${JSON.stringify(result.down)}, answered within ${result.longestWaitMs} ms, ` +
        `accepting ${result.recoveredAfterMs} ms after it was back\n`,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}
const result = { question: 'users-database', ...provenance(), rate: RATE, down: DOWN, results }
if (process.env['BENCH_KEEP'] !== 'no') {
  mkdirSync(join(here, '../bench/results/soak'), { recursive: true })
  writeFileSync(join(here, '../bench/results/soak/users-database.json'), `${JSON.stringify(result)}\n`)
}
