// @ts-check
/**
 * `npm run bench [-- question …]`: every question in several rounds, each in a process of its own; raw results to
 * bench/results, the table to bench/README.md.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { writeTable } from './table.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const QUESTIONS = ['verdict', 'parse', 'sign', 'template']
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)

const asked = process.argv.slice(2)
const questions = asked.length > 0 ? asked : QUESTIONS
if (!existsSync(`${here}compare/node_modules`)) {
  spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: `${here}compare`, stdio: 'inherit' })
}
const git = (/** @type {string[]} */ ...words) =>
  execFileSync('git', words, { cwd: here, encoding: 'utf8' }).trim()
const commit =
  git('rev-parse', '--short', 'HEAD') +
  (git('status', '--porcelain', '--', '../src') === '' ? '' : '+changes')
const machine = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  node: process.version,
  openssl: process.versions.openssl,
}

mkdirSync(`${here}results`, { recursive: true })
for (const question of questions) {
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    const { stdout, status } = spawnSync(process.execPath, [`${here}${question}.mjs`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (status !== 0) throw new Error(`${question} failed`)
    rounds.push(JSON.parse(stdout))
    process.stderr.write(`${question}: round ${round + 1} of ${ROUNDS}\n`)
  }
  writeFileSync(
    `${here}results/${question}.json`,
    `${JSON.stringify({ question, commit, date: new Date().toISOString(), machine, rounds })}\n`,
  )
}
process.stdout.write(writeTable())
