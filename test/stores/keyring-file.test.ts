import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatIssue } from '../../src/errors.ts'
import { loadKeyringFile, type KeyringFileOptions } from '../../src/stores/keyring-file.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'
import { SECRETS } from '../support/signed-messages.ts'

const now = new Date('2026-11-21T12:00:00Z')
const options: KeyringFileOptions = { env: {}, now }

const key = (name: string, line: string): string => `[[groups.g.keys]]\nname = "${name}"\n${line}\n`
const secretOf = (path: string, more: Partial<KeyringFileOptions> = {}): string =>
  loadKeyringFile(path, { ...options, ...more })
    .keys('g')[0]!
    .secret.export()
    .toString('latin1')

const issuesOf = (path: string, more: Partial<KeyringFileOptions> = {}): readonly string[] => {
  const error = errorOf(() => loadKeyringFile(path, { ...options, ...more }))
  expect(error.code).toBe('ERR_KEYRING_INVALID')
  return error.issues.map(formatIssue)
}

describe('a keyring file', () => {
  it('is read', () => {
    const folder = folderWith({
      'k.toml': key('a', `value = "${SECRETS.new}"`) + key('b', `value = "${SECRETS.old}"`),
    })
    const ring = loadKeyringFile(join(folder, 'k.toml'), options)
    expect(ring.list(now).map(({ name, state }) => [name, state])).toEqual([
      ['a', 'overlapping'],
      ['b', 'active'],
    ])
  })

  it('may have a byte order mark and CRLF line ends', () => {
    const text = `\uFEFF${key('a', 'value = "s"')}`.replaceAll('\n', '\r\n')
    expect(secretOf(join(folderWith({ 'k.toml': text }), 'k.toml'))).toBe('s')
  })

  it.each([
    ['a newline at the end', 'file secret\n', 'file secret'],
    ['CRLF at the end', 'file secret\r\n', 'file secret'],
    ['nothing at the end', 'file secret', 'file secret'],
    ['two newlines: one is the secret’s', 'file secret\n\n', 'file secret\n'],
    ['blanks around', ' file secret \n', ' file secret '],
    ['bytes that are no text', Buffer.from([0, 255, 10, 13]), '\0\xff\n\r'],
  ])('value_file, %s', (_, content, secret) => {
    const folder = folderWith({ 'k.toml': key('a', 'value_file = "secret"'), secret: content })
    expect(secretOf(join(folder, 'k.toml'))).toBe(secret)
  })

  it('value_file is relative to the keyring, not to the working directory', () => {
    const folder = folderWith({ 'k.toml': key('a', 'value_file = "keys/secret"'), secret: 'wrong' })
    mkdirSync(join(folder, 'keys'))
    writeFileSync(join(folder, 'keys', 'secret'), 'right')
    expect(secretOf(join(folder, 'k.toml'))).toBe('right')
    expect(secretOf(relative(process.cwd(), join(folder, 'k.toml')))).toBe('right')
    writeFileSync(join(folder, 'up.toml'), key('a', 'value_file = "keys/../keys/secret"'))
    expect(secretOf(join(folder, 'up.toml'))).toBe('right')
  })

  it('value_file may be absolute', () => {
    const folder = folderWith({ secret: 'absolute' })
    const path = join(folder, 'k.toml')
    writeFileSync(path, key('a', `value_file = ${JSON.stringify(join(folder, 'secret'))}`))
    expect(secretOf(path)).toBe('absolute')
  })

  it('value_env is taken as it is', () => {
    const path = join(folderWith({ 'k.toml': key('a', 'value_env = "KEY_A"') }), 'k.toml')
    expect(secretOf(path, { env: { KEY_A: ' from env\n' } })).toBe(' from env\n')
  })

  it('does not look at the environment of the process by itself', () => {
    const path = join(folderWith({ 'k.toml': key('a', 'value_env = "PATH"') }), 'k.toml')
    expect(issuesOf(path)).toEqual([
      'line 3: groups.g.keys[0].value_env: cannot be fetched: the environment variable is not set',
    ])
  })

  it('tells all that cannot be fetched at once, and never a secret', () => {
    const folder = folderWith({
      'k.toml': [
        key('a', 'value_env = "MISSING"'),
        key('b', `value_file = "${SECRETS.other}"`),
        key('c', 'value_env = "EMPTY"'),
        key('d', 'sealed = "c2VhbGVk"'),
        key('e', 'value_file = "."'),
        key('f', `value = "${SECRETS.new}"\nexpries = 1`),
      ].join(''),
    })
    const issues = issuesOf(join(folder, 'k.toml'), { env: { EMPTY: '' } })
    expect(issues).toEqual([
      'line 3: groups.g.keys[0].value_env: cannot be fetched: the environment variable is not set',
      expect.stringMatching(/^line 6: groups\.g\.keys\[1\]\.value_file: cannot be fetched: ENOENT/),
      'line 9: groups.g.keys[2].value_env: gives an empty secret',
      expect.stringMatching(/^line 12: groups\.g\.keys\[3\]\.sealed: cannot be fetched: sealed values need/),
      expect.stringMatching(/^line 15: groups\.g\.keys\[4\]\.value_file: cannot be fetched: EISDIR/),
      'line 19: groups.g.keys[5].expries: is not known here: did you mean expires?',
    ])
    for (const secret of Object.values(SECRETS)) expect(issues.join('\n')).not.toContain(secret)
  })

  it.each([
    ['is missing', 'nowhere.toml', 'ENOENT'],
    ['is a folder', '.', 'EISDIR'],
  ])('that %s is an issue, not a crash', (_, name, code) => {
    const folder = folderWith({})
    expect(issuesOf(join(folder, name))).toEqual([`${join(folder, name)}: it cannot be read (${code})`])
  })

  it('counts ended keys by the time given', () => {
    const ended = Array.from({ length: 9 }, (_, i) =>
      key(`k${i}`, `value = "s${i}"\nexpires = 2020-01-01T00:00:00Z`),
    )
    const path = join(folderWith({ 'k.toml': ended.join('') }), 'k.toml')
    expect(loadKeyringFile(path, options).keys('g')).toHaveLength(9)
    expect(issuesOf(path, { now: new Date('2019-01-01T00:00:00Z') })).toHaveLength(1)
  })
})
