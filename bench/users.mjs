// @ts-check
/**
 * `npm run bench:users`: what a user costs beside a trunk. Our edge and the installed Kamailio (auth_db, nonce counts) in
 * turn, on one MariaDB and one core each, behind the same sender, before the same upstream that answers 200. CPU time of the
 * server for each request that is accepted, all its messages together: a digest REGISTER and INVITE (asked, answered,
 * forwarded, answered back; the INVITE with its ACK), an INVITE of a trunk with a token (forwarded, answered back).
 *
 * BENCH_ROUNDS, BENCH_REQUESTS change the length, BENCH_ENGINE=postgres the database. BENCH_KEEP=no keeps no result.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { provenance } from './provenance.mjs'
import { median, quantile, ratios } from './statistics.mjs'
import { fillAccounts, PASSWORD, REALM, startDatabase, userName } from './users/database.mjs'
import {
  allPorts,
  buildLoad,
  callText,
  cpuSeconds,
  load,
  OTHER_CORE,
  registerText,
  run,
  SECRET,
  SERVER_CORE,
  startEdge,
  trunkText,
  writeEdge,
  writePool,
} from './users/rig.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const REQUESTS = Number(process.env['BENCH_REQUESTS'] ?? 20_000)
const ENGINE = process.env['BENCH_ENGINE'] === 'postgres' ? 'postgres' : 'mysql'
const POOL = 2000
const folder = mkdtempSync(join(tmpdir(), 'xkeys-bench-'))
const program = buildLoad(folder)
let runs = 0

/** @typedef {{ cpu_us: number, per_s: number }} Cost */
/** @typedef {'register' | 'invite' | 'trunk'} Kind */

/** Sends one kind of request until it is done. @param {number} pid @param {import('./users/rig.mjs').Ports} ports @param {Kind} kind @returns {Promise<Cost>} */
async function cost(pid, ports, kind) {
  const pool = join(folder, `${kind}.bin`)
  const from = kind === 'trunk' ? ports.trunk : ports.users
  const text = { register: registerText, invite: callText, trunk: trunkText }[kind]
  writePool(
    pool,
    Array.from({ length: POOL }, (_, i) => text(i, from)),
  )
  const words = ['-p', pool, '-t', ports.listen, '-l', from, '-w', 32]
  if (kind === 'trunk') words.push('-m', 'reply')
  else words.push('-m', 'digest', '-u', userName(0), '-r', REALM, '-c', PASSWORD)
  if (kind === 'invite') words.push('-a')
  // What V8 compiles, and connections to the database.
  await load(program, ...words, '-n', Math.max(2000, REQUESTS / 2))
  const before = cpuSeconds(pid)
  const { ok2xx, retrans, per_s } = await load(program, ...words, '-n', REQUESTS)
  if (ok2xx !== REQUESTS) throw new Error(`${REQUESTS - ok2xx} of ${REQUESTS} (${kind}) were not accepted`)
  // Some are sent again on a machine that stalls; many are another measurement.
  if (retrans > REQUESTS / 100) throw new Error(`${retrans} of ${REQUESTS} (${kind}) had to be sent again`)
  return { cpu_us: ((cpuSeconds(pid) - before) / REQUESTS) * 1e6, per_s }
}

/** Of Kamailio, the one UDP receiver. @param {number} pid */
function workerOf(pid) {
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  return Math.min(...children.trim().split(/\s+/).map(Number))
}

/** @param {string} url @param {Kind[]} kinds */
async function kamailio(url, kinds) {
  const ports = await allPorts()
  const place = join(folder, `run-${runs++}`)
  mkdirSync(place)
  let config = readFileSync(join(here, 'users/kamailio.cfg'), 'utf8')
  const driver = ENGINE === 'mysql' ? 'db_mysql' : 'db_postgres'
  const words = {
    LISTEN: ports.listen,
    SINK: ports.upstream,
    TRUNK: ports.trunk,
    DRIVER: driver,
    URL: url,
    SECRET,
  }
  for (const [name, value] of Object.entries(words)) config = config.replace(name, String(value))
  writeFileSync(join(place, 'kamailio.cfg'), config)
  const options = [
    '-DD',
    '-x',
    'fm',
    '-X',
    'fm',
    '-m',
    '64',
    '-M',
    '8',
    '-P',
    join(place, 'pid'),
    '-Y',
    place,
  ]
  const server = run([...SERVER_CORE, 'kamailio', '-f', join(place, 'kamailio.cfg'), ...options])
  const upstream = run([
    ...OTHER_CORE,
    process.execPath,
    join(here, 'users/answer.mjs'),
    String(ports.upstream),
  ])
  try {
    await sleep(1500)
    return await costs(workerOf(server.pid), ports, kinds)
  } catch (error) {
    process.stderr.write(server.output())
    throw error
  } finally {
    await Promise.all([server.stop(), upstream.stop()])
  }
}

/** @param {string} url @param {Kind[]} kinds @param {string} credentials */
async function ours(url, kinds, credentials = '') {
  const ports = await allPorts()
  const place = join(folder, `run-${runs++}`)
  mkdirSync(place)
  // What is measured is what one costs, not how many are let in.
  writeEdge(place, ports, url, credentials, 'requests_per_second = 1000000')
  const server = await startEdge(place, ports)
  const upstream = run([
    ...OTHER_CORE,
    process.execPath,
    join(here, 'users/answer.mjs'),
    String(ports.upstream),
  ])
  try {
    await sleep(500)
    return await costs(server.pid, ports, kinds)
  } catch (error) {
    process.stderr.write(server.output())
    throw error
  } finally {
    await Promise.all([server.stop(), upstream.stop()])
  }
}

/** @param {number} pid @param {import('./users/rig.mjs').Ports} ports @param {Kind[]} kinds */
async function costs(pid, ports, kinds) {
  /** @type {Partial<Record<Kind, Cost>>} */
  const found = {}
  for (const kind of kinds) found[kind] = await cost(pid, ports, kind)
  return found
}

/** @param {Record<string, Cost | undefined>} of */
const told = (of) =>
  Object.entries(of)
    .map(([kind, figures]) => `${kind} ${figures?.cpu_us.toFixed(1)}`)
    .join(', ')

/** @param {any} round */
const trunk = (round) => round.cached.trunk.cpu_us

const database = await startDatabase(ENGINE, join(folder, 'database'), OTHER_CORE)
const rounds = []
try {
  await fillAccounts(database, 1000)
  for (let round = 0; round < ROUNDS; round++) {
    const asked = await ours(database.url, ['register', 'invite'], 'cache_found = 0\n')
    const theirs = await kamailio(database.url, ['register', 'invite', 'trunk'])
    const cached = await ours(database.url, ['register', 'invite', 'trunk'])
    rounds.push({ asked, theirs, cached })
    process.stderr.write(
      `round ${round + 1}, µs: ours ${told(asked)}; cached ${told(cached)}; Kamailio ${told(theirs)}\n`,
    )
  }
  const result = { question: 'users', ...provenance(), engine: ENGINE, requests: REQUESTS, users: rounds }
  if (process.env['BENCH_KEEP'] !== 'no')
    writeFileSync(join(here, 'results/users.json'), `${JSON.stringify(result)}\n`)
  /** @param {(round: any) => number} a @param {(round: any) => number} b */
  const ratio = (a, b) => {
    const all = ratios(rounds.map(a), rounds.map(b))
    return `${median(all).toFixed(2)} (${quantile(all, 0).toFixed(2)}–${quantile(all, 1).toFixed(2)})`
  }
  process.stdout.write(
    [
      `CPU of our edge, median and range of ${ROUNDS} rounds:`,
      `a digest REGISTER, of Kamailio's: ${ratio(
        (round) => round.asked.register.cpu_us,
        (round) => round.theirs.register.cpu_us,
      )}, accounts remembered ${ratio(
        (round) => round.cached.register.cpu_us,
        (round) => round.theirs.register.cpu_us,
      )}`,
      `a digest INVITE, of an INVITE with a token: ${ratio((round) => round.asked.invite.cpu_us, trunk)}, accounts remembered ${ratio((round) => round.cached.invite.cpu_us, trunk)}; Kamailio's ${ratio((round) => round.theirs.invite.cpu_us, trunk)}`,
      '',
    ].join('\n'),
  )
} finally {
  await database.stop()
  rmSync(folder, { recursive: true })
}
