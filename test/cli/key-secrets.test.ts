import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { KEYS, MANY, place } from '../support/key-place.ts'
import { KEK_BYTES, sealed, SOURCE } from '../support/sealed.ts'
import { SECRETS } from '../support/signed-messages.ts'

/** A configuration with that keyring, and more at its end. */
const edgeOf = (more: string): string =>
  `keyring = "k.toml"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[agreements.main]
header = "X-Auth"
group = "Trunk-A"
algorithm = "hmac-sha256"
request = "$ru"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
${more}`

describe('a sealed keyring', () => {
  const env = { XKEYS_KEK: 'env:KEK', KEK: KEK_BYTES.one.toString('hex') }

  it('stays sealed, as the next revision', async () => {
    const { run, text } = place(sealed())
    const outcome = await run('add --keyring k.toml --group trunk-a --name new --reveal', env)
    expect(outcome).toMatchObject({ stderr: '', exit: 0 })
    const secret = /^xks_.*$/m.exec(outcome.stdout)![0]
    expect(text()).not.toContain(secret)
    expect(text()).not.toMatch(/^value/m)
    const ring = parseKeyring(text(), { kek: SOURCE })
    const added = ring.keys('Trunk-A').at(-1)!
    expect([ring.revision, added.name, added.secret.export().toString()]).toEqual([2, 'new', secret])
    expect((await run('revoke new --keyring k.toml --group trunk-a', env)).exit).toBe(0)
    expect((await run('prune --keyring k.toml', env)).exit).toBe(0)
    expect(parseKeyring(text(), { kek: SOURCE }).revision).toBe(4)
  })

  it('is not touched without its key-encryption key, or with another', async () => {
    const { run, text } = place(sealed())
    const before = text()
    for (const kek of [undefined, KEK_BYTES.two.toString('hex')]) {
      const given: Record<string, string> = kek === undefined ? {} : { XKEYS_KEK: 'env:KEK', KEK: kek }
      const { stderr, exit } = await run(`add --keyring k.toml --group trunk-a`, given)
      expect([text(), exit]).toEqual([before, 78])
      expect(stderr).toContain('key-encryption key')
    }
  })
})

describe('the keyring of a configuration', () => {
  it('is opened with the key-encryption key of the configuration, and added to', async () => {
    const { folder, run, text } = place(sealed())
    mkdirSync(join(folder, 'kek'), { mode: 0o700 })
    writeFileSync(join(folder, 'kek', 'one'), KEK_BYTES.one, { mode: 0o600 })
    writeFileSync(join(folder, 'edge.toml'), edgeOf('[kek]\nfrom = "file:kek/one"\n'))
    const { stdout, stderr, exit } = await run('add --config edge.toml --group Trunk-A --name new --json')
    expect([stderr, exit]).toEqual(['', 0])
    const ring = parseKeyring(text(), { kek: SOURCE })
    expect(JSON.parse(stdout)).toMatchObject({ fingerprint: ring.keys('Trunk-A').at(-1)!.fingerprint })
  })

  it('is relative to the configuration; a configuration that is not right is said to be so', async () => {
    const { folder, run, keys } = place()
    mkdirSync(join(folder, 'etc'))
    writeFileSync(join(folder, 'etc', 'edge.toml'), edgeOf('').replace('"k.toml"', '"../k.toml"'))
    expect((await run('add --config etc/edge.toml --group gw --name new')).exit).toBe(0)
    expect(keys()).toContain('new')
    writeFileSync(join(folder, 'etc', 'edge.toml'), 'keyring = 1\n')
    const { stderr, exit } = await run('list --config etc/edge.toml')
    expect([stderr, exit]).toEqual([expect.stringContaining('line 1: keyring: '), 78])
    expect(await run('list --keyring k.toml --config etc/edge.toml')).toMatchObject({ exit: 2 })
  })
})

describe('secrets out of reach', () => {
  const elsewhere =
    '[[groups.gw.keys]]\nname = "env"\nvalue_env = "GW_KEY"\n\n[[groups.gw.keys]]\nname = "file"\nvalue_file = "nowhere"\n'

  it('do not hinder whoever ends a key in a hurry', async () => {
    const { run, text, audit } = place(elsewhere)
    expect(await run('revoke file --keyring k.toml --group gw')).toEqual({
      stdout: 'key file of group gw is revoked, fingerprint unknown\n',
      stderr: '',
      exit: 0,
    })
    expect(text()).toMatch(/value_file = "nowhere"\nrevoked = \d{4}/)
    expect(audit()[0]).toMatchObject({ command: 'key revoke', key: 'file', fingerprint: 'unknown' })
  })

  it('are fetched where they can be', async () => {
    const { run } = place(elsewhere)
    const { stdout } = await run('list --keyring k.toml --json', { GW_KEY: SECRETS.new })
    const rows = JSON.parse(stdout) as readonly { readonly name: string; readonly fingerprint: string }[]
    expect(rows.map(({ name, fingerprint }) => [name, fingerprint])).toEqual([
      ['env', expect.stringMatching(/^[0-9a-f]{8}$/) as unknown],
      ['file', 'unknown'],
    ])
    expect(await run('show file --keyring k.toml --group gw --reveal')).toMatchObject({ stdout: '', exit: 1 })
  })
})

describe('the audit', MANY, () => {
  it('has every change and every secret that was shown: who, when, what, fingerprints', async () => {
    const { run, audit } = place()
    for (const command of [
      'list --keyring k.toml',
      'show k1 --keyring k.toml --group gw',
      'add --keyring k.toml --group gw --name k2 --expires 2099-01-01T00:00:00Z --active-from now --reveal',
      'show k1 --keyring k.toml --group gw --reveal',
      'revoke k1 --keyring k.toml --group gw',
      'prune --keyring k.toml',
      'prune --keyring k.toml',
    ]) {
      expect(await run(command, { SUDO_USER: 'alice' })).toMatchObject({ stderr: '', exit: 0 })
    }
    const print = expect.stringMatching(/^[0-9a-f]{8}$/) as unknown
    const who = {
      at: expect.stringMatching(/Z$/) as unknown,
      who: 'alice',
      host: expect.any(String) as unknown,
    }
    const lines = audit().filter(({ phase }) => phase !== 'end')
    expect(lines).toMatchObject([
      {
        ...who,
        command: 'key add',
        group: 'gw',
        key: 'k2',
        fingerprint: print,
        expires: '2099-01-01T00:00:00Z',
        source: 'value',
        revealed: true,
      },
      { ...who, command: 'key show', group: 'gw', key: 'k1', fingerprint: print, revealed: true },
      {
        ...who,
        command: 'key revoke',
        group: 'gw',
        key: 'k1',
        fingerprint: print,
        revoked: expect.any(String) as unknown,
      },
      {
        ...who,
        command: 'key prune',
        keys: [
          { group: 'gw', key: 'old', fingerprint: print },
          { group: 'gw', key: 'k1', fingerprint: print },
        ],
      },
    ])
    expect(lines).toHaveLength(4)
    const ends = audit().filter(({ phase }) => phase === 'end')
    expect(ends.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done'])
  })

  it('comes first: where it cannot be written nothing is changed and nothing shown', async () => {
    const { path, run, text } = place()
    mkdirSync(`${path}.audit`)
    for (const command of [
      'add --keyring k.toml --group gw --reveal',
      'show k1 --keyring k.toml --group gw --reveal',
    ]) {
      const { stdout, stderr, exit } = await run(command)
      expect([stdout, exit]).toEqual(['', 78])
      expect(stderr).toMatch(/^xkeys: \S+k\.toml\.audit: it cannot be written \(EISDIR\)\n$/)
    }
    expect(text()).toBe(KEYS)
  })

  it('has no secret, and neither has what is printed, without --reveal', async () => {
    const { folder, run, path, text } = place()
    writeFileSync(join(folder, 'other'), SECRETS.other)
    const outcomes: string[] = []
    for (const command of [
      'add --keyring k.toml --group gw --name k2',
      'add --keyring k.toml --group gw --name k3 --json',
      'add --keyring k.toml --group gw --name k4 --value-file other',
      'add --keyring k.toml --group gw --name k1',
      'list --keyring k.toml',
      'show k1 --keyring k.toml --group gw --json',
      'revoke k2 --keyring k.toml --group gw --json',
      'revoke k1 --keyring k.toml --group gw',
      'prune --keyring k.toml --json',
    ]) {
      const { stdout, stderr } = await run(command)
      outcomes.push(stdout, stderr)
    }
    const told = outcomes.join('') + readFileSync(`${path}.audit`, 'utf8')
    const secrets = [...Object.values(SECRETS), ...(text().match(/xks_[\w-]+/g) ?? [])]
    expect(secrets.length).toBeGreaterThan(3)
    for (const secret of secrets) expect(told).not.toContain(secret.slice(4, 20))
  })
})
