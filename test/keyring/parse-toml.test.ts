import { describe, expect, it } from 'vitest'
import { parseKeyring, type ParseKeyringOptions } from '../../src/keyring/parse-toml.ts'
import { errorOf } from './error-of.ts'

const now = new Date('2026-11-21T12:00:00Z')

const refusal = (toml: string, options?: ParseKeyringOptions) => errorOf(() => parseKeyring(toml, options))

const block = (i: number, more = ''): string => `[[groups.g.keys]]\nname = "k${i}"\nvalue = "${i}"\n${more}\n`

const notFound = ({ value }: { value: string }): never => {
  throw new Error(`ENOENT: no such file or directory, open '${value}'`)
}

const secretOf = (settings: string, options?: ParseKeyringOptions): string =>
  parseKeyring(`[[groups.g.keys]]\nname = "n"\n${settings}`, options)
    .activeKey('g', now)!
    .secret.export()
    .toString('latin1')

describe('parseKeyring', () => {
  it('reads every setting', () => {
    const keyring = parseKeyring(`
[[groups.trunk-a.keys]]
name = "2026-q4"
value = "xks_first"
active_from = 2026-10-01T00:00:00Z
expires = 2027-04-01T02:00:00+02:00
revoked = 2027-01-01T00:00:00Z

[[groups."gw 1".keys]]
name = "gone"
value = "gone"
revoked = true

[[groups.trunk-a.keys]]
name = "next"
value = "xks_second"
active_from = 2027-01-01T00:00:00Z
revoked = false
`)
    expect(keyring.groups).toEqual(['trunk-a', 'gw 1'])
    expect(keyring.keys('trunk-a')[0]).toMatchObject({
      name: '2026-q4',
      activeFrom: new Date('2026-10-01T00:00:00Z'),
      expires: new Date('2027-04-01T00:00:00Z'),
      revoked: new Date('2027-01-01T00:00:00Z'),
    })
    expect(keyring.keys('trunk-a')[1]).not.toHaveProperty('revoked')
    expect(keyring.list(now).map(({ state }) => state)).toEqual(['active', 'pending', 'revoked'])
  })

  it('an empty text is an empty keyring', () => {
    expect(parseKeyring('').groups).toEqual([])
  })

  it('other ways of writing the same tables are the same', () => {
    const keyring = parseKeyring('groups.g.keys = [{ name = "a", value = "1" }, { name = "b", value = "2" }]')
    expect(keyring.keys('g').map(({ name }) => name)).toEqual(['a', 'b'])
  })

  describe('secrets', () => {
    it.each([
      ['value = "clé"', Buffer.from('clé').toString('latin1')],
      ['value = " x\\n"', ' x\n'],
      ['value_base64 = "AAH/"', '\x00\x01\xff'],
      ['value_base64 = "YWI="', 'ab'],
      ['value_hex = "00aAFf"', '\x00\xaa\xff'],
    ])('%s', (settings, secret) => {
      expect(secretOf(settings)).toBe(secret)
    })

    it.each([
      ['value = ""', 'gives an empty secret'],
      ['value_base64 = ""', 'gives an empty secret'],
      ['value_base64 = "s3cr3t"', 'is not base64 (RFC 4648 section 4, padded)'],
      ['value_base64 = "YWI"', 'is not base64 (RFC 4648 section 4, padded)'],
      ['value_base64 = "_-8="', 'is not base64 (RFC 4648 section 4, padded)'],
      ['value_base64 = "YWJ="', 'is not base64 (RFC 4648 section 4, padded)'],
      ['value_hex = "abc"', 'is not hexadecimal, two digits a byte'],
      ['value_hex = "s3cr3t"', 'is not hexadecimal, two digits a byte'],
      ['value = 12345', 'must be a string, is a number'],
      ['value = ["s3cr3t"]', 'must be a string, is an array'],
      ['value_env = ""', 'must not be empty'],
      ['value_env = "s3cr3t"', 'refers to a secret outside of this text, and none can be fetched here'],
      ['value_file = "s3cr3t"', 'refers to a secret outside of this text, and none can be fetched here'],
      ['sealed = "s3cr3t"', 'refers to a secret outside of this text, and none can be fetched here'],
    ])('%s: %s', (settings, message) => {
      const error = refusal(`[[groups.g.keys]]\nname = "n"\n${settings}`)
      expect(error.issues).toEqual([{ path: `groups.g.keys[0].${settings.split(' ')[0]}`, line: 3, message }])
      expect(String(error.stack)).not.toContain('s3cr3t')
    })

    it('wants exactly one', () => {
      expect(refusal('[[groups.g.keys]]\nname = "n"').issues).toEqual([
        {
          path: 'groups.g.keys[0]',
          line: 1,
          message: 'has no secret: give one of value, value_base64, value_hex, value_env, value_file',
        },
      ])
      expect(refusal('[[groups.g.keys]]\nname = "n"\nvalue_hex = "00"\nvalue = "s3cr3t"').issues).toEqual([
        {
          path: 'groups.g.keys[0].value_hex',
          line: 3,
          message: 'stands beside value: give only one of them',
        },
      ])
    })

    it('fetches the ones that are elsewhere', () => {
      const asked: unknown[] = []
      const resolve: ParseKeyringOptions['resolve'] = (reference) => {
        asked.push(reference)
        return Buffer.from('fetched \n\n')
      }
      expect(secretOf('value_env = "A"', { resolve })).toBe('fetched \n\n')
      expect(secretOf('value_file = "/b"', { resolve })).toBe('fetched \n')
      expect(secretOf('sealed = "c"', { resolve })).toBe('fetched \n\n')
      expect(asked).toEqual([
        { kind: 'env', value: 'A' },
        { kind: 'file', value: '/b' },
        { kind: 'sealed', value: 'c' },
      ])
    })

    it.each([
      ['a\n', 'a'],
      ['a\r\n', 'a'],
      ['a', 'a'],
      ['\na', '\na'],
      ['a\r', 'a\r'],
    ])('cuts one newline at the end of a file: %j', (content, secret) => {
      expect(secretOf('value_file = "f"', { resolve: () => Buffer.from(content) })).toBe(secret)
    })

    it('says why one cannot be fetched, but not what was mistaken for its name', () => {
      expect(
        refusal('[[groups.g.keys]]\nname = "n"\nvalue_file = "s3cr3t"', { resolve: notFound }).issues,
      ).toEqual([
        {
          path: 'groups.g.keys[0].value_file',
          line: 3,
          message: "cannot be fetched: ENOENT: no such file or directory, open '…'",
        },
      ])
      const empty = { resolve: () => Buffer.from('\n') }
      expect(refusal('[[groups.g.keys]]\nname = "n"\nvalue_file = "f"', empty).issues[0]?.message).toBe(
        'gives an empty secret',
      )
    })
  })

  it.each([
    ['expires = 2026-10-01T00:00:00', /without quotes.* is a local date or time/],
    ['expires = 2026-10-01', /is a local date or time/],
    ['expires = "2026-10-01T00:00:00Z"', /is a string/],
    ['expires = 3600', /is a number/],
    ['active_from = 10:00:00', /is a local date or time/],
    ['revoked = "yes"', /must be true or a date/],
    ['revoked = 2026-10-01', /must be true or a date/],
    ['expires = 2026-02-30T00:00:00Z', /is not a date and time that exists/],
  ])('refuses %s', (settings, message) => {
    const { issues } = refusal(`[[groups.g.keys]]\nname = "n"\nvalue = "s3cr3t"\n${settings}`)
    expect(issues).toEqual([
      {
        path: `groups.g.keys[0].${settings.split(' ')[0]}`,
        line: 4,
        message: expect.stringMatching(message),
      },
    ])
  })

  it('reports everything at once, each with its line', () => {
    const error = refusal(
      `
group = 1
[[groups.trunk-a.keys]]
nmae = "a"
value = "s3cr3t"
expire = 2030-01-01T00:00:00Z
activeFrom = 2030-01-01T00:00:00Z

[[groups.trunk-a.keys]]
name = "b"
value = "s3cr3t"
active_from = 2030-01-02T00:00:00Z
expires = 2030-01-02T00:00:00Z

[[groups.trunk-a.keys]]
name = "b"
secret_value = "s3cr3t"

[[groups.Trunk-A.keys]]
name = ""
value = "s3cr3t"
zzzzzzzzzzzzzzzz = 1

[groups.empty]
comment = "s3cr3t"

[[groups.list]]
name = "s3cr3t"
`,
      { maxKeysPerGroup: 2 },
    )
    expect(error.issues.map(({ line, path, message }) => `${line} ${path}: ${message}`)).toEqual([
      '2 group: is not known here: did you mean groups?',
      '3 groups.trunk-a.keys[0].name: is missing',
      '3 groups.trunk-a.keys: has 3 keys that may be used at once, at most 2 are allowed: remove ended keys or raise the limit',
      '4 groups.trunk-a.keys[0].nmae: is not known here: did you mean name?',
      '6 groups.trunk-a.keys[0].expire: is not known here: did you mean expires?',
      '7 groups.trunk-a.keys[0].activeFrom: is not known here: did you mean active_from?',
      '13 groups.trunk-a.keys[1].expires: must be later than active_from, or the key would never sign',
      '15 groups.trunk-a.keys[2]: has no secret: give one of value, value_base64, value_hex, value_env, value_file',
      '16 groups.trunk-a.keys[2].name: repeats the name of keys[1]',
      expect.stringMatching(/^17 groups\.trunk-a\.keys\[2\]\.secret_value: is not known here/),
      '19 groups.Trunk-A: is the same group as "trunk-a": ids are compared without regard to case',
      '20 groups.Trunk-A.keys[0].name: must not be empty',
      '22 groups.Trunk-A.keys[0].zzzzzzzzzzzzzzzz: is not known here',
      '24 groups.empty: has no keys: each is written as a table [[groups.ID.keys]]',
      expect.stringMatching(/^25 groups\.empty\.comment: is not known here/),
      '27 groups.list: must be written as [[groups.ID.keys]], is an array',
    ])
    expect(String(error.stack) + JSON.stringify(error)).not.toContain('s3cr3t')
  })

  it('reports broken TOML with its line and without the text around it', () => {
    const error = refusal('[[groups.g.keys]]\nname = "n"\nvalue = "s3cr3t\nexpires = 2030-01-01T00:00:00Z')
    expect(error.issues).toEqual([
      { path: 'column 16', line: 3, message: 'not valid TOML: Unterminated string' },
    ])
    expect(String(error.stack)).not.toContain('s3cr3t')
    expect(error.cause).toBeUndefined()
    expect(error.code).toBe('ERR_KEYRING_INVALID')
  })

  it.each([
    'groups = 1',
    '[[groups]]',
    'groups.g = "s3cr3t"',
    'groups.g.keys = []',
    'groups.g.keys = ["s3cr3t"]',
  ])('refuses %s', (toml) => {
    const error = refusal(toml)
    expect(error.issues).toEqual([
      expect.objectContaining({ line: 1, path: expect.stringMatching(/^groups/) }),
    ])
    expect(error.message).not.toContain('s3cr3t')
  })

  it('limits usable keys, not ended ones', () => {
    const nine = Array.from({ length: 9 }, (_, i) => block(i)).join('')
    expect(refusal(nine).issues).toEqual([expect.objectContaining({ path: 'groups.g.keys', line: 1 })])
    expect(parseKeyring(nine, { maxKeysPerGroup: 9 }).keys('g')).toHaveLength(9)
    const withEnded = block(0, 'expires = 2020-01-01T00:00:00Z') + nine.slice(block(0).length)
    expect(parseKeyring(withEnded, { now }).verificationKeys('g', now)).toHaveLength(8)
  })
})
