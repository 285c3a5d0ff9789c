// @ts-check
/**
 * Loaded before a command (`node --import`): counts its calls into the file system and kills the process at one of them,
 * as `kill -9` would. `KILL_AT` is the call, from 1; a call that writes is cut off in the middle. Without it the count
 * goes to standard error at the end.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const CALLS = /** @type {const} */ ([
  'openSync',
  'closeSync',
  'readFileSync',
  'readSync',
  'readdirSync',
  'realpathSync',
  'statSync',
  'fstatSync',
  'writeFileSync',
  'writeSync',
  'fchmodSync',
  'fsyncSync',
  'linkSync',
  'renameSync',
  'unlinkSync',
])
const WRITES = new Set(['writeFileSync', 'writeSync'])
const at = Number(process.env['KILL_AT'] ?? 0)
let count = 0
let isInside = false

for (const name of CALLS) {
  const real = /** @type {(...args: any[]) => unknown} */ (fs[name])
  const counted = (/** @type {any[]} */ ...args) => {
    // Calls that these functions make of each other are one.
    if (isInside || !concerns(args)) return real(...args)
    count++
    isInside = true
    try {
      if (count === at) {
        if (WRITES.has(name)) real(args[0], half(args[1]), ...args.slice(2))
        process.kill(process.pid, 'SIGKILL')
      }
      return real(...args)
    } finally {
      isInside = false
    }
  }
  Object.assign(fs, { [name]: Object.assign(counted, real) })
}
syncBuiltinESMExports()
if (at === 0) process.on('exit', () => process.stderr.write(`${count} calls\n`))

/** Whether it is about files of the keyring: paths that name it, and what was opened. @param {readonly unknown[]} args */
function concerns([target]) {
  return typeof target === 'number' ? target > 2 : String(target).includes(String(process.env['KILL_IN']))
}

/** @param {unknown} data */
function half(data) {
  return typeof data === 'string' || Buffer.isBuffer(data) ? data.slice(0, data.length >> 1) : data
}
