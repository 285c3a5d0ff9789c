import { describe, expect, it } from 'vitest'
import { formatIssue } from '../../src/errors.ts'
import {
  appendKey,
  removeKey,
  removeKeySetting,
  setKeySetting,
  tomlDate,
  tomlString,
} from '../../src/keyring/edit-toml.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { errorOf } from './error-of.ts'

const FILE = `# Keys of the gateway.

# contract 17
[[groups.gw.keys]]
name = "k1"      # the first
value = "s1"
expires = 2027-01-01T00:00:00Z   # then it ends

# a note
[[ groups . "g 2" . keys ]]  # spaced
  name='k2'
  # inside
  value = 's2'
  active_from=2026-10-01 02:00:00+02:00# tight

# the end`

const gw = (name: string) => ({ group: 'gw', name })
const issuesOf = (run: () => unknown): readonly string[] => errorOf(run).issues.map(formatIssue)
const TIME = '2026-12-01T00:00:00Z'

/** The lines that an edit took, and those it brought. */
function changesOf(before: string, after: string): { readonly gone: string[]; readonly come: string[] } {
  const [old, now] = [before.split('\n'), after.split('\n')]
  return { gone: without(old, now), come: without(now, old) }
}

/** Lines that are not among the others, each counted as often as it occurs. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const rest = [...others]
  return lines.filter((line) => {
    const at = rest.indexOf(line)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

const blockOf = (name: string): string => `[[groups.gw.keys]]\nname = "${name}"\nvalue = "s"\n`

describe('appendKey', () => {
  it('puts a block at the end', () => {
    const key = {
      name: 'k3',
      settings: [
        ['value', '"s3"'],
        ['expires', TIME],
      ] as const,
    }
    expect(appendKey(FILE, 'new', key)).toBe(
      `${FILE}\n\n[[groups.new.keys]]\nname = "k3"\nvalue = "s3"\nexpires = ${TIME}\n`,
    )
  })

  it('begins a file that holds nothing', () => {
    const block = '[[groups.gw.keys]]\nname = "k"\nvalue = "s"\n'
    const key = { name: 'k', settings: [['value', '"s"']] as const }
    expect(appendKey('', 'gw', key)).toBe(block)
    expect(appendKey('\uFEFF', 'gw', key)).toBe(`\uFEFF${block}`)
    expect(appendKey('# none yet\n\n', 'gw', key)).toBe(`# none yet\n\n${block}`)
  })

  it.each([
    ['GW', '[[groups.gw.keys]]'],
    ['G 2', '[[groups."g 2".keys]]'],
    ['other 3', '[[groups."other 3".keys]]'],
    ['a"\\b', String.raw`[[groups."a\"\\b".keys]]`],
  ])('spells the group %j as the file does, or quotes it', (group, header) => {
    const after = appendKey(FILE, group, { name: 'k', settings: [['value', '"s"']] })
    expect(after.split('\n').at(-4)).toBe(header)
  })

  it.each([
    ['a name that the group has', 'gw', { name: 'k1', settings: [['value', '"s"']] as const }],
    ['no secret', 'gw', { name: 'k9', settings: [] }],
    [
      'two secrets',
      'gw',
      {
        name: 'k9',
        settings: [
          ['value', '"s"'],
          ['value_hex', '"00"'],
        ] as const,
      },
    ],
    [
      'a setting twice',
      'gw',
      {
        name: 'k9',
        settings: [
          ['value', '"s"'],
          ['value', '"t"'],
        ] as const,
      },
    ],
    [
      'an unknown setting',
      'gw',
      {
        name: 'k9',
        settings: [
          ['value', '"s"'],
          ['colour', '"red"'],
        ] as const,
      },
    ],
    ['a control character in its name', 'gw', { name: 'a\nb', settings: [['value', '"s"']] as const }],
    ['a group without a name', '', { name: 'k9', settings: [['value', '"s"']] as const }],
    ['a group that no object may have', '__proto__', { name: 'k9', settings: [['value', '"s"']] as const }],
  ])('refuses %s', (_, group, key) => {
    expect(issuesOf(() => appendKey(FILE, group, key))).not.toEqual([])
  })
})

describe('setKeySetting', () => {
  it('changes a value and nothing else on its line', () => {
    const after = setKeySetting(FILE, gw('k1'), 'expires', TIME)
    expect(changesOf(FILE, after)).toEqual({
      gone: ['expires = 2027-01-01T00:00:00Z   # then it ends'],
      come: [`expires = ${TIME}   # then it ends`],
    })
    const tight = setKeySetting(FILE, { group: 'g 2', name: 'k2' }, 'active_from', TIME)
    expect(changesOf(FILE, tight).come).toEqual([`  active_from=${TIME}# tight`])
  })

  it('adds a line below the others of the key, as they are indented', () => {
    const after = setKeySetting(FILE, { group: 'G 2', name: 'k2' }, 'revoked', 'true')
    expect(changesOf(FILE, after)).toEqual({ gone: [], come: ['  revoked = true'] })
    expect(after).toContain('# tight\n  revoked = true\n\n# the end')
  })

  it('keeps CRLF, and a last line without an end', () => {
    const crlf = '[[groups.gw.keys]]\r\nname = "k1"\r\nvalue = "s1"'
    expect(setKeySetting(crlf, gw('k1'), 'expires', TIME)).toBe(`${crlf}\r\nexpires = ${TIME}`)
    expect(setKeySetting(crlf, gw('k1'), 'value', '"s2"')).toBe(crlf.replace('s1', 's2'))
    const appended = appendKey(crlf, 'gw', { name: 'k2', settings: [['value', '"s"']] })
    expect(appended).toBe(`${crlf}\r\n\r\n[[groups.gw.keys]]\r\nname = "k2"\r\nvalue = "s"\r\n`)
  })

  it('finds the right one of keys with like names', () => {
    const toml = ['gw', 'gx']
      .flatMap((id) => ['a', 'aa'].map((n) => `[[groups.${id}.keys]]\nname = "${n}"\nvalue = "${id}${n}"\n`))
      .join('')
    const ring = parseKeyring(setKeySetting(toml, { group: 'gx', name: 'a' }, 'revoked', 'true'))
    const revoked = ring.groups.flatMap((id) =>
      ring
        .keys(id)
        .filter((key) => key.revoked)
        .map((key) => [id, key.name]),
    )
    expect(revoked).toEqual([['gx', 'a']])
  })

  it.each([
    ['an end before its start', { group: 'g 2', name: 'k2' }, 'expires', '2020-01-01T00:00:00Z'],
    ['a date without an offset', gw('k1'), 'expires', '2027-01-01T00:00:00'],
    ['a date that does not exist', gw('k1'), 'expires', '2027-02-30T00:00:00Z'],
    ['a string for a date', gw('k1'), 'expires', '"tomorrow"'],
    ['a second secret', gw('k1'), 'value_env', '"X"'],
    ['an unknown setting', gw('k1'), 'expries', TIME],
    ['a setting with a dot', gw('k1'), 'expires.at', TIME],
    ['another group', { group: 'gq', name: 'k1' }, 'expires', TIME],
    ['no value', gw('k1'), 'expires', ''],
    ['a value that brings a setting', gw('k1'), 'expires', `${TIME}\nrevoked = true`],
    ['a value that brings a block', gw('k1'), 'value', '"s"\n[[groups.x.keys]]'],
    ['a value that brings a remark', gw('k1'), 'expires', `${TIME} # x`],
    ['a list', gw('k1'), 'value', '["a"]'],
    ['a table', gw('k1'), 'value', '{ a = 1 }'],
    ['a string of several lines', gw('k1'), 'value', '"""a"""'],
  ])('refuses %s', (_, ref, setting, value) => {
    expect(issuesOf(() => setKeySetting(FILE, ref, setting, value))).not.toEqual([])
  })

  it('says which key there is where the name is off', () => {
    expect(issuesOf(() => setKeySetting(FILE, gw('k2'), 'revoked', 'true'))).toEqual([
      'groups.gw: has no key "k2": did you mean "k1"?',
    ])
  })
})

describe('removeKeySetting', () => {
  it('takes the line and leaves the remark', () => {
    expect(changesOf(FILE, removeKeySetting(FILE, gw('k1'), 'expires'))).toEqual({
      gone: ['expires = 2027-01-01T00:00:00Z   # then it ends'],
      come: ['# then it ends'],
    })
  })

  it('changes nothing where there is none', () => {
    expect(removeKeySetting(FILE, gw('k1'), 'revoked')).toBe(FILE)
  })

  it('refuses what a key cannot do without', () => {
    expect(issuesOf(() => removeKeySetting(FILE, gw('k1'), 'value'))[0]).toContain('has no secret')
    expect(issuesOf(() => removeKeySetting(FILE, gw('k1'), 'name'))[0]).toContain('name: is missing')
  })
})

describe('removeKey', () => {
  it('takes the block with what is inside, and leaves what is around', () => {
    const after = removeKey(FILE, { group: 'g 2', name: 'k2' })
    expect(changesOf(FILE, after).come).toEqual([])
    expect(after).toBe(`${FILE.split('[[ groups')[0]}\n# the end`)
  })

  it('leaves one gap of two, and none at the end', () => {
    const file = ['a', 'b', 'c'].map(blockOf).join('\n')
    expect(removeKey(file, gw('b'))).toBe(['a', 'c'].map(blockOf).join('\n'))
    expect(removeKey(file, gw('a'))).toBe(['b', 'c'].map(blockOf).join('\n'))
    expect(removeKey(file, gw('c'))).toBe(['a', 'b'].map(blockOf).join('\n'))
    expect(removeKey(blockOf('a'), gw('a'))).toBe('')
  })
})

describe('a sealed keyring', () => {
  const seal = '[seal]\nkeyring = "main"\nkek = "00"\nrevision = 12\nmac = "00"\n'

  it('is edited around its seal, which others renew', () => {
    const key = '[[groups.gw.keys]]\nname = "k1"\nsealed = "v1.x"\n'
    for (const text of [`${seal}\n${key}`, `${key}\n${seal}`]) {
      const after = setKeySetting(text, gw('k1'), 'revoked', 'true')
      expect(changesOf(text, after)).toEqual({ gone: [], come: ['revoked = true'] })
      expect(appendKey(text, 'gw', { name: 'k2', settings: [['value', '"s"']] })).toContain('name = "k2"')
    }
  })
})

describe('what is not a block with a setting a line', () => {
  const SECRET = 'hush-hush-hush'
  const key = `{ name = "a", value = "${SECRET}" }`
  it.each([
    ['inline tables', `[groups.x]\nkeys = [${key}]\n`, [1, 2]],
    ['an inline table of groups', `groups = { x = { keys = [${key}] } }\n`, [1]],
    ['dotted names', `groups.x.keys = [${key}]\n`, [1]],
    ['a header around', `[groups]\n[[groups.x.keys]]\nname = "a"\nvalue = "${SECRET}"\n`, [1]],
    ['a quoted header', `[["groups".x.keys]]\nname = "a"\nvalue = "${SECRET}"\n`, [1, 2, 3]],
    ['a string of several lines', `[[groups.x.keys]]\nname = "a"\nvalue = """\n${SECRET}"""\n`, [3, 4]],
    ['a literal of several lines', `[[groups.x.keys]]\nname = "a"\nvalue = '''${SECRET}'''\n`, [3]],
    [
      'a block in a string',
      `[[groups.x.keys]]\nname = "a"\nvalue = """\n[[groups.x.keys]]\nname = "b"\nvalue = "${SECRET}"\n"""\n`,
      [3, 7],
    ],
  ])('is refused, and its lines are named: %s', (_, toml, lines) => {
    expect(parseKeyring(toml).groups).toEqual(['x'])
    for (const edit of [
      () => appendKey(toml, 'x', { name: 'b', settings: [['value', '"s"']] }),
      () => setKeySetting(toml, { group: 'x', name: 'a' }, 'revoked', 'true'),
      () => removeKeySetting(toml, { group: 'x', name: 'a' }, 'expires'),
      () => removeKey(toml, { group: 'x', name: 'a' }),
    ]) {
      const error = errorOf(edit)
      expect(error.code).toBe('ERR_KEYRING_INVALID')
      expect(error.issues.map(({ line }) => line)).toEqual(lines)
      expect(error.message).not.toContain(SECRET)
    }
  })

  it('is refused where it is not TOML or not a keyring', () => {
    expect(issuesOf(() => removeKey('[[groups', gw('a')))[0]).toContain('not valid TOML')
    expect(issuesOf(() => removeKey('title = "x"\n', gw('a')))[0]).toContain('line 1')
    expect(
      issuesOf(() =>
        appendKey('[[groups.gw.keys]]\nname = "a"\n', 'b', { name: 'b', settings: [['value', '"s"']] }),
      )[0],
    ).toContain('has no secret')
  })
})

describe('values as TOML writes them', () => {
  it.each(['', 'plain', 'with "quotes" and \\', 'tab\there', '\x7f\x00\u2028é', "'"])(
    'a string: %j',
    (text) => {
      const ring = parseKeyring(`[[groups.g.keys]]\nname = "k"\nvalue = ${tomlString(`${text}!`)}\n`)
      expect(ring.keys('g')[0]!.secret.export().toString()).toBe(`${text}!`)
    },
  )

  it.each([
    ['2026-10-01T00:00:00.000Z', '2026-10-01T00:00:00Z'],
    ['2026-10-01T00:00:00.120Z', '2026-10-01T00:00:00.120Z'],
  ])('an instant: %s', (date, written) => {
    expect(tomlDate(new Date(date))).toBe(written)
  })
})
