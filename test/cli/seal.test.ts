import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { folderWith } from '../support/folder.ts'
import { KEK_BYTES, PLAIN, PLAIN_SECRETS, sealed, shown, SOURCE } from '../support/sealed.ts'
import { xkeys } from '../support/xkeys.ts'

const HEX = KEK_BYTES.one.toString('hex')
const BASE64 = KEK_BYTES.one.toString('base64')

const place = (): string =>
  folderWith({
    'plain.toml': PLAIN,
    'sealed.toml': sealed(),
    'changed.toml': sealed().replace('revoked = true', 'revoked = false'),
    'comment.toml': `${PLAIN}# ${PLAIN_SECRETS[0]}\n`,
    kek: HEX,
    two: KEK_BYTES.two,
    short: HEX.slice(0, 63),
  })
const readAll = (folder: string): string =>
  readdirSync(folder)
    .filter((name) => !['kek', 'two', 'short', 'plain.toml', 'comment.toml'].includes(name))
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('\n')

describe('neither a secret nor a KEK is ever shown, nor left in a file', () => {
  it.each<readonly [string, readonly string[], Readonly<Record<string, string>>]>([
    ['done', ['seal', '--keyring', 'plain.toml', '--kek', 'file:kek'], {}],
    [
      'done, as JSON',
      ['seal', '--keyring', 'sealed.toml', '--kek', 'file:two', '--old-kek', 'file:kek', '--json'],
      {},
    ],
    ['the KEK for its reference', ['seal', '--keyring', 'plain.toml', '--kek', HEX], {}],
    ['for the name of a file', ['seal', '--keyring', 'plain.toml', '--kek', `file:${HEX}`], {}],
    ['for the name of a variable', ['seal', '--keyring', 'plain.toml', '--kek', `env:${BASE64}`], {}],
    ['for a command', ['seal', '--keyring', 'plain.toml', '--kek', `command:["${HEX}"]`], {}],
    ['for JSON', ['seal', '--keyring', 'plain.toml', '--kek', `command:${HEX}`], {}],
    ['for XKEYS_KEK', ['unseal', '--keyring', 'sealed.toml'], { XKEYS_KEK: HEX }],
    ['a short one', ['unseal', '--keyring', 'sealed.toml'], { XKEYS_KEK: 'file:short' }],
    [
      'a command that fails and tells',
      [
        'unseal',
        '--keyring',
        'sealed.toml',
        '--kek',
        `command:["sh","-c","cat kek two >&2; cat kek; exit 9"]`,
      ],
      {},
    ],
    [
      'a command that prints too much',
      ['unseal', '--keyring', 'sealed.toml', '--kek', `command:["yes","${HEX}"]`],
      {},
    ],
    ['another KEK', ['unseal', '--keyring', 'sealed.toml', '--kek', 'file:two'], {}],
    ['a changed file', ['unseal', '--keyring', 'changed.toml', '--kek', 'file:kek'], {}],
    [
      'a changed file to be sealed',
      ['seal', '--keyring', 'changed.toml', '--kek', 'file:two', '--old-kek', 'file:kek'],
      {},
    ],
    ['a secret in a comment', ['seal', '--keyring', 'comment.toml', '--kek', 'file:kek'], {}],
  ])('%s', async (_, args, env) => {
    const cwd = place()
    const { stdout, stderr, exit } = await xkeys(args, { cwd, env: { PATH: process.env['PATH']!, ...env } })
    expect(stdout + stderr).not.toBe('')
    expect(exit === 0 ? '' : stderr).toMatch(exit === 0 ? /^$/ : /^xkeys: /m)
    expect(shown(stdout + stderr + readAll(cwd))).toEqual([])
  })
})

describe('xkeys seal', () => {
  it('replaces the file as a whole, for its owner alone, and tells the audit', async () => {
    const cwd = place()
    const { exit } = await xkeys(['seal', '--keyring', 'plain.toml', '--kek', 'file:kek', '--name', 'main'], {
      cwd,
    })
    expect(exit).toBe(0)
    const path = join(cwd, 'plain.toml')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(parseKeyring(readFileSync(path, 'utf8'), { kek: SOURCE })).toMatchObject({
      name: 'main',
      revision: 1,
    })
    const audit = readFileSync(`${path}.audit`, 'utf8')
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    expect(audit).toMatchObject([
      { command: 'seal', phase: 'begin', keyring: 'main', revision: 1, keys: 5 },
      { command: 'seal', phase: 'end', outcome: 'done' },
    ])
    expect(readdirSync(cwd).filter((name) => /lock|tmp/.test(name))).toEqual([])
  })

  it('takes the KEK that XKEYS_KEK names', async () => {
    const cwd = place()
    const env = { XKEYS_KEK: 'env:KEK', KEK: HEX }
    expect((await xkeys(['seal', '--keyring', 'plain.toml'], { cwd, env })).exit).toBe(0)
    expect((await xkeys(['unseal', '--keyring', 'plain.toml'], { cwd, env })).exit).toBe(0)
    const plain = parseKeyring(readFileSync(join(cwd, 'plain.toml'), 'utf8'))
    expect(plain.list(new Date())).toEqual(parseKeyring(PLAIN).list(new Date()))
  })
})

describe('commands on keys', () => {
  it('keep a sealed keyring sealed', async () => {
    const cwd = place()
    const env = { XKEYS_KEK: 'file:kek' }
    const run = (...args: readonly string[]) => xkeys([...args, '--keyring', 'sealed.toml'], { cwd, env })
    expect(await run('key', 'add', '--group', 'trunk-a', '--name', 'added')).toMatchObject({ exit: 0 })
    expect(await run('key', 'revoke', 'added', '--group', 'trunk-a')).toMatchObject({ exit: 0 })
    const text = readFileSync(join(cwd, 'sealed.toml'), 'utf8')
    expect(text).not.toMatch(/^\s*value/m)
    expect(shown(readAll(cwd))).toEqual([])
    const keyring = parseKeyring(text, { kek: SOURCE })
    expect(keyring.revision).toBe(3)
    expect(keyring.keyState({ group: 'trunk-a', name: 'added' }, new Date())).toBe('revoked')
  })

  it('change nothing where the KEK is not at hand', async () => {
    const cwd = place()
    const add = ['key', 'add', '--group', 'trunk-a', '--name', 'added', '--keyring', 'sealed.toml']
    for (const more of [[], ['--kek', 'file:two']]) {
      expect((await xkeys([...add, ...more], { cwd })).exit).toBe(78)
      expect(parseKeyring(readFileSync(join(cwd, 'sealed.toml'), 'utf8'), { kek: SOURCE }).revision).toBe(1)
    }
  })
})
