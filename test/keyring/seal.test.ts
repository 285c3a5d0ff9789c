import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { formatIssue, type ConfigError } from '../../src/errors.ts'
import { generateSecret } from '../../src/keyring/generate.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { openSecret } from '../../src/keyring/seal-crypto.ts'
import {
  isSealed,
  kekSourceOf,
  resealKeyring,
  sealKeyring,
  unsealKeyring,
  type KekSource,
} from '../../src/keyring/seal.ts'
import { KEK, OTHER_KEK, PLAIN, PLAIN_SECRETS, sealed, shown, SOURCE } from '../support/sealed.ts'
import { SECRETS } from '../support/signed-messages.ts'
import { errorOf } from './error-of.ts'

const now = new Date('2026-11-21T12:00:00Z')

/** Everything that decides about keys. */
const contentOf = (keyring: Keyring) =>
  keyring.groups.map((id) => [
    id,
    ...keyring.keys(id).map(({ secret, ...key }) => ({ ...key, secret: secret.export().toString('hex') })),
  ])
const opened = (toml: string, kek: KekSource = SOURCE): Keyring => parseKeyring(toml, { kek })

const issuesOf = (run: () => unknown): readonly string[] => {
  const error: ConfigError = errorOf(run)
  expect(error.code).toBe('ERR_KEYRING_INVALID')
  expect(shown(inspect(error, { depth: 9 }) + String(error.stack))).toEqual([])
  return error.issues.map(formatIssue)
}
/** What speaks against a sealed text that was tampered with. */
const refusal = (toml: string, kek: KekSource = SOURCE) => issuesOf(() => opened(toml, kek))

const block = (group: string, name: string, more: string): string =>
  `[[groups.${group}.keys]]\nname = "${name}"\n${more}\n`

describe('a sealed keyring', () => {
  const text = sealed()

  it('is what it was: groups, names, order, times, secrets', () => {
    expect(contentOf(opened(text))).toEqual(contentOf(parseKeyring(PLAIN)))
    expect(opened(text).list(now)).toEqual(parseKeyring(PLAIN).list(now))
  })

  it('tells its name and revision, which one in plaintext has not', () => {
    expect(opened(text)).toMatchObject({ name: 'main', revision: 1 })
    expect(parseKeyring(PLAIN)).not.toHaveProperty('revision')
    expect(parseKeyring(PLAIN)).not.toHaveProperty('name')
  })

  it('shows no secret', () => {
    expect(shown(PLAIN).length).toBeGreaterThan(0)
    expect(shown(text)).toEqual([])
    expect(shown(inspect(opened(text), { depth: 9 }))).toEqual([])
  })

  it('has one line of each key changed, and a table added; all else stays', () => {
    const lines = text.split('\n')
    const at = lines.indexOf('[seal]')
    expect(lines.slice(at, at + 6)).toEqual([
      '[seal]',
      'keyring = "main"',
      `kek = "${KEK.id}"`,
      'revision = 1',
      expect.stringMatching(/^mac = "[\w-]{43}"$/),
      '',
    ])
    expect(
      lines.toSpliced(at, 6).map((line) => line.replace(/sealed(\s*=\s*)"v1\.[\w-]+"/, 'SECRET$1')),
    ).toEqual(
      PLAIN.split('\n').map((line) => line.replace(/value\w*(\s*=\s*)(?:"[^"]+"|'[^']+')/, 'SECRET$1')),
    )
    // Above the comment that belongs to the first key.
    expect(lines[at + 6]).toBe('# Of the carrier.')
  })

  it('is known as such', () => {
    expect(isSealed(text)).toBe(true)
    expect([PLAIN, '', 'x = ', '# [seal]\n'].map(isSealed)).toEqual([false, false, false, false])
  })

  it.each([
    ['CRLF', (toml: string) => toml.replaceAll('\n', '\r\n')],
    ['a byte order mark', (toml: string) => `\uFEFF${toml}`],
    [
      'both, and no line end at the end',
      (toml: string) => `\uFEFF${toml.replaceAll('\n', '\r\n').slice(0, -2)}`,
    ],
    ['no comment above the first key', (toml: string) => toml.slice(toml.indexOf('[['))],
    ['one group, no lines between', (toml: string) => toml.replaceAll(/\n\n+/g, '\n')],
  ])('of a file with %s goes there and back', (_, made) => {
    const toml = made(PLAIN)
    const there = sealed(toml)
    expect(contentOf(opened(there))).toEqual(contentOf(parseKeyring(PLAIN)))
    expect(there.includes('\r')).toBe(toml.includes('\r'))
    const back = unsealKeyring(there, SOURCE)
    // Secrets come back as text.
    const asText = toml
      .replace(/value_hex(\s*=\s*)"\w+"/, `value$1"${SECRETS.new}"`)
      .replace(/value_base64(\s*=\s*)'[^']+'/, `value$1"${SECRETS.other}"`)
    expect(back).toBe(asText)
  })

  it.each(['', '# nothing yet\n', '# nothing'])('may be without keys: %j', (toml) => {
    const there = sealed(toml)
    expect(opened(there)).toMatchObject({ groups: [], revision: 1 })
    expect(refusal(there.replace('revision = 1', 'revision = 2'))).toHaveLength(1)
  })

  it('takes the secrets of variables and files in', () => {
    const toml = block('g', 'env', 'value_env = "A"') + block('g', 'file', 'value_file = "b"')
    const kept: Readonly<Record<string, string>> = { A: SECRETS.old, b: `${SECRETS.new}\n` }
    const resolve = ({ value }: { value: string }): Buffer => Buffer.from(kept[value]!)
    const there = sealKeyring(toml, { kek: KEK, keyring: 'main', resolve })
    expect(there).not.toMatch(/value_/)
    expect(
      opened(there)
        .keys('g')
        .map(({ secret }) => secret.export().toString()),
    ).toEqual([SECRETS.old, SECRETS.new])
    expect(issuesOf(() => sealed(toml))).toHaveLength(2)
  })

  it('may have more keys than can be used', () => {
    const toml = Array.from({ length: 20 }, (_, i) =>
      block('g', `k${i}`, `value = "${generateSecret()}"`),
    ).join('')
    const there = sealed(toml)
    expect(unsealKeyring(there, SOURCE)).toBe(toml)
    expect(issuesOf(() => opened(there))).toEqual([expect.stringContaining('at most 8 are allowed')])
  })

  it('still limits what it is: issues of keys are told beside those of the seal', () => {
    const there = sealed().replace('expires =', 'expries =')
    expect(refusal(there)).toEqual([
      expect.stringContaining('expries: is not known here: did you mean expires?'),
    ])
  })
})

describe('tampering', () => {
  const text = sealed()
  const values = Array.from(text.matchAll(/^ *sealed.*"(v1\.[\w-]+)"/gm), ([, value = '']) => value)
  const swap = (a: string, b: string): string => text.replace(a, '\0').replace(b, a).replace('\0', b)
  const blocks = text.split(/^(?=\[\[)/m)

  const MAC = /^line \d+: seal\.mac: does not fit: /
  const VALUE = /^line \d+: groups\..*\.sealed: cannot be opened: it was changed, or sealed for another/

  it.each<readonly [string, string, readonly RegExp[]]>([
    ['two keys of a group have each other’s value', swap(values[0]!, values[1]!), [VALUE, VALUE]],
    ['two keys of two groups have', swap(values[0]!, values[3]!), [VALUE, VALUE]],
    ['a value is another one’s', text.replace(values[1]!, values[0]!), [VALUE]],
    ['a key was renamed', text.replace('"2026-q3"', '"2026-q5"'), [VALUE]],
    [
      'a group was renamed',
      text.replace('"gw 1"', '"gw 2"').replace('"gw 1"', '"gw 2"').replace('"gw 1"', '"gw 2"'),
      [VALUE, VALUE, VALUE],
    ],
    ['a group has other letters', text.replaceAll('Trunk-A', 'trunk-a'), [MAC]],
    ['an end is later', text.replace('expires = 2027', 'expires = 2037'), [MAC]],
    ['an end is gone', text.replace(/^expires.*\n/m, ''), [MAC]],
    [
      'an end was added',
      text.replace('revoked = true', 'revoked = true\nexpires = 2027-01-01T00:00:00Z'),
      [MAC],
    ],
    ['a start is earlier', text.replace('2026-10-01', '2026-09-01'), [MAC]],
    ['a key is not revoked', text.replace('revoked = true', 'revoked = false'), [MAC]],
    ['a revocation is gone', text.replace('revoked = true\n', ''), [MAC]],
    ['a revocation has a date', text.replace('revoked = true', 'revoked = 2030-01-01T00:00:00Z'), [MAC]],
    ['a key was removed', [...blocks.slice(0, 2), ...blocks.slice(3)].join(''), [MAC]],
    ['the last key was removed', blocks.slice(0, -1).join(''), [MAC]],
    [
      'two equal keys were put in another order',
      [...blocks.slice(0, 4), `${blocks[5]}\n`, blocks[4]].join(''),
      [MAC],
    ],
    [
      'two groups were put in another order',
      [blocks[0], ...blocks.slice(3), ...blocks.slice(1, 3)].join('\n'),
      [MAC],
    ],
    ['the revision is higher', text.replace('revision = 1', 'revision = 2'), [MAC]],
    [
      'the MAC is another',
      text.replace(/mac = "./, (mac) => `${mac.slice(0, -1)}${mac.endsWith('A') ? 'B' : 'A'}`),
      [MAC],
    ],
    ['the MAC is empty', text.replace(/mac = ".*"/, 'mac = ""'), [/seal\.mac: must not be empty/]],
    ['the MAC is gone', text.replace(/mac = .*\n/, ''), [/seal\.mac: is missing/]],
    ['the revision is gone', text.replace(/revision = .*\n/, ''), [/seal\.revision: is missing/]],
    [
      'the revision is none',
      text.replace('revision = 1', 'revision = 0'),
      [/seal\.revision: must be a whole number/],
    ],
    ['the revision is a text', text.replace('revision = 1', 'revision = "1"'), [/seal\.revision: must be/]],
    [
      'a setting was added to the seal',
      text.replace('revision = 1', 'revision = 1\nsalt = 1'),
      [/seal\.salt: is not known/],
    ],
    ['the name is another', text.replace('"main"', '"other"'), Array.from({ length: 5 }, () => VALUE)],
    ['the KEK is another', text.replace(KEK.id, OTHER_KEK.id), [/seal\.kek: it is sealed with another/]],
    [
      'a key in plaintext was added',
      `${text}\n${block('g', 'k', `value = "${SECRETS.new}"`)}`,
      [/value: is not sealed, and in a sealed/],
    ],
    [
      'a key from a file was added',
      `${text}\n${block('g', 'k', 'value_file = "f"')}`,
      [/value_file: is not sealed/],
    ],
    [
      'a value is in plaintext',
      text.replace(`sealed = "${values[0]}"`, `value = "${SECRETS.new}"`),
      [/value: is not sealed/],
    ],
    [
      'the seal is gone',
      text.replace(/\[seal\]\n(?:.+\n){4}/, ''),
      Array.from({ length: 5 }, () => /sealed: refers to a secret outside/),
    ],
    [
      'the seal is no table',
      text.replace(/\[seal\]\n(?:.+\n){4}/, 'seal = "main"\n'),
      [/seal: must be written as a table \[seal\], is a string/],
    ],
  ])('%s', (_, tampered, issues) => {
    expect(tampered).not.toBe(text)
    const told = refusal(tampered)
    expect(told).toEqual(issues.map((issue) => expect.stringMatching(issue)))
  })

  it('a value of another keyring under the same KEK', () => {
    const other = sealKeyring(PLAIN, { kek: KEK, keyring: 'other' })
    const [value = ''] = /v1\.[\w-]+/.exec(other) ?? []
    expect(refusal(text.replace(values[0]!, value))).toEqual([expect.stringMatching(VALUE)])
  })

  it('a whole keyring in place of another under the same KEK, where its name is known', () => {
    const other = sealKeyring(PLAIN, { kek: KEK, keyring: 'other' })
    expect(opened(other, { ...SOURCE, keyring: 'other' }).name).toBe('other')
    expect(refusal(other, { ...SOURCE, keyring: 'main' })).toEqual([
      expect.stringMatching(/seal\.keyring: the keyring here must be the one sealed as "main"/),
    ])
  })

  it('the seal of an older revision on the newer content, and the other way round', () => {
    const newer = resealKeyring(text, text.replace('expires = 2027', 'expires = 2028'), SOURCE)
    const seal = /\[seal\]\n(?:.+\n){4}/
    const [old = '', next = ''] = [text, newer].map((toml) => seal.exec(toml)?.[0])
    expect(refusal(newer.replace(seal, old))).toEqual([expect.stringMatching(MAC)])
    expect(refusal(text.replace(seal, next))).toEqual([expect.stringMatching(MAC)])
  })

  it('plaintext in its place, where only a sealed one is accepted', () => {
    expect(opened(PLAIN).groups).toHaveLength(2)
    expect(refusal(PLAIN, { ...SOURCE, plaintext: 'refused' })).toEqual([
      'seal: is missing: the keyring is not sealed, and only a sealed one is accepted here',
    ])
  })

  it('comments, blanks and other ways of writing are no part of it', () => {
    const same = text
      .replace('# The keyring of the tests.\n', '')
      .replace('2026-10-01T02:00:00+02:00', '2026-10-01T00:00:00.000Z')
      .replaceAll('name = "2026-q4"', "  name='2026-q4'   # now")
    expect(contentOf(opened(same))).toEqual(contentOf(parseKeyring(PLAIN)))
  })
})

describe('the KEK of a keyring', () => {
  const text = sealed()

  it.each<readonly [string, KekSource | undefined, RegExp]>([
    [
      'none is given',
      undefined,
      /^line 3: seal: the keyring is sealed, and no key-encryption key is given to open it$/,
    ],
    [
      'another is given',
      kekSourceOf(OTHER_KEK),
      /^line 5: seal\.kek: it is sealed with another key-encryption key/,
    ],
    [
      'another goes by its id',
      { find: () => ({ id: KEK.id, key: OTHER_KEK.key }) },
      /cannot be opened: it was changed, or sealed for another/,
    ],
    [
      'it cannot be fetched',
      {
        find: () => {
          throw new Error('the environment variable is not set')
        },
      },
      /^line 5: seal\.kek: the key-encryption key cannot be fetched: the environment variable is not set$/,
    ],
  ])('%s', (_, kek, issue) => {
    const told = issuesOf(() => parseKeyring(text, { kek }))
    expect(told[0]).toMatch(issue)
    for (const line of told) expect(line).toMatch(issue)
  })

  it('is not asked for where nothing is sealed', () => {
    const asked: string[] = []
    const find = (id: string): undefined => void asked.push(id)
    expect(parseKeyring(PLAIN, { kek: { find } }).groups).toHaveLength(2)
    expect(asked).toEqual([])
  })

  it('one of several is found', () => {
    expect(opened(text, kekSourceOf(OTHER_KEK, KEK)).revision).toBe(1)
  })

  it('is looked for even where the keys have faults, which are all told', () => {
    const faults = text.replace('name = "2026-q3"', 'nmae = "2026-q3"')
    expect(issuesOf(() => parseKeyring(faults))).toEqual([
      expect.stringContaining('no key-encryption key is given'),
      expect.stringContaining('name: is missing'),
      expect.stringContaining('nmae: is not known here'),
    ])
  })
})

describe('sealing again with another KEK', () => {
  const before = sealed()
  const after = sealKeyring(before, { kek: OTHER_KEK, open: SOURCE })

  it('keeps the keyring and its name, as the next revision', () => {
    const keyring = opened(after, kekSourceOf(OTHER_KEK))
    expect(keyring).toMatchObject({ name: 'main', revision: 2 })
    expect(contentOf(keyring)).toEqual(contentOf(parseKeyring(PLAIN)))
  })

  it('leaves nothing that the old one opens', () => {
    expect(refusal(after)).toEqual([expect.stringContaining('it is sealed with another key-encryption key')])
    for (const [, value = ''] of after.matchAll(/"(v1\.[\w-]+)"/g)) {
      expect(before).not.toContain(value)
      for (const key of ['2026-q3', '2026-q4', 'stolen', 'first of equals', 'last of equals'])
        for (const group of ['Trunk-A', 'gw 1'])
          expect(openSecret(KEK, { keyring: 'main', group, key }, value)).toBeUndefined()
    }
  })

  it('needs the old one, and a keyring that was not changed', () => {
    expect(issuesOf(() => sealKeyring(before, { kek: OTHER_KEK }))).toHaveLength(1)
    expect(
      issuesOf(() => sealKeyring(before, { kek: OTHER_KEK, open: kekSourceOf(OTHER_KEK) })),
    ).toHaveLength(1)
    const edited = before.replace('revoked = true', 'revoked = false')
    expect(issuesOf(() => sealKeyring(edited, { kek: OTHER_KEK, open: SOURCE }))).toEqual([
      expect.stringContaining('seal.mac: does not fit'),
    ])
  })

  it('can give it another name: nothing of the old one opens under it', () => {
    const renamed = sealKeyring(before, { kek: KEK, keyring: 'renamed', open: SOURCE })
    expect(opened(renamed)).toMatchObject({ name: 'renamed', revision: 2 })
    expect(refusal(renamed.replace('"renamed"', '"main"'))).toHaveLength(5)
  })
})

describe('sealing an edited keyring', () => {
  const before = sealed()
  const reseal = (after: string, kek: KekSource = SOURCE): string => resealKeyring(before, after, kek)

  it('seals what was added, and leaves the other values as they are', () => {
    const added = block(
      'Trunk-A',
      '2027-q1',
      'value = "xks_cW9eRt4YuIo2PaSd6FgHj8KlZx1CvBn5MqNwEr7TyUz"  # new',
    )
    const after = reseal(before + added)
    expect(opened(after)).toMatchObject({ name: 'main', revision: 2 })
    expect(opened(after).keys('trunk-a').at(-1)).toMatchObject({ name: '2027-q1' })
    expect(after).not.toContain('xks_')
    expect(after).toMatch(/sealed = "v1\.[\w-]+" {2}# new\n$/)
    for (const [value] of before.matchAll(/v1\.[\w-]+/g)) expect(after).toContain(value)
  })

  it('takes changed dates, revocations, removed and reordered keys', () => {
    const changed = before
      .replace('expires = 2027-01-01', 'expires = 2026-12-01')
      .replace('revoked = true\n', '')
      .replace(/\[\[groups."gw 1".keys\]\]\nname = "first of equals"\n.*\n/, '')
    const keyring = opened(reseal(changed))
    expect(keyring.list(now).map(({ name, state }) => `${name} ${state}`)).toEqual([
      '2026-q3 overlapping',
      '2026-q4 active',
      'stolen overlapping',
      'last of equals active',
    ])
    expect(keyring.keys('trunk-a')[0]?.expires).toEqual(new Date('2026-12-01T00:00:00Z'))
  })

  it('counts up each time', () => {
    let text = before
    for (let i = 2; i < 6; i++) {
      text = resealKeyring(text, text, SOURCE)
      expect(opened(text).revision).toBe(i)
    }
  })

  it.each<readonly [string, () => string, RegExp]>([
    [
      'before it was changed',
      () => resealKeyring(before.replace('= true', '= false'), before, SOURCE),
      /seal\.mac: does not/,
    ],
    ['it was not sealed before', () => resealKeyring(PLAIN, before, SOURCE), /seal: is missing/],
    ['the seal is gone', () => reseal(PLAIN), /seal: is missing/],
    [
      'the seal was edited',
      () => reseal(before.replace('revision = 1', 'revision = 7')),
      /seal: only xkeys itself may change/,
    ],
    ['a key was renamed', () => reseal(before.replace('"stolen"', '"found"')), /sealed: cannot be opened/],
    [
      'the KEK is another',
      () => reseal(before, kekSourceOf(OTHER_KEK)),
      /seal\.kek: it is sealed with another/,
    ],
    [
      'what was added is elsewhere',
      () => reseal(before + block('g', 'k', 'value_env = "A"')),
      /value_env: refers to/,
    ],
    ['it is no keyring', () => reseal(`${before}expires = 1\n`), /last of equals|expires: must be a date/],
  ])('refuses: %s', (_, run, issue) => {
    expect(issuesOf(run)[0]).toMatch(issue)
  })
})

describe('what cannot be sealed', () => {
  it.each<readonly [string, string, readonly string[]]>([
    [
      'keys in inline tables',
      `groups.g.keys = [{ name = "a", value = "${SECRETS.old}" }]`,
      ['line 1: groups.g.keys[0].value: must stand on a line of its own, as name = "value", for this'],
    ],
    [
      'a secret over several lines',
      block('g', 'a', 'value = """\none\ntwo"""') + block('g', 'b', `value = '''${SECRETS.old}'''`),
      [
        'line 3: groups.g.keys[0].value: must stand on a line of its own, as name = "value", for this',
        'line 8: groups.g.keys[1].value: must stand on a line of its own, as name = "value", for this',
      ],
    ],
    [
      'a secret in a comment as well',
      block('g', 'a', `value = "${SECRETS.old}"  # was ${SECRETS.old}`),
      [
        'line 3: groups.g.keys[0].value: stands in the text a second time, in a comment or a name: take it out',
      ],
    ],
    [
      'a secret that another key has as its name',
      block('g', SECRETS.new, 'value = "x"') +
        block('g', 'a', `value_hex = "${Buffer.from(SECRETS.new).toString('hex')}"`),
      [
        'line 2: groups.g.keys[1].value_hex: stands in the text a second time, in a comment or a name: take it out',
      ],
    ],
    ['no keyring', 'groups = 1', ['line 1: groups: must be written as [[groups.ID.keys]], is a number']],
    [
      'a sealed value without a seal',
      block('g', 'a', 'sealed = "v1.x"'),
      [expect.stringContaining('sealed: refers to')],
    ],
  ])('%s', (_, toml, issues) => {
    expect(issuesOf(() => sealed(toml))).toEqual(issues)
  })

  it('a keyring without a name to be sealed under', () => {
    expect(issuesOf(() => sealKeyring(PLAIN, { kek: KEK }))).toEqual([
      'seal: the keyring needs a name to be sealed under',
    ])
    expect(issuesOf(() => sealKeyring(PLAIN, { kek: KEK, keyring: '' }))).toHaveLength(1)
  })

  it('a secret of a file that stands in a comment', () => {
    const toml = block('g', 'a', `value_file = "f"  # ${SECRETS.old}`)
    const options = { kek: KEK, keyring: 'main', resolve: () => Buffer.from(`${SECRETS.old}\n`) }
    expect(issuesOf(() => sealKeyring(toml, options))).toEqual([
      expect.stringContaining('value_file: stands in the text a second time'),
    ])
  })
})

const revisionOf = (toml: string, revision: number): number | undefined =>
  opened(sealKeyring(toml, { kek: KEK, keyring: 'main', open: SOURCE, revision })).revision

describe('the revision', () => {
  it('can be higher than the next one, and is never lower', () => {
    expect([1, 13].map((revision) => revisionOf(PLAIN, revision))).toEqual([1, 13])
    expect([1, 2, 13].map((revision) => revisionOf(sealed(), revision))).toEqual([2, 2, 13])
    for (const revision of [1.5, 2 ** 53]) expect(issuesOf(() => revisionOf(PLAIN, revision))).not.toEqual([])
  })
})

describe('unsealing', () => {
  it.each<readonly [string, string, KekSource]>([
    ['plaintext', PLAIN, SOURCE],
    ['what was changed', sealed().replace('revoked = true', 'revoked = false'), SOURCE],
    ['with another KEK', sealed(), kekSourceOf(OTHER_KEK)],
  ])('refuses %s', (_, toml, kek) => {
    expect(issuesOf(() => unsealKeyring(toml, kek)).length).toBeGreaterThan(0)
  })

  it('refuses a seal that is no table with a header', () => {
    const inline = sealed().replace(
      /\[seal\]\n((?:.+\n){4})/,
      (_, settings: string) => `seal = { ${settings.trim().replaceAll('\n', ', ')} }\n`,
    )
    expect(opened(inline).revision).toBe(1)
    expect(issuesOf(() => unsealKeyring(inline, SOURCE))).toHaveLength(4)
  })

  it('gives secrets that are no text as base64', () => {
    const toml = block('g', 'a', 'value_hex = "00ff10"')
    expect(unsealKeyring(sealed(toml), SOURCE)).toBe(block('g', 'a', 'value_base64 = "AP8Q"'))
  })

  it('gives every secret back', () => {
    const plain = unsealKeyring(sealed(), SOURCE)
    for (const secret of PLAIN_SECRETS) expect(plain).toContain(secret)
    expect(plain).not.toMatch(/seal/)
  })
})
