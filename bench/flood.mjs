// @ts-check
/**
 * `npm run soak:flood`: an edge under junk. 500 signed calls a second run through it, beside 50,000 datagrams a second of
 * random bytes, malformed messages, messages without a token and with a wrong one, half of them from the trunk's own
 * address. The edge has one core and the sender the other. Every message of the calls is counted at both ends: what is
 * missing must be among what the kernel dropped. The edge's memory is sampled.
 *
 * FLOOD_SECONDS, FLOOD_JUNK, FLOOD_CALLS (a second) change the load. FLOOD_PRIORITY=realtime gives both processes their
 * cores before all else on a machine that is not idle (`chrt`, as root). FLOOD_KEEP=no keeps no result.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { coreBusy, kernelDrops, round, scrape, sum, usage } from './flood/observe.mjs'
import { provenance } from './provenance.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const PARAMETERS = {
  seconds: Number(process.env['FLOOD_SECONDS'] ?? 60),
  junkPerSecond: Number(process.env['FLOOD_JUNK'] ?? 50_000),
  callsPerSecond: Number(process.env['FLOOD_CALLS'] ?? 500),
  priority: process.env['FLOOD_PRIORITY'] === 'realtime' ? 'realtime' : 'normal',
}
/** How long the edge is cold, seconds. */
const WARM = 5.5
/** Most that the edge may ever take, MiB. */
const MOST_RSS = 256
const SECRET = 'flood-shared-secret-0000-Zm9vYmFyYmF6'
const PARTIES = {
  peer: '127.0.0.2',
  edgeTrunk: '127.0.0.3',
  edgeUpstream: '127.0.0.4',
  upstream: '127.0.0.5',
}
const folder = mkdtempSync(join(tmpdir(), 'xkeys-flood-'))

/** @param {number} port */
const config = (port) => `keyring = "keyring.toml"
[listen]
trunk = "${PARTIES.edgeTrunk}:${port}"
upstream = "${PARTIES.edgeUpstream}:${port}"
[upstream]
target = "${PARTIES.upstream}:${port}"
[metrics]
listen = "127.0.0.1:0"
[agreements.flood]
header = "X-Auth"
group = "flood"
algorithm = "hmac-sha256"
request = { sender = "$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)", receiver = "$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq)" }
response = { sender = "$Ri:$rs:$fu:$tu:$ci:$hdr(CSeq)", receiver = "$si:$rs:$fu:$tu:$ci:$hdr(CSeq)" }
[trunks.trunk]
sources = ["${PARTIES.peer}"]
target = "${PARTIES.peer}:${port}"
agreement = "flood"
`

/** A port that is free on every address. */
async function freePort() {
  const socket = createSocket('udp4')
  socket.bind(0, '0.0.0.0')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise((done) => socket.close(() => done(undefined)))
  return port
}

/** Runs a program on one core. @param {number} core @param {string[]} command */
function onCore(core, command) {
  const pinned = ['taskset', '-c', String(core), ...command]
  const words = PARAMETERS.priority === 'realtime' ? ['chrt', '-r', '1', ...pinned] : pinned
  return spawn('env', words, { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Starts the edge on one core; its process and where its metrics are. @param {number} port */
async function startEdge(port) {
  writeFileSync(join(folder, 'keyring.toml'), `[[groups.flood.keys]]\nname = "k"\nvalue = "${SECRET}"\n`)
  writeFileSync(join(folder, 'edge.toml'), config(port))
  const cli = join(here, '../dist/cli/main.js')
  const child = onCore(0, [process.execPath, cli, 'run', '--config', join(folder, 'edge.toml')])
  let log = ''
  child.stdout.on('data', (chunk) => {
    // Only the beginning is read; the rest must go somewhere.
    if (log.length < 10_000) log += String(chunk)
  })
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(50)) {
    const line = log.split('\n').find((text) => text.includes('"event":"started"'))
    if (line !== undefined && child.pid !== undefined) {
      const { metrics, receiveBuffer } = JSON.parse(line)
      return {
        child,
        pid: child.pid,
        url: `http://${metrics.address}:${metrics.port}/metrics`,
        receiveBuffer,
      }
    }
  }
  child.kill('SIGKILL')
  throw new Error(`the edge did not start: ${log}`)
}

/** Runs the load beside the edge, and samples. @param {{ pid: number, url: string }} edge @param {number} port */
async function flood({ pid, url }, port) {
  const program = join(folder, 'callsandjunk')
  execFileSync('cc', [
    '-O2',
    '-o',
    program,
    join(here, 'flood/callsandjunk.c'),
    '-lcrypto',
    '-lpthread',
    '-Wno-deprecated-declarations',
  ])
  const { seconds, junkPerSecond, callsPerSecond } = PARAMETERS
  const words = [port, seconds, junkPerSecond, callsPerSecond].map(String)
  const child = onCore(1, [program, ...words, SECRET])
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  const ended = once(child, 'close')
  const start = performance.now()
  const before = usage(pid)
  const samples = []
  let last = { ...before, busy: coreBusy() }
  let drops = kernelDrops(PARTIES, port)
  while (child.exitCode === null) {
    await Promise.race([ended, sleep(1000)])
    if (child.exitCode === null) drops = kernelDrops(PARTIES, port)
    const { rss, cpu } = usage(pid)
    const busy = coreBusy()
    samples.push({
      at: round((performance.now() - start) / 1000),
      rss: round(rss),
      cpu: round(cpu - last.cpu),
      // What else ran on the edge's core meanwhile: on a machine of its own, nothing.
      others: round(Math.max(0, busy - last.busy - (cpu - last.cpu))),
      drops: drops['edgeTrunk'] ?? 0,
    })
    last = { rss, cpu, busy }
  }
  await ended
  if (child.exitCode !== 0) throw new Error('the load failed')
  const series = await scrape(url)
  // The edge's sockets are still open; those of the load are as the last sample found them.
  const { edgeTrunk, edgeUpstream } = kernelDrops(PARTIES, port)
  return {
    load: JSON.parse(output),
    samples,
    before,
    series,
    drops: { ...drops, edgeTrunk, edgeUpstream },
  }
}

/** What became of all that was sent. @param {Awaited<ReturnType<typeof flood>>} run */
function account({ load, samples, before, series, drops }) {
  const junk = Object.values(load.junk).reduce((all, { peer, unknown }) => all + peer + unknown, 0)
  const missing = total(load.sent) - total(load.received)
  const unknown = sum(series, 'xkeys_dropped_total', 'reason="source-unknown"')
  const seen = {
    parseErrors: sum(series, 'xkeys_sip_parse_errors_total'),
    sourceUnknown: unknown,
    droppedElse: sum(series, 'xkeys_dropped_total') - unknown,
    rejections: sum(series, 'xkeys_rejections_total'),
  }
  const rss = samples.map((sample) => sample.rss)
  const during = samples.filter(({ at }) => at < PARAMETERS.seconds + 0.5)
  return {
    calls: { ...load.calls, setupMilliseconds: load.setupMilliseconds },
    callMessages: { sent: total(load.sent), missing, badToken: load.badToken },
    junk: {
      sent: junk,
      perSecond: Math.round(junk / load.junkSeconds),
      ...seen,
      // 100 and the responses to a CANCEL need no token.
      passed: load.unexpected,
      passable: sum(series, 'xkeys_verifications_total', 'direction="response",outcome="skipped"'),
      suppressedRefusals: sum(series, 'xkeys_refusals_suppressed_total'),
      // Of all that was sent: what neither arrived nor was counted by the edge or the kernel.
      unaccounted: junk + missing - total(seen) - load.unexpected - total(drops),
    },
    kernelDrops: {
      ...drops,
      total: total(drops),
      // Until V8 has compiled what is hot.
      firstSeconds: samples.findLast(({ at }) => at < WARM)?.drops ?? 0,
      metric: sum(series, 'xkeys_udp_receive_drops_total'),
    },
    rssMiB: {
      start: round(before.rss),
      peak: Math.max(...rss),
      end: rss.at(-1),
      quarters: [0, 1, 2, 3].map((nth) => {
        const quarter = during.slice(
          Math.floor((during.length * nth) / 4),
          Math.floor((during.length * (nth + 1)) / 4),
        )
        return round(quarter.reduce((all, sample) => all + sample.rss, 0) / quarter.length)
      }),
    },
    // Of one core.
    edgeCpu: round(during.reduce((all, { cpu }) => all + cpu, 0) / (during.at(-1)?.at ?? 1)),
    othersOnItsCore: round(during.reduce((all, { others }) => all + others, 0) / (during.at(-1)?.at ?? 1)),
  }
}

/** @param {Record<string, number>} counts */
function total(counts) {
  return Object.values(counts).reduce((all, one) => all + one, 0)
}

/** What must not be. @param {ReturnType<typeof account>} figures */
function faultsOf({ calls, callMessages, junk, kernelDrops: lost, rssMiB }) {
  return [
    // Where the kernel drops much, a call may use up all its retransmissions.
    calls.failed > 0 && lost.total === 0 && `${calls.failed} calls failed`,
    callMessages.missing > lost.total &&
      `${callMessages.missing} messages of calls are missing, the kernel dropped ${lost.total}`,
    callMessages.badToken > 0 && `${callMessages.badToken} responses without a right token`,
    junk.passed > junk.passable && `${junk.passed} junk messages passed, ${junk.passable} may`,
    junk.unaccounted !== 0 && `${junk.unaccounted} datagrams are unaccounted for`,
    lost.metric !== lost.edgeTrunk + lost.edgeUpstream && 'the metric of kernel drops is not what /proc says',
    rssMiB.peak > MOST_RSS && `${rssMiB.peak} MiB of memory`,
  ].filter((fault) => fault !== false)
}

try {
  const port = await freePort()
  const edge = await startEdge(port)
  try {
    const run = await flood(edge, port)
    const figures = account(run)
    const faults = faultsOf(figures)
    const result = {
      question: 'flood',
      ...provenance(),
      parameters: { ...PARAMETERS, receiveBuffer: edge.receiveBuffer },
      figures,
      faults,
      load: run.load,
      samples: run.samples,
    }
    if (process.env['FLOOD_KEEP'] !== 'no')
      writeFileSync(join(here, 'results/flood.json'), `${JSON.stringify(result)}\n`)
    process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`)
    process.stdout.write(faults.length === 0 ? 'passed\n' : `FAILED: ${faults.join('; ')}\n`)
    process.exitCode = faults.length === 0 ? 0 : 1
  } finally {
    edge.child.kill('SIGTERM')
    await Promise.race([once(edge.child, 'exit'), sleep(7000)])
    edge.child.kill('SIGKILL')
  }
} finally {
  rmSync(folder, { recursive: true })
}
