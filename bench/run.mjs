// @ts-check
/**
 * `npm run bench [-- question …]`: every question in several rounds, each in a process of its own; raw results to
 * bench/results, the table to bench/README.md.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { writeTable } from './table.mjs'
import { provenance } from './provenance.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const QUESTIONS = ['verdict', 'parse', 'sign', 'template']
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)

const asked = process.argv.slice(2)
const questions = asked.length > 0 ? asked : QUESTIONS
if (!existsSync(`${here}compare/node_modules`)) {
  spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: `${here}compare`, stdio: 'inherit' })
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
    `${JSON.stringify({ question, ...provenance(), rounds })}\n`,
  )
}
process.stdout.write(writeTable())
