import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/keyring/generate.ts'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { lintKeyring } from '../../src/keyring/lint.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'

const lint = (secret: string | Uint8Array) =>
  lintKeyring(createKeyring([['trunk-a', [createKey({ name: '2026-q4', secret })]]]))

describe('lintKeyring', () => {
  it('names group and key, never the secret', () => {
    const issues = lint('hunter2')
    expect(issues).toEqual([
      {
        path: 'groups.trunk-a.keys[0]',
        group: 'trunk-a',
        name: '2026-q4',
        kind: 'weak',
        message: 'the secret of "2026-q4" is shorter than 16 bytes: generate one',
      },
    ])
    expect(JSON.stringify(issues)).not.toContain('hunter2')
  })

  it.each(['secret', 'Secret1', 'kamailio_rules', 'password', 'old-secret-2019', 'changeme'])(
    '%s is published',
    (secret) => {
      expect(lint(secret)).toEqual([expect.objectContaining({ kind: 'published' })])
    },
  )

  const root = new URL('../../keyrings/', import.meta.url)
  const files = ['demo.toml', ...readdirSync(new URL('rotation/', root)).map((name) => `rotation/${name}`)]
  it.each(files)('every key of %s is published', (file) => {
    const keyring = parseKeyring(readFileSync(new URL(file, root), 'utf8'))
    const issues = lintKeyring(keyring)
    expect(issues.map(({ kind }) => kind)).toEqual(keyring.list(new Date(0)).map(() => 'published'))
  })

  it.each([
    ['short', 'shorter than'],
    ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'few different'],
    [Buffer.alloc(32), 'few different'],
    ['0123456789abcdef'.repeat(4), 'repeats'],
    ['hG7$kQ2!'.repeat(2), 'repeats'],
    ['abcdefghijklmnopqrstuvwxyz', 'neighbouring'],
    ['9876543210zyxwvutsrqponm', 'neighbouring'],
    ['my-super-secret-password-2026', 'common words'],
    ['Kamailio Trunk Secret 2026!', 'common words'],
    ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaazmhtrpl', 'mostly one'],
  ])('%j is weak: %s', (secret, message) => {
    expect(lint(secret)).toEqual([
      expect.objectContaining({ kind: 'weak', message: expect.stringContaining(message) }),
    ])
  })

  it('has nothing to say about random secrets', () => {
    for (let i = 0; i < 1000; i++) {
      const secret = generateSecret()
      const bytes = Buffer.from(secret.slice(4), 'base64url')
      expect(
        [secret, bytes, bytes.toString('hex'), bytes.subarray(16).toString('hex')].flatMap(lint),
      ).toEqual([])
    }
  })

  it('looks at ended keys, too', () => {
    const key = createKey({ name: 'old', secret: 'secret', revoked: new Date(0) })
    expect(lintKeyring(createKeyring([['g', [key]]]))).toHaveLength(1)
  })
})
