import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { takeLock } from '../../src/stores/lock-file.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'

const STORES = new URL('../../dist/stores/', import.meta.url).href

interface Holder {
  readonly id: string
  readonly [field: string]: unknown
}

function place() {
  const folder = folderWith({ 'n.txt': '0' })
  const [path, lock] = [join(folder, 'n.txt'), join(folder, 'n.txt.lock')]
  return {
    path,
    lock,
    names: () => readdirSync(folder).toSorted(),
    take: (waitMs = 0) => takeLock(lock, path, waitMs),
    /** What this process would write there. */
    holder: (): Holder => {
      const release = takeLock(lock, path, 0)
      const holder = JSON.parse(readFileSync(lock, 'utf8')) as Holder
      release()
      return holder
    },
    leave: (holder: unknown): void =>
      writeFileSync(lock, typeof holder === 'string' ? holder : JSON.stringify(holder)),
  }
}

/** A process that runs a script with the built stores, and may be killed. */
function runScript(script: string, args: readonly string[]) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** The number of a process that ran and is gone. */
async function goneProcess(): Promise<number> {
  const child = runScript('', [])
  await once(child, 'close')
  return child.pid!
}

describe('a lock', () => {
  it('is had by one at a time, and given back without a trace', () => {
    const { take, names } = place()
    const release = take()
    expect(errorOf(() => take()).code).toBe('ERR_FILE_LOCKED')
    release()
    take()()
    expect(names()).toEqual(['n.txt'])
  })

  it('says who has it, where, and since when', () => {
    const { take, path } = place()
    const release = take()
    expect(errorOf(() => take()).message).toMatch(
      new RegExp(
        `^${path}: it is being changed by process ${process.pid} on ${hostname()} since \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$`,
      ),
    )
    release()
  })

  it('is waited for', async () => {
    const { path, lock, take, names } = place()
    const script = `
      import { takeLock } from '${STORES}lock-file.js'
      const [lock, path] = process.argv.slice(1)
      const release = takeLock(lock, path, 0)
      console.log('has it')
      setTimeout(release, 100)`
    const child = runScript(script, [lock, path])
    await once(child.stdout, 'data')
    expect(errorOf(() => take()).message).toContain(`process ${child.pid} on `)
    // Longer than any machine takes; it ends when the other one gives it back.
    take(15_000)()
    expect(names()).toEqual(['n.txt'])
  })

  it('is not given back by one who does not have it any more', () => {
    const { take, leave, holder, names } = place()
    const another = { ...holder(), id: 'a'.repeat(16) }
    const release = take()
    leave(another)
    release()
    expect(names()).toEqual(['n.txt', 'n.txt.lock'])
  })
})

describe('a lock that was left behind', () => {
  it.each([
    ['by a process that is gone', async (holder: Holder) => ({ ...holder, pid: await goneProcess() })],
    ['by one whose number another process has now', async (holder: Holder) => ({ ...holder, started: '1' })],
    ['before the machine was started', async (holder: Holder) => ({ ...holder, boot: 'another' })],
  ])('%s is taken over', async (_, change) => {
    const { take, leave, holder, names } = place()
    leave(await change(holder()))
    take()()
    expect(names()).toEqual(['n.txt'])
  })

  it('is taken over though another one was killed in the middle of that', async () => {
    const { take, leave, holder, lock, names } = place()
    const pid = await goneProcess()
    leave({ ...holder(), pid, id: 'a'.repeat(16) })
    writeFileSync(`${lock}.${'a'.repeat(16)}`, JSON.stringify({ ...holder(), pid, id: 'b'.repeat(16) }))
    leave({ ...holder(), pid, id: 'a'.repeat(16) })
    take()()
    expect(names()).toEqual(['n.txt'])
  })

  it('is not taken over from a process of which nothing more can be known than that it runs', () => {
    const { take, leave, holder } = place()
    leave({ ...holder(), started: undefined })
    expect(errorOf(() => take()).message).toContain(`process ${process.pid} on `)
  })

  it.each([
    ['on another machine', (holder: Holder): unknown => ({ ...holder, host: 'elsewhere', pid: 1 })],
    ['in another container', (holder: Holder): unknown => ({ ...holder, space: 'pid:[1]', pid: 1 })],
    ['by something else', (): unknown => ''],
    ['by something else', (): unknown => '{"pid":1}'],
  ])('%s is not: nobody here can know', (_, change) => {
    const { take, leave, holder, names, lock } = place()
    leave(change(holder()))
    const { message } = errorOf(() => take())
    expect(message).toContain(`remove ${message.includes('that file') ? 'that file' : lock} if `)
    expect(names()).toEqual(['n.txt', 'n.txt.lock'])
  })
})

describe('many processes', { timeout: 90_000 }, () => {
  const COUNT = 40
  const script = `
    import { updateFile } from '${STORES}replace-file.js'
    const [path, count] = process.argv.slice(1)
    for (let i = 0; i < Number(count); i++) updateFile(path, (text) => String(Number(text) + 1), { waitMs: 60_000 })`

  it('lose no update of each other', async () => {
    const { path, names } = place()
    const children = Array.from({ length: 5 }, () => runScript(script, [path, String(COUNT)]))
    const ends = await Promise.all(children.map((child) => once(child, 'close')))
    expect(ends).toEqual(children.map(() => [0, null]))
    expect(readFileSync(path, 'utf8')).toBe(String(5 * COUNT))
    expect(names()).toEqual(['n.txt'])
  })

  it('find the lock of a dead one at once, and no two take it over', async () => {
    const { path, leave, holder, names } = place()
    leave({ ...holder(), pid: await goneProcess() })
    const children = Array.from({ length: 5 }, () => runScript(script, [path, String(COUNT)]))
    await Promise.all(children.map((child) => once(child, 'close')))
    expect(readFileSync(path, 'utf8')).toBe(String(5 * COUNT))
    expect(names()).toEqual(['n.txt'])
  })

  it('go on where one of them is killed', async () => {
    const { path, names } = place()
    const victims = Array.from({ length: 3 }, () => runScript(script, [path, '1000000']))
    const worker = runScript(script, [path, String(COUNT)])
    for (const victim of victims) {
      const before = readFileSync(path, 'utf8')
      while (readFileSync(path, 'utf8') === before) await new Promise((resolve) => setImmediate(resolve))
      victim.kill('SIGKILL')
    }
    expect(await once(worker, 'close')).toEqual([0, null])
    const last = runScript(script, [path, '1'])
    expect(await once(last, 'close')).toEqual([0, null])
    expect(readFileSync(path, 'utf8')).toMatch(/^\d+$/)
    expect(names()).toEqual(['n.txt'])
  })
})
