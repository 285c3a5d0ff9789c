import { spawnSync } from 'node:child_process'
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { replaceFile, updateFile } from '../../src/stores/replace-file.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'

const modeOf = (path: string): number => statSync(path).mode & 0o777
const textOf = (path: string): string => readFileSync(path, 'utf8')

/** A folder with `k.toml`, mode 0644. */
function place(text: string | Uint8Array = 'old') {
  const folder = folderWith({ 'k.toml': text })
  return { folder, path: join(folder, 'k.toml'), names: () => readdirSync(folder).toSorted() }
}

describe('replaceFile', () => {
  it('replaces the text, mode 0600, and leaves nothing beside it', () => {
    const { path, names } = place()
    expect(modeOf(path)).toBe(0o644)
    replaceFile(path, 'new')
    expect([textOf(path), modeOf(path), names()]).toEqual(['new', 0o600, ['k.toml']])
  })

  it('makes a file that is not there', () => {
    const { folder } = place()
    replaceFile(join(folder, 'n.toml'), 'new')
    expect(modeOf(join(folder, 'n.toml'))).toBe(0o600)
  })

  it('is mode 0600 whatever the umask', () => {
    const { path } = place()
    const before = process.umask(0o277)
    try {
      replaceFile(path, 'new')
    } finally {
      process.umask(before)
    }
    expect(modeOf(path)).toBe(0o600)
  })

  it.each([
    ['a link', ['k.toml']],
    ['a link to a link', ['second', 'k.toml']],
  ])('follows %s, which stays', (_, [first, ...more]) => {
    const { folder, path } = place()
    mkdirSync(join(folder, 'links'))
    for (const [i, target] of more.entries()) symlinkSync(`../${target}`, join(folder, 'links', `l${i}`))
    symlinkSync(more.length === 0 ? `../${first}` : 'l0', join(folder, 'links', 'k'))
    replaceFile(join(folder, 'links', 'k'), 'new')
    expect(textOf(path)).toBe('new')
    expect(lstatSync(path).isSymbolicLink()).toBe(false)
    expect(lstatSync(join(folder, 'links', 'k')).isSymbolicLink()).toBe(true)
  })

  it('makes what a link leads to', () => {
    const { folder } = place()
    symlinkSync('later.toml', join(folder, 'k'))
    replaceFile(join(folder, 'k'), 'new')
    expect(textOf(join(folder, 'later.toml'))).toBe('new')
    expect(readlinkSync(join(folder, 'k'))).toBe('later.toml')
  })

  it('refuses links in a circle', () => {
    const { folder } = place()
    symlinkSync('b', join(folder, 'a'))
    symlinkSync('a', join(folder, 'b'))
    expect(errorOf(() => replaceFile(join(folder, 'a'), 'new')).message).toContain('ELOOP')
  })

  it('refuses what is no regular file, and lets it be', () => {
    const { folder, names } = place()
    expect(errorOf(() => replaceFile(folder, 'new')).message).toBe(`${folder}: it is not a regular file`)
    expect(spawnSync('mkfifo', [join(folder, 'pipe')]).status).toBe(0)
    expect(errorOf(() => replaceFile(join(folder, 'pipe'), 'new')).code).toBe('ERR_FILE_UNWRITABLE')
    expect([names(), lstatSync(join(folder, 'pipe')).isFIFO()]).toEqual([['k.toml', 'pipe'], true])
  })

  it.runIf(process.geteuid?.() === 0)('leaves the file to whom it belongs', () => {
    const { path } = place()
    chownSync(path, 65_534, 65_534)
    replaceFile(path, 'new')
    const { uid, gid } = statSync(path)
    expect([uid, gid, modeOf(path)]).toEqual([65_534, 65_534, 0o600])
  })
})

describe('updateFile', () => {
  it('hands over the text and keeps what comes back', () => {
    const { path, names } = place('\uFEFFa\r\nb')
    expect(updateFile(path, (text) => `${text}c`)).toBe('\uFEFFa\r\nbc')
    expect(readFileSync(path)).toEqual(Buffer.from('\uFEFFa\r\nbc'))
    expect(names()).toEqual(['k.toml'])
  })

  it('writes nothing where nothing changes', () => {
    const { path } = place()
    const { ino, mtimeNs } = statSync(path, { bigint: true })
    updateFile(path, (text) => text)
    expect(statSync(path, { bigint: true })).toMatchObject({ ino, mtimeNs })
  })

  it('says who is at it while it is', () => {
    const { folder, path, names } = place()
    updateFile(path, (text) => {
      expect(names()).toEqual(['k.toml', 'k.toml.lock'])
      const holder = JSON.parse(textOf(join(folder, 'k.toml.lock'))) as unknown
      expect(holder).toMatchObject({ pid: process.pid, host: expect.any(String) as unknown })
      expect(modeOf(join(folder, 'k.toml.lock'))).toBe(0o600)
      return `${text}er`
    })
    expect([names(), textOf(path)]).toEqual([['k.toml'], 'older'])
  })

  it('gives the lock back where the change throws', () => {
    const { path, names } = place()
    expect(() =>
      updateFile(path, () => {
        throw new RangeError('no')
      }),
    ).toThrow(RangeError)
    expect([names(), textOf(path)]).toEqual([['k.toml'], 'old'])
  })

  it('locks what a link leads to, so that two ways to a file are one', () => {
    const { folder, path } = place()
    symlinkSync('k.toml', join(folder, 'link'))
    updateFile(join(folder, 'link'), (text) => {
      const error = errorOf(() => updateFile(path, () => 'mine', { waitMs: 0 }))
      expect(error.code).toBe('ERR_FILE_LOCKED')
      expect(error.message).toContain(`${path}: it is being changed by process ${process.pid} on `)
      return `${text}er`
    })
    expect(textOf(path)).toBe('older')
  })

  it('refuses where somebody wrote it without the lock', () => {
    const { path, names } = place()
    const error = errorOf(() =>
      updateFile(path, (text) => {
        writeFileSync(path, 'edited by hand')
        return `${text}er`
      }),
    )
    expect([error.code, textOf(path), names()]).toEqual(['ERR_FILE_CHANGED', 'edited by hand', ['k.toml']])
  })

  it('refuses a file that is not there, without a trace, unless told to make it', () => {
    const { folder, names } = place()
    const missing = join(folder, 'n.toml')
    const error = errorOf(() => updateFile(missing, () => 'new'))
    expect(error.message).toBe(`${missing}: it cannot be read (ENOENT)`)
    expect(names()).toEqual(['k.toml'])
    expect(updateFile(missing, (text) => `${text}made`, { missing: 'empty' })).toBe('made')
    expect([names(), modeOf(missing)]).toEqual([['k.toml', 'n.toml'], 0o600])
  })

  it('refuses what is not UTF-8: it could not be written back as it is', () => {
    const { path } = place(Buffer.from([0x23, 0xe4, 0x0a]))
    expect(errorOf(() => updateFile(path, () => 'new')).message).toBe(`${path}: it is not UTF-8`)
  })

  it('removes what a killed writer has left, and nothing else', () => {
    const { folder, path, names } = place()
    const kept = ['.k.toml.bak.toml.77.0123456789ab.tmp', '.kxtoml.77.0123456789ab.tmp', '.k.toml.swp']
    const left = [
      '.k.toml.77.0123456789ab.tmp',
      '.k.toml.lock.77.0123456789ab.tmp',
      `k.toml.lock.${'0'.repeat(16)}`,
    ]
    for (const name of [...kept, ...left]) writeFileSync(join(folder, name), 'xks_')
    updateFile(path, (text) => text)
    expect(names()).toEqual([...kept, 'k.toml'].toSorted())
  })
})
