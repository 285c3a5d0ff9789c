/** Every call into the file system fails in turn, as on a full or a broken disk. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi, onTestFinished } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { auditChange, settleAudit } from '../../src/stores/audit-file.ts'
import { replaceFile, updateFile, withLockedFile } from '../../src/stores/replace-file.ts'

type Call = (...args: readonly unknown[]) => unknown

const disk = vi.hoisted(() => ({
  /** Calls that change or sync something. */
  writes: new Set(
    'openSync writeFileSync writeSync fsyncSync fchmodSync renameSync linkSync closeSync unlinkSync'.split(
      ' ',
    ),
  ),
  calls: 0,
  failAt: Infinity,
  /** Whether writing goes on to fail after that. */
  staysFull: false,
  code: 'ENOSPC',
}))

vi.mock('node:fs', async (original) => {
  const wrap =
    (name: string, call: Call): Call =>
    (...args) => {
      disk.calls++
      const fails =
        disk.calls === disk.failAt || (disk.staysFull && disk.calls > disk.failAt && name.startsWith('write'))
      const failure = Object.assign(new Error(`${disk.code}: ${name}`), { code: disk.code, syscall: name })
      // A close that fails has closed all the same.
      if (fails && name !== 'closeSync') throw failure
      const result = call(...args)
      if (fails) throw failure
      return result
    }
  const real = await original<Record<string, Call>>()
  return Object.fromEntries(
    Object.entries(real).map(([name, value]) => [name, disk.writes.has(name) ? wrap(name, value) : value]),
  )
})

beforeEach(() => Object.assign(disk, { failAt: Infinity, staysFull: false, calls: 0, code: 'ENOSPC' }))

/** How many calls a run makes where none fails. */
function countOf(run: () => void): number {
  disk.calls = 0
  run()
  return disk.calls
}

function failing(at: number, run: () => void): unknown {
  Object.assign(disk, { calls: 0, failAt: at })
  try {
    run()
    return undefined
  } catch (error) {
    return error
  } finally {
    disk.failAt = Infinity
  }
}

function place() {
  const folder = mkdtempSync(join(tmpdir(), 'xkeys-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'k.toml')
  const reset = (): void => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
    writeFileSync(path, OLD)
  }
  reset()
  return { folder, path, reset, text: () => readFileSync(path, 'utf8') }
}

const OLD = 'old text\n'
const NEW = 'new text that is longer\n'

describe('a disk that fails', () => {
  it.each(['ENOSPC', 'EIO', 'EROFS', 'EDQUOT'])(
    '%s at any call leaves the old text or the new, and says so',
    (code) => {
      disk.code = code
      const { folder, path, reset, text } = place()
      const calls = countOf(() => replaceFile(path, NEW))
      expect(calls).toBeGreaterThan(5)
      for (let at = 1; at <= calls; at++) {
        reset()
        const error = failing(at, () => replaceFile(path, NEW))
        expect(error).toBeInstanceOf(ConfigError)
        expect((error as ConfigError).code).toBe('ERR_FILE_UNWRITABLE')
        expect([OLD, NEW]).toContain(text())
        // Whatever says that it was replaced must be true, and the other way round.
        expect((error as ConfigError).message.includes('it was replaced')).toBe(text() === NEW)
        expect(readdirSync(folder)).toEqual(['k.toml'])
      }
    },
  )

  it('at any call of an update leaves a file that the next one can update', () => {
    const { path, reset, text } = place()
    const calls = countOf(() => updateFile(path, () => NEW))
    for (let at = 1; at <= calls; at++) {
      reset()
      failing(at, () => updateFile(path, () => NEW, { waitMs: 0 }))
      expect([OLD, NEW]).toContain(text())
      // The lock that could not be given back is this process's own: it stays while it lives.
      rmSync(`${path}.lock`, { force: true })
      updateFile(path, (before) => `${before}!`, { waitMs: 0 })
      expect([`${OLD}!`, `${NEW}!`]).toContain(text())
      expect(readdirSync(join(path, '..'))).toEqual(['k.toml'])
    }
  })

  it.each(['this call alone', 'every write after it, too'])(
    'never leaves a changed keyring without a line of audit: %s',
    (extent) => {
      disk.staysFull = extent.startsWith('every')
      const { path, reset, text } = place()
      const change = (): void =>
        withLockedFile(path, (file) =>
          auditChange(path, { command: 'key add' }, { before: OLD, after: NEW }, () => file.replace(NEW)),
        )
      const calls = countOf(change)
      for (let at = 1; at <= calls; at++) {
        reset()
        const error = failing(at, change)
        disk.calls = 0
        settleAudit(path, text())
        const audit = auditLines(path)
        const begins = audit.filter(({ phase }) => phase === 'begin')
        const ends = audit.filter(({ phase }) => phase === 'end')
        expect(begins.length).toBeGreaterThanOrEqual(text() === NEW ? 1 : 0)
        // After it is settled every beginning has one end, and the end is true.
        expect(ends.map(({ operation }) => operation)).toEqual(begins.map(({ operation }) => operation))
        for (const { outcome } of ends) expect(outcome).toBe(text() === NEW ? 'done' : 'not done')
        expect([NEW, error === undefined ? NEW : OLD]).toContain(text())
      }
    },
  )
})

function auditLines(path: string): Record<string, unknown>[] {
  try {
    return readFileSync(`${path}.audit`, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  } catch {
    return []
  }
}
