import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { formatIssue, type ConfigError, type Issue } from '../../src/errors.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { openKeyringFile, type LiveKeyring, type LiveKeyringOptions } from '../../src/stores/keyring-file.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'
import { SECRETS } from '../support/signed-messages.ts'

const now = new Date('2026-11-21T12:00:00Z')
const key = (name: string, secret: string = SECRETS.new): string =>
  `[[groups.g.keys]]\nname = "${name}"\nvalue = "${secret}"\n`
const BROKEN = '[[groups.g.keys]]\nname = "broken"\nvalue = \n'

/** Speaks against more than one key. */
const onlyOne = (ring: Keyring): readonly Issue[] =>
  ring.keys('g').length > 1 ? [{ path: 'groups.g', message: 'one is enough' }] : []

interface Watched {
  readonly live: LiveKeyring
  /** Names of the keys in force, or `same`, for each time a file was found right. */
  readonly loads: string[]
  readonly failures: ConfigError[]
  /** Names of the keys in force. */
  names(): string
}

const namesOf = (ring: Keyring): string =>
  ring.groups.flatMap((group) => ring.keys(group).map(({ name }) => name)).join()

function open(path: string, more: Partial<LiveKeyringOptions> = {}): Watched {
  const loads: string[] = []
  const failures: ConfigError[] = []
  const live = openKeyringFile(path, {
    env: {},
    now: () => now,
    onLoaded: (ring, change) => loads.push(change === 'same' ? 'same' : namesOf(ring)),
    onFailed: (error) => failures.push(error),
    ...more,
  })
  onTestFinished(() => live.close())
  return { live, loads, failures, names: () => namesOf(live.keyring()) }
}

/** Long enough for any machine; none of it is spent where all goes well. */
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 20 })
const untilIs = (node: Watched, names: string): Promise<void> => until(() => expect(node.names()).toBe(names))

function watched(text = key('first')): Watched & { readonly folder: string; readonly path: string } {
  const folder = folderWith({ 'k.toml': text })
  const path = join(folder, 'k.toml')
  return { folder, path, ...open(path) }
}

describe('a change is noticed', { timeout: 60_000 }, () => {
  it('written in place', async () => {
    const node = watched()
    writeFileSync(node.path, key('second'))
    await untilIs(node, 'second')
    appendFileSync(node.path, key('third'))
    await untilIs(node, 'second,third')
    expect(node.loads).toEqual(['second', 'second,third'])
    expect(node.failures).toEqual([])
  })

  it('renamed over, as editors and the key commands do, time and again', async () => {
    const node = watched()
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(join(node.folder, 'new'), key(name))
      renameSync(join(node.folder, 'new'), node.path)
      await untilIs(node, name)
    }
    expect(node.failures).toEqual([])
  })

  it('moved away, then written anew under the old name, as vim does with a backup', async () => {
    const node = watched()
    renameSync(node.path, join(node.folder, 'k.toml~'))
    writeFileSync(node.path, key('second'))
    await untilIs(node, 'second')
    expect(node.failures).toEqual([])
  })

  it('truncated, and written in pieces', async () => {
    const node = watched()
    const file = openSync(node.path, 'r+')
    ftruncateSync(file, 0)
    const text = key('second') + key('third')
    for (let at = 0; at < text.length; at += 16) {
      writeSync(file, text.slice(at, at + 16))
      await new Promise((next) => setImmediate(next))
    }
    closeSync(file)
    await untilIs(node, 'second,third')
    expect(node.failures).toEqual([])
  })

  it('a symbolic link is turned to another file', async () => {
    const folder = folderWith({ 'one.toml': key('one'), 'two.toml': key('two') })
    const path = join(folder, 'k.toml')
    symlinkSync('one.toml', path)
    const node = open(path)
    symlinkSync('two.toml', join(folder, 'new'))
    renameSync(join(folder, 'new'), path)
    await untilIs(node, 'two')
    expect(node.failures).toEqual([])
  })

  it('the file that a symbolic link leads to is changed, in another folder', async () => {
    const target = join(folderWith({ 'real.toml': key('one') }), 'real.toml')
    const path = join(folderWith({}), 'k.toml')
    symlinkSync(target, path)
    const node = open(path)
    writeFileSync(`${target}.new`, key('two'))
    renameSync(`${target}.new`, target)
    await untilIs(node, 'two')
    expect(node.failures).toEqual([])
  })

  it('Kubernetes: ..data is turned to another folder, and the old one removed', async () => {
    const folder = folderWith({})
    const mount = (version: string, name: string): void => {
      mkdirSync(join(folder, version))
      writeFileSync(
        join(folder, version, 'k.toml'),
        `[[groups.g.keys]]\nname = "${name}"\nvalue_file = "secret"\n`,
      )
      writeFileSync(join(folder, version, 'secret'), `${SECRETS.new}${name}`)
      symlinkSync(version, join(folder, '..tmp'))
      renameSync(join(folder, '..tmp'), join(folder, '..data'))
    }
    mount('..1', 'one')
    for (const name of ['k.toml', 'secret']) symlinkSync(`..data/${name}`, join(folder, name))
    const node = open(join(folder, 'k.toml'))
    mount('..2', 'two')
    rmSync(join(folder, '..1'), { recursive: true })
    await untilIs(node, 'two')
    mount('..3', 'three')
    rmSync(join(folder, '..2'), { recursive: true })
    await untilIs(node, 'three')
    expect(node.failures).toEqual([])
  })

  it('the same size within the same tick of the clock: found by its content', async () => {
    const node = watched(key('aaa'))
    const sameTimes = (): void => utimesSync(node.path, now, now)
    sameTimes()
    writeFileSync(node.path, key('bbb'))
    sameTimes()
    await untilIs(node, 'bbb')
    // Right behind the change that was just read.
    writeFileSync(node.path, key('ccc'))
    sameTimes()
    await untilIs(node, 'ccc')
    expect(node.loads).toEqual(['bbb', 'ccc'])
  })

  it('in the file of a value_file, which may lie elsewhere', async () => {
    const elsewhere = join(folderWith({ secret: 'the first secret of the file' }), 'secret')
    const node = watched(`[[groups.g.keys]]\nname = "a"\nvalue_file = ${JSON.stringify(elsewhere)}\n`)
    const before = node.live.keyring().keys('g')[0]!.fingerprint
    writeFileSync(elsewhere, 'another secret of the file')
    await until(() => expect(node.live.keyring().keys('g')[0]!.fingerprint).not.toBe(before))
  })

  it('in the file of a value_file that came with a change', async () => {
    const node = watched()
    writeFileSync(join(node.folder, 'secret'), 'the first secret of the file')
    writeFileSync(node.path, '[[groups.g.keys]]\nname = "a"\nvalue_file = "secret"\n')
    await untilIs(node, 'a')
    const before = node.live.keyring().keys('g')[0]!.fingerprint
    writeFileSync(join(node.folder, 'secret'), 'another secret of the file')
    await until(() => expect(node.live.keyring().keys('g')[0]!.fingerprint).not.toBe(before))
  })

  it('a folder above is exchanged', async () => {
    const root = folderWith({})
    mkdirSync(join(root, 'keys'))
    mkdirSync(join(root, 'new'))
    writeFileSync(join(root, 'keys', 'k.toml'), key('one'))
    writeFileSync(join(root, 'new', 'k.toml'), key('two'))
    const node = open(join(root, 'keys', 'k.toml'))
    renameSync(join(root, 'keys'), join(root, 'old'))
    renameSync(join(root, 'new'), join(root, 'keys'))
    await untilIs(node, 'two')
    // The events of the folder that was watched are those of another one now.
    writeFileSync(join(root, 'keys', 'k.toml'), key('three'))
    await untilIs(node, 'three')
    expect(node.failures).toEqual([])
  })

  it('is none where a file is only touched, or copied over itself', async () => {
    const node = watched()
    utimesSync(node.path, now, now)
    copyFileSync(node.path, join(node.folder, 'copy'))
    renameSync(join(node.folder, 'copy'), node.path)
    const ring = node.live.keyring()
    await until(() => expect(node.live.keyring()).toBe(ring))
    writeFileSync(node.path, key('second'))
    await untilIs(node, 'second')
    expect(node.loads).toEqual(['second'])
  })
})

describe('a file that cannot be used', { timeout: 60_000 }, () => {
  it('never replaces a keyring, is told once with path and line, and is over when it is mended', async () => {
    const node = watched()
    const ring = node.live.keyring()
    writeFileSync(node.path, key('second') + key('second') + key('x').replace('value', 'valeu'))
    await until(() => expect(node.failures).toHaveLength(1))
    expect(node.failures[0]!.issues.map(formatIssue)).toEqual([
      'line 5: groups.g.keys[1].name: repeats the name of keys[0]',
      expect.stringMatching(/^line 7: groups\.g\.keys\[2\]: has no secret/),
      'line 9: groups.g.keys[2].valeu: is not known here: did you mean value?',
    ])
    expect(node.live.keyring()).toBe(ring)
    expect(node.live.status()).toEqual({ failing: true, loadedAt: now, reloads: { ok: 0, failed: 1 } })

    writeFileSync(node.path, key('second'))
    await untilIs(node, 'second')
    expect(node.live.status()).toEqual({ failing: false, loadedAt: now, reloads: { ok: 1, failed: 1 } })
    expect(node.failures).toHaveLength(1)
  })

  it('is over, too, when the old text is back: nothing changed', async () => {
    const node = watched()
    const ring = node.live.keyring()
    writeFileSync(node.path, BROKEN)
    await until(() => expect(node.live.status().failing).toBe(true))
    writeFileSync(node.path, key('first'))
    await until(() => expect(node.live.status().failing).toBe(false))
    expect(node.loads).toEqual(['same'])
    expect(node.live.keyring()).toBe(ring)
  })

  it('may be missing for a while', async () => {
    const node = watched()
    unlinkSync(node.path)
    await until(() => expect(node.failures).toHaveLength(1))
    expect(node.failures[0]!.issues.map(formatIssue)).toEqual([`${node.path}: it cannot be read (ENOENT)`])
    expect(node.names()).toBe('first')
    writeFileSync(node.path, key('second'))
    await untilIs(node, 'second')
  })

  it('may be missing with its folder', async () => {
    const root = folderWith({})
    mkdirSync(join(root, 'keys'))
    writeFileSync(join(root, 'keys', 'k.toml'), key('one'))
    const node = open(join(root, 'keys', 'k.toml'))
    rmSync(join(root, 'keys'), { recursive: true })
    await until(() => expect(node.failures).toHaveLength(1))
    mkdirSync(join(root, 'keys'))
    writeFileSync(join(root, 'keys', 'k.toml'), key('two'))
    await untilIs(node, 'two')
  })

  it.each([
    ['a folder', (path: string) => mkdirSync(path), 'it cannot be read (EISDIR)'],
    ['a link to itself', (path: string) => symlinkSync(path, path), 'it cannot be read (ELOOP)'],
    [
      'a pipe, which would never end',
      (path: string) => execFileSync('mkfifo', [path]),
      'it cannot be read (not a regular file)',
    ],
  ])('may be %s', async (_, make, message) => {
    const node = watched()
    unlinkSync(node.path)
    make(node.path)
    await until(() => expect(node.failures).not.toEqual([]))
    expect(node.failures[0]!.issues[0]!.message).toBe(message)
    expect(node.names()).toBe('first')
  })

  it('lacks the file of a value_file until it is there', async () => {
    const node = watched()
    writeFileSync(node.path, '[[groups.g.keys]]\nname = "a"\nvalue_file = "secret"\n')
    await until(() => expect(node.failures).toHaveLength(1))
    expect(formatIssue(node.failures[0]!.issues[0]!)).toMatch(
      /^line 3: groups\.g\.keys\[0\]\.value_file: .*ENOENT/,
    )
    writeFileSync(join(node.folder, 'secret'), 'the secret of the file')
    await untilIs(node, 'a')
  })

  it('is not taken at the start', () => {
    const path = join(folderWith({ 'k.toml': BROKEN }), 'k.toml')
    expect(errorOf(() => open(path)).code).toBe('ERR_KEYRING_INVALID')
  })

  it('tells no secret', async () => {
    const node = watched()
    writeFileSync(
      node.path,
      `${key('a', SECRETS.other)}value = "${SECRETS.old}"\nexpires = "${SECRETS.new}"\n`,
    )
    await until(() => expect(node.failures).toHaveLength(1))
    const text = JSON.stringify(node.failures[0]!.issues) + node.failures[0]!.message
    for (const secret of Object.values(SECRETS)) expect(text).not.toContain(secret)
  })

  it('may be one that others speak against', async () => {
    const path = join(folderWith({ 'k.toml': key('first') }), 'k.toml')
    const node = open(path, { check: onlyOne })
    appendFileSync(path, key('second'))
    await until(() => expect(node.failures).toHaveLength(1))
    expect(node.failures[0]!.message).toBe('groups.g: one is enough')
    expect(node.names()).toBe('first')
    expect(errorOf(() => open(path, { check: onlyOne })).issues).toHaveLength(1)
  })
})

describe('reload', () => {
  it('reads at once, changed or not', () => {
    const node = watched()
    const ring = node.live.keyring()
    node.live.reload()
    expect(node.loads).toEqual(['same'])
    expect(node.live.keyring()).toBe(ring)
    writeFileSync(node.path, key('second'))
    node.live.reload()
    expect(node.names()).toBe('second')
    writeFileSync(node.path, BROKEN)
    node.live.reload()
    node.live.reload()
    expect(node.failures).toHaveLength(2)
    expect(node.names()).toBe('second')
    expect(node.live.status().reloads).toEqual({ ok: 2, failed: 2 })
  })

  it('asks again for a key-encryption key where it lacks one, and reads the file once more', async () => {
    const path = join(folderWith({ 'k.toml': key('first') }), 'k.toml')
    let asked = 0
    let wanted = false
    const node = open(path, {
      kek: { find: () => undefined, refetch: () => Promise.resolve(++asked === 1 && (wanted = true)) },
      check: (ring) =>
        ring.keys('g').length > 1 && !wanted ? [{ path: 'seal', message: 'no key-encryption key' }] : [],
    })
    appendFileSync(path, key('second'))
    node.live.reload()
    expect(node.failures).toHaveLength(1)
    await untilIs(node, 'first,second')
    expect(asked).toBe(1)
  })
})

describe('what is closed', () => {
  it('reads nothing more and leaves nothing open', async () => {
    const node = watched()
    node.live.close()
    node.live.close()
    writeFileSync(node.path, key('second'))
    // Another one sees the same change: by then the first would have.
    const other = open(node.path)
    writeFileSync(node.path, key('third'))
    await untilIs(other, 'third')
    expect(node.names()).toBe('first')
  }, 60_000)
})
