// @ts-check
/**
 * Key operations for a soak: keyrings to work on, operations and what they should make of one, and ways to kill them.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createKek, kekSourceOf } from '../dist/keyring/seal.js'
import { loadKeyringFile } from '../dist/stores/keyring-file.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const main = join(here, '../dist/cli/main.js')
const points = join(here, 'kill-points.mjs')
const kekText = 'ab'.repeat(32)
const kek = kekSourceOf(createKek(Buffer.from(kekText, 'hex')))

/** Where the keyrings are. */
export const folder = mkdtempSync(join(tmpdir(), 'xkeys-soak-'))

/** @typedef {{ path: string, config: string, folder: string, kind: 'plain' | 'sealed', env: Record<string, string> }} Place */
/** @typedef {{ name: string, fingerprint: string, state: string, expires?: string, revoked?: string }} Row */

export const GROUP = ['--group', 'gw']
const CONFIG = `keyring = "k.toml"
state = "state"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[agreements.main]
header = "X-Auth"
group = "gw"
algorithm = "hmac-sha256"
request = "$ru"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`

/** @param {'plain' | 'sealed'} kind @returns {Place} */
export function place(kind) {
  const path = join(folder, kind, 'k.toml')
  mkdirSync(join(folder, kind))
  writeFileSync(path, '# The keys of this soak.\n', { mode: 0o600 })
  writeFileSync(join(folder, kind, 'edge.toml'), CONFIG)
  const env = kind === 'sealed' ? { XKEYS_KEK: 'env:KEK', KEK: kekText } : {}
  /** @type {Place} */
  const made = { path, config: join(folder, kind, 'edge.toml'), folder: join(folder, kind), kind, env }
  for (const name of ['first', 'second'])
    run(made, ['key', 'add', ...GROUP, '--name', name, '--active-from', 'now'])
  if (kind === 'sealed') run(made, ['seal', '--name', 'soak'])
  return made
}

/** How long a command takes, by the last one. */
let usualMs = 500

/** The command to its end, which must be a good one. @param {Place} at @param {readonly string[]} words */
export function run(at, words) {
  const begin = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words, '--config', at.config], {
    env: at.env,
    encoding: 'utf8',
  })
  usualMs = performance.now() - begin
  if (status !== 0 || stderr !== '') throw new Error(`${words.join(' ')}: exit ${status}: ${stderr}`)
  return stdout
}

/** What a reader finds. @param {Place} at @returns {readonly Row[]} */
export function rowsOf(at) {
  const now = new Date()
  const ring = loadKeyringFile(at.path, { env: {}, now, ...(at.kind === 'sealed' && { kek }) })
  return ring.list(now).map((row) => {
    const { expires, revoked } = ring.keys('gw').find(({ name }) => name === row.name) ?? {}
    return {
      ...row,
      ...(expires && { expires: expires.toISOString() }),
      ...(revoked && { revoked: revoked.toISOString() }),
    }
  })
}

export const isEnded = (/** @type {Row} */ { state }) => state === 'revoked' || state === 'expired'
export const tell = (/** @type {readonly Row[]} */ rows) =>
  rows
    .map(
      (row) => `${row.name} ${row.fingerprint}${row.expires ? ' ends' : ''}${row.revoked ? ' revoked' : ''}`,
    )
    .join('\n')
const pick = (/** @type {number} */ below) => Math.floor(Math.random() * below)

/**
 * An operation, and whether rows are what it should make of others.
 * @param {readonly Row[]} rows @param {number} round
 */
export function chooseOperation(rows, round) {
  const usable = rows.filter((row) => !isEnded(row))
  const ended = rows.filter(isEnded)
  if (ended.length > 1 && pick(3) === 0) {
    const left = usable.length > 0 ? usable : ended.slice(-1)
    return {
      words: ['key', 'prune'],
      isDone: (/** @type {readonly Row[]} */ after) => tell(after) === tell(left),
    }
  }
  if (usable.length > 4 || (usable.length > 1 && pick(3) === 0)) {
    const victim = usable[0]?.name ?? ''
    const meant = rows.map((row) => (row.name === victim ? { ...row, revoked: 'now' } : row))
    return {
      words: ['key', 'revoke', victim, ...GROUP],
      isDone: (/** @type {readonly Row[]} */ after) => tell(after) === tell(meant),
    }
  }
  const old = rows.find(({ state, expires }) => state === 'overlapping' && expires === undefined)
  if (old !== undefined && pick(3) === 0) {
    const meant = rows.map((row) => (row === old ? { ...row, expires: 'later' } : row))
    return {
      // Nobody has used any of these keys, and no node has reported.
      words: ['key', 'retire', old.name, ...GROUP, '--in', '7d', '--force'],
      isDone: (/** @type {readonly Row[]} */ after) => tell(after) === tell(meant),
    }
  }
  const name = `key-${round}`
  return {
    words: ['key', 'add', ...GROUP, '--name', name, '--active-from', 'now'],
    isDone: (/** @type {readonly Row[]} */ after) =>
      tell(after.slice(0, -1)) === tell(rows) && after.at(-1)?.name === name,
  }
}

/** @type {Map<string, number>} */
const counts = new Map()

/** How many calls such an operation makes; found on a copy. @param {Place} at @param {readonly string[]} words */
function countCalls(at, words) {
  const kind = `${at.kind} ${words[1]}`
  const known = counts.get(kind)
  if (known !== undefined) return known
  const copy = join(folder, 'copy')
  rmSync(copy, { recursive: true, force: true })
  execFileSync('cp', ['-a', at.folder, copy])
  const { stderr } = spawnSync(
    process.execPath,
    ['--import', points, main, ...words, '--config', join(copy, 'edge.toml')],
    { env: { ...at.env, KILL_IN: 'k.toml' }, encoding: 'utf8' },
  )
  const count = Number(/^(\d+) calls$/m.exec(stderr)?.[1])
  must(count > 20, `${words.join(' ')} makes ${count} calls: ${stderr}`)
  counts.set(kind, count)
  return count
}

/**
 * Runs an operation and kills it.
 * @param {Place} at @param {readonly string[]} words @param {'call' | 'locked' | 'life'} how
 */
export async function kill(at, words, how) {
  const args = [main, ...words, '--config', at.config]
  if (how === 'call') {
    const calls = countCalls(at, words)
    const point = 1 + pick(calls)
    const child = spawn(process.execPath, ['--import', points, ...args], {
      env: { ...at.env, KILL_IN: 'k.toml', KILL_AT: String(point) },
      stdio: 'ignore',
    })
    const [exit, signal] = await once(child, 'close')
    return { exit, signal, point, of: calls }
  }
  const child = spawn(process.execPath, args, { env: at.env, stdio: 'ignore' })
  const closed = once(child, 'close')
  if (how === 'locked') {
    while (!existsSync(`${at.path}.lock`) && child.exitCode === null)
      await new Promise((resolve) => setImmediate(resolve))
  }
  // From the lock to the end it is some milliseconds, most of them for reading the keyring and for the disk.
  const microseconds = pick(how === 'locked' ? 60_000 : Math.ceil(usualMs * 1000))
  const end = process.hrtime.bigint() + BigInt(microseconds) * 1000n
  while (process.hrtime.bigint() < end && child.exitCode === null)
    await new Promise((resolve) => setImmediate(resolve))
  child.kill('SIGKILL')
  const [exit, signal] = await closed
  return { exit, signal, microseconds }
}

/** Lines of the audit; those that were cut off are counted. @param {Place} at */
export function auditOf(at) {
  const path = `${at.path}.audit`
  let torn = 0
  /** @type {any[]} */
  const lines = (existsSync(path) ? readFileSync(path, 'utf8') : '').split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line)]
    } catch {
      torn++
      return []
    }
  })
  return { lines, torn }
}

/** @param {boolean} isRight @param {string} what */
export function must(isRight, what) {
  if (!isRight) throw new Error(what)
}
