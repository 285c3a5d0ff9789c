import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAuth, parseAuth, type AuthParamInput, type AuthResult } from '../../src/digest/header.ts'

/** The parameters of the only item: `name=value` each; or the fault. */
function read(text: string): readonly string[] | string {
  const result = parseAuth(text)
  if (!result.ok) return result.reason
  return result.items.flatMap(({ scheme, params }) =>
    scheme === 'digest' ? params.map(({ name, value }) => `${name}=${value}`) : [scheme],
  )
}

describe('what is taken', () => {
  it.each([
    ['quoted and bare', 'Digest realm="a", algorithm=MD5', ['realm=a', 'algorithm=MD5']],
    ['names in any case', 'dIgEsT ReAlM="a",NC=1', ['realm=a', 'nc=1']],
    ['blanks around everything', 'Digest  realm = "a"  ,\t qop = auth ', ['realm=a', 'qop=auth']],
    ['folds', 'Digest realm="a",\r\n nonce="b"', ['realm=a', 'nonce=b']],
    ['commas in quotes', 'Digest username="a, realm=b",realm="c"', ['username=a, realm=b', 'realm=c']],
    ['escapes', String.raw`Digest username="a\"b\\c"`, [String.raw`username=a"b\c`]],
    [
      'T28: a parameter inside of another',
      String.raw`Digest username="a\",realm=\"evil", realm="c"`,
      ['username=a",realm="evil', 'realm=c'],
    ],
    ['an equals sign in quotes', 'Digest opaque="=a=="', ['opaque==a==']],
    ['an empty quoted string', 'Digest opaque=""', ['opaque=']],
    ['a bare URI', 'Digest uri=sip:a@b;c=d,qop=auth', ['uri=sip:a@b;c=d', 'qop=auth']],
    ['bytes of UTF-8', 'Digest username="J\xc3\xa4s"', ['username=J\xc3\xa4s']],
    ['two digest items', 'Digest realm="a", Digest realm="b"', ['realm=a', 'realm=b']],
    ['Basic', 'Basic dXNlcjpwYXNz==', ['basic']],
    [
      'Basic between',
      'Digest realm="a", Basic dXNlcjpwYXNz==, Digest realm="b"',
      ['realm=a', 'basic', 'realm=b'],
    ],
    ['Bearer with parameters', 'Bearer realm="x, y", scope="z", Digest realm="b"', ['bearer', 'realm=b']],
    ['a scheme alone', 'Negotiate', ['negotiate']],
    ['a scheme alone before another', 'Negotiate, Digest realm="a"', ['negotiate', 'realm=a']],
  ])('%s', (_, text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it('keeps the escapes of what is hashed as it was sent', () => {
    const result = parseAuth(String.raw`Digest cnonce="a\"b"`) as Extract<AuthResult, { ok: true }>
    expect(result.items[0]!.params[0]).toEqual({
      name: 'cnonce',
      value: 'a"b',
      raw: String.raw`a\"b`,
      form: 'quoted',
    })
  })

  it('says where each item stands', () => {
    const text = '  Digest realm="a" , Basic xyz=,  Digest realm="b"  '
    const result = parseAuth(text) as Extract<AuthResult, { ok: true }>
    expect(result.items.map(({ start, end }) => text.slice(start, end))).toEqual([
      'Digest realm="a"',
      'Basic xyz=',
      'Digest realm="b"',
    ])
  })
})

describe('what is refused', () => {
  it.each([
    ['nothing', '', 'malformed'],
    ['blanks', '   ', 'malformed'],
    ['a scheme without parameters', 'Digest', 'malformed'],
    ['no blank behind the scheme', 'Digest,realm="a"', 'malformed'],
    ['parameters without a scheme', 'realm="a"', 'malformed'],
    ['a quote that never closes', 'Digest realm="a', 'malformed'],
    ['a quote that ends in a backslash', 'Digest realm="a\\', 'malformed'],
    ['a value behind a value', 'Digest realm="a" "b"', 'malformed'],
    ['no value', 'Digest realm=, nonce="b"', 'malformed'],
    ['no name', 'Digest ="a"', 'malformed'],
    ['an empty element', 'Digest realm="a",, nonce="b"', 'malformed'],
    ['a comma at the end', 'Digest realm="a",', 'malformed'],
    ['a comma first', ', Digest realm="a"', 'malformed'],
    ['a quote in a bare value', 'Digest qop=au"th"', 'malformed'],
    ['CR in a quoted string', 'Digest realm="a\rb"', 'malformed'],
    ['CRLF in a quoted string', 'Digest realm="a\r\n b"', 'malformed'],
    ['NUL', 'Digest realm="a\0b"', 'malformed'],
    ['an escaped LF', 'Digest realm="a\\\nb"', 'malformed'],
    ['DEL', 'Digest realm="a\x7f"', 'malformed'],
    ['a parameter twice', 'Digest realm="a", nonce="b", Realm="c"', 'parameter-repeated'],
    [
      'too many parameters',
      `Digest ${Array.from({ length: 40 }, (_, i) => `p${i}=1`).join(',')}`,
      'too-many-parameters',
    ],
    ['too many items', Array.from({ length: 20 }, () => 'Digest a=b').join(', '), 'too-many-parameters'],
  ])('%s', (_, text, reason) => {
    expect(read(text)).toBe(reason)
  })
})

/** The longest that is read, and the longest header: were it not linear, a test of it would not end. */
const LENGTHS = [8192, 65_536]

describe('hostile headers', () => {
  it.each([
    ['letters', 'a'],
    ['commas', ','],
    ['blanks', ' '],
    ['folds', '\r\n '],
    ['quotes', '"'],
    ['backslashes', '\\'],
    ['escaped quotes', '\\"'],
    ['equals signs', '='],
    ['parameters', 'a=b,'],
    ['commas and blanks', ', '],
    ['schemes', 'Digest a=b, '],
    ['other schemes', 'Basic x, '],
    ['quoted commas', '"," '],
    ['open parameters', 'a=",'],
    ['percent signs', '%'],
  ])('%s', (_, unit) => {
    for (const length of LENGTHS) {
      for (const start of [
        '',
        'Digest ',
        'Digest a="',
        'Basic ',
        'Digest a=b, ',
        'Bearer a=b, c=',
        'Digest a=',
      ]) {
        for (const end of ['', '"', ', Digest realm="x"']) {
          const count = Math.floor((length - start.length - end.length) / unit.length)
          expect(typeof parseAuth(start + unit.repeat(count) + end).ok).toBe('boolean')
        }
      }
    }
  })

  it('that are too long are not read, but for the scheme', () => {
    const long = 'x'.repeat(9000)
    expect(parseAuth(`Digest realm="${long}"`)).toEqual({ ok: false, reason: 'too-long', scheme: 'digest' })
    expect(parseAuth(`"${long}`)).toEqual({ ok: false, reason: 'too-long', scheme: '' })
    expect(read(`Bearer ${long}`)).toEqual(['bearer'])
  })
})

const name = fc.stringMatching(/^[a-z][a-z0-9*-]{0,8}$/)
const token = fc.stringMatching(/^[A-Za-z0-9.!*_+`'~-]{1,12}$/)
const quoted = fc
  .array(fc.constantFrom('"', '\\', ',', '=', ' ', '\t', 'a', 'é', '\xff', 'Digest', "'"), { maxLength: 12 })
  .map((parts) => parts.join(''))
const param: fc.Arbitrary<AuthParamInput> = fc.oneof(
  fc.tuple(name, token, fc.constant('bare' as const)),
  fc.tuple(name, quoted, fc.constant('quoted' as const)),
)
const params = fc.uniqueArray(param, { selector: ([name]) => name, minLength: 1, maxLength: 12 })

describe('properties', () => {
  it('never throws', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom('Digest ', '"', '\\', ',', '=', ' ', '\r\n ', 'realm', 'nc=1', 'Basic ', '\0'),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const result = parseAuth(pieces.join(''))
        expect(result.ok ? result.items.every(({ start, end }) => end > start) : result.reason).toBeTruthy()
      }),
      { numRuns: 2000 },
    )
  })

  it('reads what was written', () => {
    fc.assert(
      fc.property(params, (written) => {
        const result = parseAuth(formatAuth('Digest', written))
        if (!result.ok) throw new Error(result.reason)
        expect(result.items[0]!.params.map(({ name, value, form }) => [name, value, form])).toEqual(written)
      }),
    )
  })

  it('writes what was read', () => {
    fc.assert(
      fc.property(params, (written) => {
        const text = formatAuth('Digest', written)
        const result = parseAuth(text)
        if (!result.ok) throw new Error(result.reason)
        const again = result.items[0]!.params.map(({ name, value, form }): AuthParamInput => [
          name,
          value,
          form,
        ])
        expect(formatAuth('Digest', again)).toBe(text)
      }),
    )
  })

  it('reads items the same when they stand behind each other', () => {
    fc.assert(
      fc.property(fc.array(params, { minLength: 1, maxLength: 4 }), (all) => {
        const alone = all.map((each) => formatAuth('Digest', each))
        expect(read(alone.join(', '))).toEqual(alone.flatMap((each) => read(each)))
      }),
    )
  })
})

describe('writing', () => {
  it.each([
    ['CR in a value', 'realm', 'a\rb', 'quoted'],
    ['LF in a value', 'realm', 'a\nX: y', 'quoted'],
    ['NUL in a value', 'realm', 'a\0', 'quoted'],
    ['a character beyond latin1', 'realm', '€', 'quoted'],
    ['a bare value that is no token', 'qop', 'auth,auth-int', 'bare'],
    ['an empty bare value', 'qop', '', 'bare'],
    ['a name that is no token', 'a b', 'x', 'quoted'],
  ] as const)('refuses %s', (_, name, value, form) => {
    expect(() => formatAuth('Digest', [[name, value, form]])).toThrow(RangeError)
  })
})
