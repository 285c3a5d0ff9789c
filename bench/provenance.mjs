// @ts-check
/** Where a result comes from: commit, time and machine, kept with every raw result. */
import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))

/** @param {string[]} words */
function git(...words) {
  return execFileSync('git', words, { cwd: here, encoding: 'utf8' }).trim()
}

/** `commit` ends in `+changes` where the sources differ from it. */
export function provenance() {
  return {
    commit:
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--', '../src') === '' ? '' : '+changes'),
    date: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
      node: process.version,
      openssl: process.versions.openssl,
    },
  }
}
