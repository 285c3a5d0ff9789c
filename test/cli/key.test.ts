import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { takeLock } from '../../src/stores/lock-file.ts'
import { KEYS, MANY, place } from '../support/key-place.ts'
import { SECRETS } from '../support/signed-messages.ts'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** A key that ended so many seconds ago; below 0: it ends in as many. */
function keyEnding(name: string, ago: number): string {
  const at = new Date(Math.floor(Date.now() / 1000 - ago) * 1000).toISOString()
  return `[[groups.gw.keys]]\nname = "${name}"\nvalue = "${SECRETS.old}${name}"\nexpires = ${at}\n\n`
}

const remarksIn = (toml: string): readonly string[] => Array.from(toml.matchAll(/# .*/g), ([found]) => found)

describe('writers at the same time', MANY, () => {
  it('all have their keys in the file in the end, and nothing else changed', async () => {
    const { run, keys, text, names, audit } = place()
    const wanted = Array.from({ length: 6 }, (_, i) => `new-${i}`)
    const outcomes = await Promise.all(
      wanted.map((name) => run(`add --keyring k.toml --group gw --name ${name} --active-from now`)),
    )
    expect(outcomes.map(({ stderr, exit }) => [stderr, exit])).toEqual(wanted.map(() => ['', 0]))
    expect(keys().toSorted()).toEqual([...wanted, 'k1', 'old'].toSorted())
    expect(remarksIn(text())).toEqual(remarksIn(KEYS))
    expect(names()).toEqual(['k.toml', 'k.toml.audit'])
    // One after the other: each beginning has its end before the next.
    expect(audit().map(({ phase }) => phase)).toEqual(wanted.flatMap(() => ['begin', 'end']))
  })

  it('find names of their own', async () => {
    const { run, keys } = place()
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => run('add --keyring k.toml --group gw')),
    )
    expect(outcomes.map(({ exit }) => exit)).toEqual([0, 0, 0, 0])
    expect(keys()).toHaveLength(6)
  })

  it('one that cannot wait longer is told who holds the file', async () => {
    const { run, path, text, names } = place()
    const release = takeLock(`${path}.lock`, path, 0)
    const { stderr, exit } = await run('add --keyring k.toml --group gw')
    release()
    expect(stderr).toMatch(
      new RegExp(`^xkeys: k\\.toml: it is being changed by process ${process.pid} on \\S+ since \\S+\n$`),
    )
    expect([exit, text(), names()]).toEqual([78, KEYS, ['k.toml']])
  })
})

describe('what a killed command has left', () => {
  it('is cleared by the next one, and its audit is brought to an end', async () => {
    const { run, path, names, audit } = place()
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'close')
    const release = takeLock(`${path}.lock`, path, 0)
    const holder = JSON.parse(readFileSync(`${path}.lock`, 'utf8')) as object
    release()
    writeFileSync(`${path}.lock`, JSON.stringify({ ...holder, pid: child.pid }))
    writeFileSync(join(path, '..', '.k.toml.77.0123456789ab.tmp'), SECRETS.other)
    const begun = {
      command: 'key revoke',
      phase: 'begin',
      operation: 'a'.repeat(16),
      before: 'x',
      after: 'y',
    }
    writeFileSync(`${path}.audit`, `${JSON.stringify(begun)}\n{"at":"20`)
    expect((await run('add --keyring k.toml --group gw --name new')).exit).toBe(0)
    expect(names()).toEqual(['k.toml', 'k.toml.audit'])
    expect(readFileSync(`${path}.audit`, 'utf8')).toContain('\n{"at":"20\n{')
    writeFileSync(`${path}.audit`, readFileSync(`${path}.audit`, 'utf8').replace('{"at":"20\n', ''))
    expect(audit().map((line) => [line['command'], line['phase'], line['outcome']])).toEqual([
      ['key revoke', 'begin', undefined],
      ['key revoke', 'end', 'unknown'],
      ['key add', 'begin', undefined],
      ['key add', 'end', 'done'],
    ])
  })
})

describe('the file', () => {
  it('that every user can read is warned of, and is mode 0600 afterwards', async () => {
    const { run, path } = place()
    chmodSync(path, 0o644)
    const warning = `xkeys: warning: k.toml: mode 0644: every user of this machine can read its secrets, so make it 0600\n`
    expect((await run('list --keyring k.toml')).stderr).toBe(warning)
    expect(statSync(path).mode & 0o777).toBe(0o644)
    expect((await run('add --keyring k.toml --group gw')).stderr).toBe(warning)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect((await run('list --keyring k.toml')).stderr).toBe('')
  })

  it('that its group could read is so no more, and that is said', async () => {
    const { run, path } = place()
    chmodSync(path, 0o640)
    expect(await run('list --keyring k.toml')).toMatchObject({ stderr: '' })
    const { stderr, exit } = await run('add --keyring k.toml --group gw')
    expect([stderr, exit]).toEqual([
      'xkeys: warning: k.toml: its group could read it (mode 0640); now only its owner can\n',
      0,
    ])
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('may be a link, which stays; its audit is beside the file itself', async () => {
    const { folder, run, names, keys } = place()
    mkdirSync(join(folder, 'links'))
    symlinkSync('../k.toml', join(folder, 'links', 'current'))
    expect((await run('add --keyring links/current --group gw --name new')).exit).toBe(0)
    expect(lstatSync(join(folder, 'links', 'current')).isSymbolicLink()).toBe(true)
    expect([keys(), names()]).toEqual([
      ['old', 'k1', 'new'],
      ['k.toml', 'k.toml.audit', 'links'],
    ])
  })

  it('in a folder that cannot be written stays as it is', async () => {
    const { folder, path, text } = place()
    // Root may write everywhere, so it becomes somebody else.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) chownSync(path, 65_534, 65_534)
    chmodSync(folder, 0o555)
    const command = [MAIN, 'key', 'add', '--keyring', path, '--group', 'gw']
    const child = spawn(process.execPath, command, { cwd: '/', env: {}, ...(isRoot && { uid: 65_534 }) })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    const [exit] = (await once(child, 'close')) as [number]
    chmodSync(folder, 0o700)
    expect([stderr, exit]).toEqual([`xkeys: ${path}: it cannot be written (EACCES)\n`, 78])
    expect([text(), readdirSync(folder)]).toEqual([KEYS, ['k.toml']])
  })

  it('on a full disk stays as it is', async () => {
    // No file may grow beyond this: the lock fits, the new keyring does not.
    const long = `${KEYS}${'# and so on\n'.repeat(400)}`
    const { folder, text, names, audit } = place(long)
    const script = `ulimit -f 4; exec "$0" "$@"`
    const command = [process.execPath, MAIN, 'key', 'add', '--keyring', 'k.toml', '--group', 'gw']
    const child = spawn('sh', ['-c', script, ...command], { cwd: folder, env: {} })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    expect(await once(child, 'close')).toEqual([78, null])
    expect(stderr).toBe('xkeys: k.toml: it cannot be written (EFBIG)\n')
    expect([text(), names()]).toEqual([long, ['k.toml', 'k.toml.audit']])
    expect(audit().map(({ phase, outcome }) => [phase, outcome])).toEqual([
      ['begin', undefined],
      ['end', 'not done'],
    ])
  })

  it('keeps CRLF, its byte order mark, and what stands behind values', async () => {
    const crlf = `\uFEFF${KEYS.trimEnd()}`.replaceAll('\n', '\r\n')
    const { run, text } = place(crlf)
    expect((await run('revoke old --keyring k.toml --group gw')).exit).toBe(0)
    expect(text().replace(/revoked = \S+\r\n/, '')).toBe(crlf)
    expect(text().replaceAll('\r\n', '')).not.toContain('\n')
  })

  it('keeps a key that has just expired: where a clock is late it still counts', async () => {
    const { run, keys } = place(keyEnding('just', -1) + keyEnding('before', 6) + KEYS)
    expect((await run('prune --keyring k.toml')).exit).toBe(0)
    expect(keys()).toEqual(['just', 'k1'])
  })
})
