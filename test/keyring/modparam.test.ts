import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createKey, type Key } from '../../src/keyring/key.ts'
import { createKeyring } from '../../src/keyring/keyring.ts'
import { exportModparams, importModparams } from '../../src/keyring/modparam.ts'
import { endOf } from '../../src/keyring/state.ts'
import { errorOf } from './error-of.ts'

interface Fixture {
  readonly xkey_modparams_in_order: readonly string[]
  readonly groups_in_check_order: Readonly<Record<string, readonly { name: string; value: string }[]>>
}
const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../fixtures/keyring.json', import.meta.url), 'utf8'),
)

const now = new Date('2026-11-21T12:00:00Z')
const day = 86_400_000
const later = (ms: number): Date => new Date(now.getTime() + ms)
const secretOf = (key: Key | undefined): string | undefined => key?.secret.export().toString('latin1')
const valueOf = (lines: string): string | undefined =>
  secretOf(importModparams(lines, now).activeKey('g', now))

type Times = Partial<Pick<Key, 'activeFrom' | 'expires' | 'revoked'>>
const make = (name: string, secret: string | Uint8Array, times: Times = {}): Key =>
  createKey({ name, secret, ...times })

const summary = (key: Key | undefined): string => (key ? `${key.name} ${key.fingerprint}` : 'none')

const text = (maxLength: number) =>
  fc.string({
    minLength: 1,
    maxLength,
    unit: fc.constantFrom(
      'a',
      'x',
      '4',
      '1',
      '\\',
      '"',
      "'",
      ';',
      ',',
      '=',
      ' ',
      '\t',
      '>',
      '#',
      'é',
      '鍵',
      '/',
    ),
  })

const exported = (secret: string | Uint8Array): string =>
  exportModparams(createKeyring([['g', [make('n', secret)]]]), now)

const writable = (value: string): boolean => !/'.*"|".*'/.test(value)

describe('importModparams', () => {
  describe.each([
    ['bare lines', fixture.xkey_modparams_in_order.join('\n')],
    [
      'modparam statements',
      fixture.xkey_modparams_in_order
        .map((value) => `modparam("auth_xkeys", "xkey", "${value.replace(/["\\]/g, '\\$&')}")`)
        .join('\r\n'),
    ],
  ])('the keys a Kamailio 5.6.3 was observed to use, as %s', (_, lines) => {
    const keyring = importModparams(lines, now)
    it.each(Object.entries(fixture.groups_in_check_order))('%s', (group, keys) => {
      const found = keyring.verificationKeys(group, now).map((key) => key.secret.export().toString('utf8'))
      expect(found).toEqual(keys.map(({ value }) => value))
      expect(keyring.activeKey(group, now)?.secret.export().toString('utf8')).toBe(keys[0]!.value)
    })

    it('and no others', () => {
      expect(keyring.groups.map((id) => id.toLowerCase())).toEqual(Object.keys(fixture.groups_in_check_order))
      expect(keyring.groups).toContain('GCase')
      expect(keyring.keys('gdup').map(({ name }) => name)).toEqual(['same', 'same-2'])
    })
  })

  it.each([
    ['id=g;name=n;value=v', 'v'],
    ['\uFEFFid=g;name=n;value=v', 'v'],
    ['ID=g ; Name\t=\tn;VALUE= v ', 'v'],
    [';id=g;name=n;value=v', 'v'],
    ['id=g;name=n;value=v,w', 'v'],
    ['id=g;name=n;value=v,w;value=x;;;', 'v'],
    ['id=g;name=n;value="v">w', 'v'],
    ['id=g;name=n;value=v>w', 'v>w'],
    ['id=g;name=n;value=v;foo', 'v'],
    ['id=g;name=n;value=v;foo=', 'v'],
    ['id=g;name=n;value=first;value=second', 'first'],
    ['id=g;name=n;value==x=', '=x='],
    [`id=g;name=n;value=don't`, "don't"],
    [`id=g;name=n;value=' "a";b\\ '`, ' "a";b\\ '],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=v")', 'v'],
    ['  modparam ( "auth_xkeys" , "xkey" ,\n  "id=g;name=n;value=v" ) ; # comment', 'v'],
    [`modparam('auth_xkeys', 'xkey', 'id=g;name=n;value="\\x41"')`, '\\x41'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;" \n "value=v")', 'v'],
    ['modparam("tm|auth_xkeys","xkey","id=g;name=n;value=v")', 'v'],
    ['modparam("AUTH_XKEYS","xkey","id=g;name=n;value=v")', 'v'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=\\"a b\\"")', 'a b'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=a\\\\b\\qc\\7")', 'a\\b\\qc\\7'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=\\x41\\x4g\\101\\1012")', 'A\x04gAA2'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=\'a\\nb\\tc\\rd\\ae\'")', 'a\nb\tc\rd\x07e'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=a\\\nb")', 'ab'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=\\xff\\xfe")', '\xff\xfe'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=v\\x00;;")', 'v'],
    ['modparam("a","b",1) modparam("auth_xkeys","xkey","id=g;name=n;value=v")', 'v'],
  ])('%j holds %j', (line, value) => {
    expect(valueOf(line)).toBe(value)
  })

  it.each([
    ['id=g;name=n', 'has no value'],
    ['foo=bar', 'has no id, no name, no value'],
    ['id=g;name=n;value=', 'has no value'],
    ['id=g;name=n;value=""', 'has no value'],
    ['id=g;name=n;value="";value=s3cr3t', 'has no value'],
    ['id;id=g;name=n;value=s3cr3t', 'has no id'],
    ['id=g;name=n;value=;foo=1', 'has no value, or a quote that is not closed, at value'],
    ['id=g;name=n;value=s3cr3t;', 'ends with ;'],
    [' id=g;name=n;value=s3cr3t', 'starts with a blank'],
    ['id=g;name=n;value=s3cr3t s3cr3t', 'has text behind the value of value'],
    ['id=g;name=n;s3cr3t=s3cr3t s3cr3t', 'has text behind the value of an unknown attribute'],
    ["id=g;name=n;value='s3cr3t", 'has no value, or a quote that is not closed, at value'],
    ["id=g;name=n;value='s3cr3t's3cr3t", 'has text behind the value of value'],
    ['id=g;name=n;value=s3cr3t # comment', 'has text behind the value of value'],
    ['modparam("auth_xkeys","xkey","")', 'is empty'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=s3cr3t)', 'a string is not closed'],
    ['modparam("auth_xkeys","xkey",\'id=g;name=n;value=s3cr3t)', 'a string is not closed'],
    ['modparam("auth_xkeys","xkey",S3CR3T)', 'a string in quotes is expected'],
    ['modparam("auth_xkeys","xkey",5)', 'must be a string'],
    ['modparam("auth_xkeys","xkeys","s3cr3t")', 'auth_xkeys has no such parameter: did you mean xkey?'],
    ['modparam("auth_xkeys";"xkey","s3cr3t")', 'a comma is missing behind the module'],
    ['modparam("auth_xkeys","xkey" "s3cr3t")', 'a comma is missing behind the parameter'],
    ['modparam("auth_xkeys","xkey","id=g;name=n;value=s3cr3t"', 'a closing parenthesis is missing'],
    ["modparam('auth_xkeys','xkey','id=g;' 'name=n;value=s3cr3t')", 'a closing parenthesis is missing'],
    ['modparam("auth_xkeys","xkey","id=\\xff;name=n;value=s3cr3t")', 'id and name must be UTF-8'],
    [
      'modparam("auth_xkeys","xkey","id=g;name=\'a\\nb\';value=s3cr3t")',
      'name must not hold control characters',
    ],
    ['s3cr3t', 'is neither id=…;name=…;value=… nor modparam("auth_xkeys", "xkey", "…")'],
  ])('%j is refused: %s', (line, message) => {
    const error = errorOf(() => importModparams(`# line 1\n${line}`, now))
    expect(error.code).toBe('ERR_MODPARAM_INVALID')
    expect(error.issues[0]).toEqual({ path: 'xkey', line: 2, message })
    expect(String(error.stack)).not.toMatch(/s3cr3t/i)
  })

  it('skips what is not about keys', () => {
    const keyring = importModparams(
      `#!KAMAILIO
#!define X \\
  id=x;name=x;value=x
!!ifdef X
// a comment
/* id=x;name=x;
   value=x */
loadmodule "auth_xkeys.so"

modparam("tm", "fr_timer", 30000)
modparam("auth_xkeys", "hmac_engine", "crypto")
modparam("auth_xkeys", "xkey", "id=g;name=n;value=v") # modparam("auth_xkeys", "xkey", "id=x;name=x;value=x")
`,
      now,
    )
    expect(keyring.list(now)).toEqual([expect.objectContaining({ group: 'g', name: 'n', state: 'active' })])
    expect(importModparams('', now).groups).toEqual([])
  })

  it('reports everything at once, each with its line', () => {
    const lines = [
      'id=g;name=a',
      '',
      'id=g;name=b;value=1',
      'id=G;name=c;value=2',
      'modparam("auth_xkeys"',
      'id=g',
    ]
    const { issues } = errorOf(() => importModparams(lines.join('\r\n'), now, { maxKeysPerGroup: 1 }))
    expect(issues).toEqual([
      { path: 'xkey', line: 1, message: 'has no value' },
      { path: 'xkey', line: 5, message: 'a comma is missing behind the module' },
      { path: 'xkey', line: 6, message: 'has no name, no value' },
      { path: 'groups.g.keys', line: 3, message: expect.stringMatching(/^has 2 keys/) },
    ])
  })

  it.each([
    ['72000', later(72_000_000)],
    ['1', later(1_000)],
    ['007', later(7_000)],
    ['0', undefined],
    ['-5', undefined],
    ['abc', undefined],
    ['1.5', undefined],
    ['9'.repeat(40), undefined],
    ['5;expires=6', later(5_000)],
  ])('expires=%s ends at %s', (seconds, expires) => {
    const [key] = importModparams(`id=g;name=n;value=v;expires=${seconds}`, now).keys('g')
    expect(key?.expires).toEqual(expires)
    expect(importModparams('id=g;name=n;value=v', now).keys('g')[0]).not.toHaveProperty('expires')
  })

  it('gives repeated names a suffix that is free', () => {
    const lines = ['same', 'same', 'same-2', 'same', 'other'].map((name) => `id=g;name=${name};value=v`)
    expect(
      importModparams(lines.join('\n'), now)
        .keys('g')
        .map(({ name }) => name),
    ).toEqual(['same', 'same-3', 'same-2', 'same-4', 'other'])
  })
})

describe('exportModparams', () => {
  it('writes the key that signs last, the others before it, and none that has ended', () => {
    const keyring = createKeyring([
      [
        'trunk',
        [
          make('expired', '0', { expires: later(0) }),
          make('active', '1', { activeFrom: later(-day), expires: later(day + 900) }),
          make('revoked', '2', { revoked: later(-1) }),
          make('overlapping', '3', { activeFrom: later(-2 * day) }),
          make('pending', '4', { activeFrom: later(day), expires: later(2 * day), revoked: later(3_500) }),
          make('ending', '5', { activeFrom: later(-3 * day), expires: later(500) }),
        ],
      ],
      ['gone', [make('expired', '0', { expires: later(0) })]],
      [
        'later',
        [make('soon', '6', { activeFrom: later(day) }), make('late', '7', { activeFrom: later(2 * day) })],
      ],
    ])
    expect(exportModparams(keyring, now))
      .toBe(`modparam("auth_xkeys", "xkey", "id=trunk;name=overlapping;value=3")
modparam("auth_xkeys", "xkey", "id=trunk;name=pending;value=4;expires=3")
modparam("auth_xkeys", "xkey", "id=trunk;name=ending;value=5;expires=1")
modparam("auth_xkeys", "xkey", "id=trunk;name=active;value=1;expires=86400")
modparam("auth_xkeys", "xkey", "id=later;name=late;value=7")
modparam("auth_xkeys", "xkey", "id=later;name=soon;value=6")
`)
    expect(exportModparams(createKeyring([]), now)).toBe('')
  })

  it.each([
    ['plain', 'value=plain'],
    ['a b', `value='a b'`],
    ["it's; so", `value=\\"it's; so\\"`],
    ['a"b', `value=a\\"b`],
    ['"', `value='\\"'`],
    ['a\\n', `value=a\\\\n`],
    ['tab\there', `value='tab\\x09here'`],
    ['clé', 'value=clé'],
    [Buffer.from([0xff, 0x41]), 'value=\\xffA'],
  ])('writes %j as %s', (secret, value) => {
    expect(exported(secret)).toBe(`modparam("auth_xkeys", "xkey", "id=g;name=n;${value}")\n`)
  })

  it.each(['a\0b', 'a\nb', 'a\rb', `'"`, `"it's" so`])('refuses %j', (secret) => {
    expect(errorOf(() => exported(secret)).code).toBe('ERR_MODPARAM_UNWRITABLE')
  })

  it('refuses everything at once, without the secret', () => {
    const keyring = createKeyring([
      [`'g" 1`, [make('n', 's3cr3t')]],
      ['h', [make(`'n" 1`, 's3cr3t\n'), make('o', 'fine')]],
    ])
    const error = errorOf(() => exportModparams(keyring, now))
    expect(error.issues.map(({ path }) => path)).toEqual([
      `groups."'g\\" 1".keys.n.id`,
      `groups.h.keys."'n\\" 1".name`,
      `groups.h.keys."'n\\" 1".value`,
    ])
    expect(String(error.stack)).not.toContain('s3cr3t')
  })

  it('is read back by importModparams as the same keys, and the same one signs', () => {
    const label = text(6).filter((value) => !/\p{Cc}/u.test(value) && writable(value))
    const offset = fc.option(
      fc.integer({ min: -20, max: 20 }).map((n) => later(n * 100_000)),
      { nil: undefined },
    )
    const keys = fc.uniqueArray(
      fc.record({
        name: label,
        secret: fc.oneof(
          text(8).filter(writable),
          // Bytes from 0x80 on: they are no UTF-8, and no character that needs quoting.
          fc.uint8Array({ minLength: 1, maxLength: 8, min: 0x80 }),
        ),
        activeFrom: offset,
        expires: offset,
        revoked: offset,
      }),
      { selector: ({ name }) => name, minLength: 1, maxLength: 5 },
    )
    fc.assert(
      fc.property(label, keys, (group, inputs) => {
        const valid = inputs.map(({ activeFrom, ...input }) =>
          createKey({
            ...input,
            activeFrom: activeFrom && input.expires && activeFrom >= input.expires ? undefined : activeFrom,
          }),
        )
        const keyring = createKeyring([[group, valid]])
        const back = importModparams(exportModparams(keyring, now), now)
        expect(new Set(back.verificationKeys(group, now).map(summary))).toEqual(
          new Set(keyring.verificationKeys(group, now).map(summary)),
        )
        const signer = keyring.activeKey(group, now)
        expect(signer === undefined || summary(back.activeKey(group, now)) === summary(signer)).toBe(true)
        const ends = new Map(keyring.keys(group).map((key) => [key.name, endOf(key)]))
        for (const key of back.keys(group)) expect(endOf(key)).toBe(ends.get(key.name))
      }),
      { numRuns: 500 },
    )
  })
})
