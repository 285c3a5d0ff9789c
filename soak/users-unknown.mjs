// @ts-check
/**
 * `npm run soak:users-unknown`: SOAK_UNKNOWN requests a second of users who do not exist, each another one with a fresh nonce,
 * so that the database is asked for each, beside SOAK_TRUNK messages a second of a trunk: SOAK_ROUNDS rounds of SOAK_SECONDS,
 * each after one without them. Nobody is banned, as where they come from everywhere. What waits for the database must stay
 * within its bound, nobody may be accepted, the trunk may lose next to nothing; p99 of the trunk is told as the ratio to
 * the round without. The first fault ends the soak, and no result is kept.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { scrape, sum, usage } from '../bench/flood/observe.mjs'
import { provenance } from '../bench/provenance.mjs'
import { median } from '../bench/statistics.mjs'
import { fillAccounts, REALM, startDatabase } from '../bench/users/database.mjs'
import {
  allPorts,
  buildLoad,
  load,
  OTHER_CORE,
  registerText,
  startEdge,
  trunkText,
  writeEdge,
  writePool,
} from '../bench/users/rig.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const UNKNOWN = Number(process.env['SOAK_UNKNOWN'] ?? 10_000)
const TRUNK = Number(process.env['SOAK_TRUNK'] ?? 500)
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 20)
const ROUNDS = Number(process.env['SOAK_ROUNDS'] ?? 3)
const NAMES = 60_000
const QUEUE = 1000
/** Most of the trunk's messages that may be lost, as a share: it has no part in this. */
const MOST_LOST = 0.01
/** Most that the edge may ever take, MiB. */
const MOST_RSS = 400

/** @param {unknown} holds @param {string} what */
function must(holds, what) {
  if (holds !== true) throw new Error(what)
}

/** A challenge of the edge. @param {import('../bench/users/rig.mjs').Ports} ports */
async function nonceOf({ users, listen }) {
  const socket = createSocket('udp4')
  socket.bind(users, '127.0.0.1')
  await once(socket, 'listening')
  const answer = once(socket, 'message')
  socket.send(registerText(0, users), listen, '127.0.0.1')
  const [bytes] = await answer
  await new Promise((done) => socket.close(() => done(undefined)))
  const [, nonce] = /nonce="([^"]*)"/.exec(String(bytes)) ?? []
  if (nonce === undefined) throw new Error(`no challenge: ${String(bytes)}`)
  return nonce
}

/** The pool of those who do not exist. @param {string} path @param {import('../bench/users/rig.mjs').Ports} ports */
async function writeUnknown(path, ports) {
  const nonce = await nonceOf(ports)
  const messages = Array.from({ length: NAMES }, (_, i) => {
    const name = `nobody${i}`
    const response = i.toString(16).padStart(32, '0')
    const values = `username="${name}", realm="${REALM}", nonce="${nonce}", uri="sip:${REALM}", response="${response}"`
    const line = `Authorization: Digest ${values}, algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f113b"`
    return registerText(i, ports.users, name, [line])
  })
  writePool(path, messages)
}

/** What the edge counts of users, and what it holds. @param {string} url */
async function observe(url) {
  const series = await scrape(url)
  /** @param {string} label */
  const judged = (label) => sum(series, 'xkeys_digest_authentications_total', label)
  return {
    unknown: judged('reason="user-unknown"'),
    unavailable: judged('reason="store-unavailable"'),
    accepted: judged('outcome="accepted"'),
    pendingOverflows: sum(series, 'xkeys_digest_pending_overflows_total'),
    overload: sum(series, 'xkeys_dropped_total', 'reason="users-overload"'),
    kernelDrops: sum(series, 'xkeys_udp_receive_drops_total'),
    queue: sum(series, 'xkeys_digest_backend_queue_depth'),
    pending: sum(series, 'xkeys_digest_pending'),
  }
}

const folder = mkdtempSync(join(tmpdir(), 'xkeys-soak-'))
const database = await startDatabase('mysql', join(folder, 'database'), OTHER_CORE)
const ports = await allPorts()
await fillAccounts(database, 1000)
// More names than are remembered: each must be asked for.
writeEdge(folder, ports, database.url, `queue = ${QUEUE}\n`)
const edge = await startEdge(folder, ports)
try {
  const program = buildLoad(folder)
  const [trunkPool, unknownPool] = [join(folder, 'trunk.bin'), join(folder, 'unknown.bin')]
  writePool(
    trunkPool,
    Array.from({ length: 2000 }, (_, i) => trunkText(i, ports.trunk)),
  )
  /** @param {number} seconds */
  const trunk = (seconds) => {
    const to = ['-m', 'pace', '-p', trunkPool, '-t', ports.listen, '-l', ports.trunk, '-s', ports.upstream]
    return load(program, ...to, '-R', TRUNK, '-n', TRUNK * seconds)
  }
  /** @param {number} seconds */
  const unknown = (seconds) => {
    const to = ['-m', 'pace', '-p', unknownPool, '-t', ports.listen, '-l', ports.users]
    return load(program, ...to, '-R', UNKNOWN, '-n', UNKNOWN * seconds)
  }
  await writeUnknown(unknownPool, ports)
  // What V8 compiles.
  await Promise.all([trunk(5), unknown(5)])
  await sleep(3000)
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    await writeUnknown(unknownPool, ports)
    const quiet = await trunk(SECONDS)
    const before = await observe(edge.url)
    const most = { queue: 0, pending: 0, rss: 0 }
    const load = Promise.all([trunk(SECONDS), unknown(SECONDS)])
    const state = { isOver: false }
    const over = load.finally(() => (state.isOver = true))
    while (!state.isOver) {
      const { queue, pending } = await observe(edge.url)
      most.queue = Math.max(most.queue, queue)
      most.pending = Math.max(most.pending, pending)
      most.rss = Math.max(most.rss, Math.round(usage(edge.pid).rss))
      await Promise.race([sleep(250), over])
    }
    const [flooded, attack] = await over
    await sleep(3000)
    const after = await observe(edge.url)
    const count = Object.fromEntries(
      Object.entries(after).map(([name, value]) => [
        name,
        value - (before[/** @type {keyof typeof before} */ (name)] ?? 0),
      ]),
    )
    rounds.push({ quiet, flooded, attack, most, count })
    process.stderr.write(
      `round ${round + 1}: trunk p99 ${quiet.p99_us} → ${flooded.p99_us} µs, lost ${flooded.sent - flooded.sink} of ${flooded.sent}; ` +
        `${attack.msg_per_s} unknown/s: ${JSON.stringify(count)}; at most ${JSON.stringify(most)}\n`,
    )
    must(most.queue <= QUEUE, `${most.queue} wait for the database, ${QUEUE} may`)
    must(most.rss <= MOST_RSS, `${most.rss} MiB of memory`)
    must(count['accepted'] === 0, `${count['accepted']} who do not exist were accepted`)
    must((count['unknown'] ?? 0) > 0, 'the database was asked for nobody')
    must(after.queue === 0 && after.pending === 0, 'something still waits')
    must(quiet.sent === quiet.sink, 'the trunk loses messages without a flood')
    const missing = flooded.sent - flooded.sink
    must(missing <= (count['kernelDrops'] ?? 0), `${missing} messages of the trunk are missing`)
    must(missing <= flooded.sent * MOST_LOST, `the trunk lost ${missing} of ${flooded.sent} messages`)
  }
  const ratio = median(rounds.map(({ quiet, flooded }) => flooded.p99_us / quiet.p99_us))
  const lost = rounds.reduce((all, { flooded }) => all + flooded.sent - flooded.sink, 0)
  const result = {
    question: 'users-unknown',
    ...provenance(),
    unknown: UNKNOWN,
    trunk: TRUNK,
    seconds: SECONDS,
    soak: rounds,
  }
  if (process.env['BENCH_KEEP'] !== 'no') {
    mkdirSync(join(here, '../bench/results/soak'), { recursive: true })
    writeFileSync(join(here, '../bench/results/soak/users-unknown.json'), `${JSON.stringify(result)}\n`)
  }
  process.stdout.write(
    `${UNKNOWN} unknown users a second beside ${TRUNK} messages a second of a trunk: p99 of the trunk × ${ratio.toFixed(2)}, ` +
      `${lost} of its ${ROUNDS * SECONDS * TRUNK} messages dropped by the kernel; at most ` +
      `${Math.max(...rounds.map(({ most }) => most.queue))} look-ups of ${QUEUE} waited, ${Math.max(...rounds.map(({ most }) => most.rss))} MiB\n`,
  )
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${edge.output()}`)
  process.exitCode = 1
} finally {
  await Promise.all([edge.stop(), database.stop()])
  rmSync(folder, { recursive: true })
}
