import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { formatIssue } from '../../src/errors.ts'
import { parseEdgeConfig } from '../../src/edge/config.ts'
import { loadConfig } from '../../src/edge/service.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { sealKeyring } from '../../src/keyring/seal.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'
import { KEK, KEK_BYTES, OTHER_KEK, PLAIN, sealed, shown } from '../support/sealed.ts'

const now = new Date('2026-11-21T12:00:00Z')
const HEX = KEK_BYTES.one.toString('hex')

const edge = (kek: string): string => `keyring = "main.toml"
[listen]
trunk = "127.0.0.1:5060"
upstream = "127.0.0.1:5062"
[upstream]
target = "127.0.0.1:5080"
[agreements.main]
header = "X-Auth"
group = "trunk-a"
algorithm = "hmac-sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["127.0.0.2"]
target = "127.0.0.2:5060"
agreement = "main"
${kek}`

const load = (kek: string, keyring: string, env: Readonly<Record<string, string>> = {}) => {
  const folder = folderWith({ 'edge.toml': edge(kek), 'main.toml': keyring, kek: HEX })
  return loadConfig(join(folder, 'edge.toml'), env, now)
}

function issuesOf(
  kek: string,
  keyring: string,
  env: Readonly<Record<string, string>> = {},
): readonly string[] {
  const error = errorOf(() => load(kek, keyring, env))
  expect(shown(inspect(error, { depth: 9 }))).toEqual([])
  return error.issues.map(formatIssue)
}

const PRINT = JSON.stringify([process.execPath, '-e', `console.log("${HEX}")`])

describe('the table [kek]', () => {
  it('is read', () => {
    const config = parseEdgeConfig(
      edge('[kek]\nfrom = "file:kek"\ncommand_timeout = 0.5\nsealed_as = "main"'),
    )
    expect(config.kek).toEqual({ reference: { kind: 'file', path: 'kek' }, timeoutMs: 500, keyring: 'main' })
    expect(parseEdgeConfig(edge('[kek]\nfrom = "env:A"')).kek).toEqual({
      reference: { kind: 'env', name: 'A' },
      timeoutMs: 10_000,
      keyring: undefined,
    })
    expect(parseEdgeConfig(edge('')).kek).toBeUndefined()
  })

  it.each([
    ['', /^line 16: kek\.from: it is missing$/],
    [
      `from = "${HEX}"`,
      /^line 17: kek\.from: it must be file:PATH, env:NAME or command:\["program","argument"\]$/,
    ],
    [`from = "command:${HEX}"`, /^line 17: kek\.from: behind command: there must be a JSON array/],
    ['from = ["kek"]', /^line 17: kek\.from: it must be a string, is an array$/],
    ['from = "file:kek"\nfile = "kek"', /^line 18: kek\.file: unknown setting/],
    ['from = "file:kek"\ncommand_timeout = 0', /^line 18: kek\.command_timeout: it must be from 0\.1 to 60/],
    ['from = "file:kek"\nsealed_as = ""', /^line 18: kek\.sealed_as: it is empty$/],
  ])('refuses %j', (settings, issue) => {
    const { issues } = errorOf(() => parseEdgeConfig(edge(`[kek]\n${settings}`)))
    expect(issues.map(formatIssue)).toEqual([expect.stringMatching(issue)])
  })
})

describe('a configuration with a sealed keyring', () => {
  it.each<readonly [string, string, Readonly<Record<string, string>>]>([
    ['a file beside it', '[kek]\nfrom = "file:kek"', {}],
    ['a variable', '[kek]\nfrom = "env:KEK"', { KEK: HEX }],
    ['a command', `[kek]\nfrom = 'command:${PRINT}'`, {}],
    [
      'a command that uses the environment',
      `[kek]\nfrom = 'command:["sh", "-c", "echo $KEK"]'`,
      { KEK: HEX, PATH: process.env['PATH']! },
    ],
    ['a name to be sealed under', '[kek]\nfrom = "file:kek"\nsealed_as = "main"', {}],
  ])('is loaded with a KEK from %s', (_, kek, env) => {
    const { keyring, kek: holder } = load(kek, sealed(), env)
    expect(keyring).toMatchObject({ name: 'main', revision: 1, groups: ['Trunk-A', 'gw 1'] })
    expect(holder?.find(KEK.id)?.id).toBe(KEK.id)
  })

  it.each<readonly [string, string, string, readonly RegExp[]]>([
    [
      'no KEK',
      '',
      sealed(),
      [/^main\.toml: line 3: seal: the keyring is sealed, and no key-encryption key is given/],
    ],
    [
      'another KEK',
      '[kek]\nfrom = "file:kek"',
      sealed(PLAIN, OTHER_KEK),
      [/^main\.toml: line 5: seal\.kek: it is sealed with another/],
    ],
    [
      'a KEK that is missing',
      '[kek]\nfrom = "file:nowhere"',
      sealed(),
      [/seal\.kek: the key-encryption key cannot be fetched: the file cannot be read \(ENOENT\)$/],
    ],
    [
      'a variable that is missing',
      '[kek]\nfrom = "env:NOWHERE"',
      sealed(),
      [/cannot be fetched: the environment variable is not set$/],
    ],
    [
      'a command that hangs',
      `[kek]\nfrom = 'command:["sleep", "60"]'\ncommand_timeout = 0.2`,
      sealed(),
      [/cannot be fetched: the command did not end within 0\.2 seconds$/],
    ],
    [
      'a keyring of another name',
      '[kek]\nfrom = "file:kek"\nsealed_as = "other"',
      sealed(),
      [/seal\.keyring: the keyring here must be the one sealed as "other"$/],
    ],
    [
      'a keyring in plaintext',
      '[kek]\nfrom = "file:kek"',
      PLAIN,
      [/^main\.toml: seal: is missing: the keyring is not sealed/],
    ],
    [
      'a changed keyring',
      '[kek]\nfrom = "file:kek"',
      sealed().replace('= true', '= false'),
      [/^main\.toml: line 7: seal\.mac: does not fit/],
    ],
    [
      'faults of its own',
      '[kek]\nform = "file:kek"',
      sealed(),
      [/^line 16: kek\.from: it is missing$/, /kek\.form: unknown setting/],
    ],
  ])('is refused with %s', (_, kek, keyring, issues) => {
    expect(issuesOf(kek, keyring)).toEqual(issues.map((issue) => expect.stringMatching(issue) as string))
  })

  it('is loaded without a KEK where nothing is sealed', () => {
    expect(load('', PLAIN).keyring).not.toHaveProperty('revision')
    expect(load('', PLAIN).kek).toBeUndefined()
  })

  it('is loaded with a new KEK once both are changed', async () => {
    const folder = folderWith({
      'edge.toml': edge('[kek]\nfrom = "file:kek"'),
      'main.toml': sealed(),
      kek: HEX,
    })
    const { kek } = loadConfig(join(folder, 'edge.toml'), {}, now)
    const again = sealKeyring(sealed(), { kek: OTHER_KEK, open: kek })
    expect(() => parseKeyring(again, { kek })).toThrow('it is sealed with another')
    writeFileSync(join(folder, 'kek'), KEK_BYTES.two)
    expect(await kek?.refetch()).toBe(true)
    expect(parseKeyring(again, { kek }).revision).toBe(2)
  })
})
