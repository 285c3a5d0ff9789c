// @ts-check
/**
 * `npm run soak:kill-keys`: `kill -9` in the middle of key operations, KILLS times, on a plain and a sealed keyring in
 * turn. A third are killed at a random call into the file system, writes in the middle of their bytes; a third at a
 * random time after the lock was taken; a third at a random time of the command's life. After each kill the file must
 * hold the old keys or the new, whole; readers must read it; the next command must end with 0 and leave nothing behind;
 * and the audit must have a true end for every beginning. The first fault ends the soak, and no result is kept.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { provenance } from '../bench/provenance.mjs'
import {
  auditOf,
  chooseOperation,
  folder,
  GROUP,
  isEnded,
  kill,
  must,
  place,
  rowsOf,
  run,
  tell,
} from './key-operations.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const KILLS = Number(process.env['SOAK_KILLS'] ?? 200)

/** @param {import('./key-operations.mjs').Place} at @param {number} round @param {'call' | 'locked' | 'life'} how */
async function killOnce(at, round, how) {
  const before = rowsOf(at)
  const operation = chooseOperation(before, round)
  const audited = auditOf(at).lines.length
  const text = readFileSync(at.path, 'utf8')
  const killed = await kill(at, operation.words, how)
  const litter = readdirSync(at.folder).filter(
    (name) => !['edge.toml', 'k.toml', 'k.toml.audit'].includes(name),
  ).length

  must((statSync(at.path).mode & 0o777) === 0o600, 'the mode is not 0600')
  const after = rowsOf(at)
  const isChanged = readFileSync(at.path, 'utf8') !== text
  must(killed.exit === null || (killed.exit === 0 && isChanged), `it ended by itself with ${killed.exit}`)
  if (isChanged) must(operation.isDone(after), `neither old nor new:\n${tell(before)}\n→\n${tell(after)}`)
  else must(tell(after) === tell(before), 'an unchanged file reads otherwise')

  // The next one starts clean.
  const usable = after.filter((row) => !isEnded(row))
  if (after.length - usable.length > 3) run(at, ['key', 'prune'])
  else if (usable.length > 4) run(at, ['key', 'revoke', usable[0]?.name ?? '', ...GROUP])
  else run(at, ['key', 'add', ...GROUP, '--name', `next-${round}`, '--active-from', 'now'])
  const names = readdirSync(at.folder).toSorted().join(' ')
  must(names === 'edge.toml k.toml k.toml.audit', `left behind: ${names}`)

  const { lines } = auditOf(at)
  const begins = lines.filter(({ phase }) => phase === 'begin')
  for (const { operation: id, command } of begins) {
    const ends = lines.filter((line) => line.phase === 'end' && line.operation === id)
    must(ends.length === 1, `${command} has ${ends.length} ends in the audit`)
  }
  // The last beginning but one is what was killed, if it came so far; the last is the next command's.
  const own = lines
    .slice(audited)
    .filter(({ phase }) => phase === 'begin')
    .at(-2)
  const outcome = lines.find((line) => line.phase === 'end' && line.operation === own?.operation)?.outcome
  must(!isChanged || outcome === 'done', `changed, and the audit says ${outcome}`)
  must(
    isChanged || outcome === undefined || outcome === 'not done',
    `unchanged, and the audit says ${outcome}`,
  )
  return {
    keyring: at.kind,
    command: operation.words.slice(0, 2).join(' '),
    how,
    ...killed,
    found: isChanged ? 'new' : 'old',
    litter,
  }
}

const kills = []
const started = performance.now()
try {
  const places = [place('plain'), place('sealed')]
  const ways = /** @type {const} */ (['call', 'locked', 'life'])
  for (let round = 0; kills.filter(({ signal }) => signal === 'SIGKILL').length < KILLS; round++) {
    const at = places[round % places.length]
    const how = ways[Math.floor(round / 2) % ways.length]
    if (at === undefined || how === undefined) break
    try {
      kills.push(await killOnce(at, round, how))
    } catch (error) {
      process.stderr.write(`kill ${round + 1} (${at.kind}, ${how}); its files are in ${folder}\n`)
      throw error
    }
    if ((round + 1) % 20 === 0) process.stderr.write(`${round + 1} kills\n`)
  }
  const torn = places.reduce((sum, at) => sum + auditOf(at).torn, 0)
  const result = {
    question: 'kill-keys',
    ...provenance(),
    seconds: Math.round((performance.now() - started) / 1000),
    tornAuditLines: torn,
    kills,
  }
  if (process.env['BENCH_KEEP'] !== 'no') {
    mkdirSync(join(here, '../bench/results/soak'), { recursive: true })
    writeFileSync(join(here, '../bench/results/soak/kill-keys.json'), `${JSON.stringify(result)}\n`)
  }
  const count = (/** @type {(kill: any) => boolean} */ wanted) => kills.filter(wanted).length
  process.stdout.write(
    `${kills.length} operations killed (${count(({ signal }) => signal === null)} of them had ended by then): ${count(({ found }) => found === 'old')} left the old file, ` +
      `${count(({ found }) => found === 'new')} the new; ${count(({ litter }) => litter > 0)} left a lock or a temporary file, which the next command cleared; ` +
      `no torn file, no lost key, every next start clean; ${torn} torn lines of audit, each brought to an end\n`,
  )
  rmSync(folder, { recursive: true })
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
