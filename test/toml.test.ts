import { stringify } from '@iarna/toml'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeToml, formatPath, isOffsetDateTime, parseToml, type TomlPath } from '../src/toml.ts'

function parsed(text: string) {
  const result = parseToml(text)
  if (!result.ok) throw new Error(JSON.stringify(result.issues))
  return result
}

function issuesOf(text: string) {
  const result = parseToml(text)
  return result.ok ? [] : result.issues
}

const SAMPLE = `# comment [not.a.table]
title = "x = 1" # [nor.this]

[plain]
a = 1
"quoted key" = 2
b.c . d = 3
text = """
[fake]
a = "\\""" still inside
"""
literal = '''
[[fake]]
'''
list = [
  "one", # comment, with ] inside
  [2, 3],
  { x = 1, y = { z = "}" } },
]
after = true

[[groups."gw 1".keys]]
name = "first"

  [[ groups . 'gw 1' . keys ]]
name = "second"
[groups."gw 1".keys.inner]
deep = 1
[[groups."\\u00e9".keys]]
when = 2026-10-01 00:00:00Z
`

describe('parseToml', () => {
  it.each<[TomlPath, number | undefined]>([
    [['title'], 2],
    [['plain'], 4],
    [['plain', 'a'], 5],
    [['plain', 'quoted key'], 6],
    [['plain', 'b', 'c', 'd'], 7],
    [['plain', 'b'], 7],
    [['plain', 'text'], 8],
    [['plain', 'literal'], 12],
    [['plain', 'list'], 15],
    [['plain', 'list', 0], 16],
    [['plain', 'list', 1, 1], 17],
    [['plain', 'list', 2, 'y', 'z'], 18],
    [['plain', 'after'], 20],
    [['groups', 'gw 1', 'keys'], 22],
    [['groups', 'gw 1', 'keys', 0, 'name'], 23],
    [['groups', 'gw 1', 'keys', 1], 25],
    [['groups', 'gw 1', 'keys', 1, 'name'], 26],
    [['groups', 'gw 1', 'keys', 1, 'inner', 'deep'], 28],
    [['groups', 'é', 'keys', 0, 'when'], 30],
    [['groups', 'gw 1', 'keys', 1, 'absent'], 25],
    [['fake'], undefined],
    [[], undefined],
  ])('knows the line of %j', (path, line) => {
    expect(parsed(SAMPLE).lineOf(path)).toBe(line)
    expect(parsed(SAMPLE.replaceAll('\n', '\r\n')).lineOf(path)).toBe(line)
  })

  it('parses what the library parses', () => {
    const { value } = parsed('\uFEFFa = 1\nbig = 9007199254740993\nlist = [{ b = "c" }]')
    expect(value['a']).toBe(1)
    expect(value['big']).toBe(9007199254740993n)
    expect(value['list']).toEqual([Object.assign(Object.create(null), { b: 'c' })])
  })

  it('finds every path of whatever the library writes', () => {
    const name = fc
      .string({
        minLength: 1,
        unit: fc.constantFrom('a', 'Z', '-', ' ', '.', '"', "'", '#', '[', ']', '=', 'é', '\\'),
      })
      .filter((text) => text.trim() !== '')
    const scalar = fc.oneof(
      fc.integer(),
      fc.boolean(),
      fc.string({ unit: fc.constantFrom('a', '\n', '"', "'", '#', '[', ']', '{', '}', '=', ',', '\\', ' ') }),
      fc.constant(new Date('2026-10-01T00:00:00Z')),
    )
    const table = fc.dictionary(name, scalar, { minKeys: 1, maxKeys: 4 })
    const document = fc.dictionary(
      name,
      fc.oneof(scalar, table, fc.array(table, { minLength: 1, maxLength: 3 }), fc.dictionary(name, table)),
    )
    fc.assert(
      fc.property(document, (input) => {
        const text = stringify(input)
        const { value, lineOf } = parsed(text)
        const lines = text.split('\n')
        visit(value, [], (path, inner) => {
          const last = path.at(-1)!
          if (typeof inner === 'object' && !(inner instanceof Date)) return
          const line = lines[lineOf(path)! - 1]!.trim()
          expect(
            line.startsWith(formatPath([last])) || line.startsWith(stringify({ [last]: 1 }).split(' = ')[0]!),
          ).toBe(true)
        })
      }),
    )
  })

  it('never throws, whatever the text', () => {
    const piece = fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '"""',
      "'''",
      '=',
      '.',
      ',',
      '\n',
      '#',
      'a',
      '1',
      '\\',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const result = parseToml(pieces.join(''))
        expect(result.ok || result.issues.length > 0).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['a = "s3cr3t-text\n', { line: 1, path: 'column 18', message: 'not valid TOML: Unterminated string' }],
    ['x = 1\ny = s3cr3t-text\n', { line: 2, path: 'column 5' }],
    ['x = 1\n\n= 3', { line: 3, path: 'column 1' }],
    ['a = 1\na = "s3cr3t-text"', { line: 2, message: "not valid TOML: Can't redefine existing key" }],
    ['a = "s3cr3t-text" "s3cr3t-text"', { line: 1 }],
    ['s3cr3t-text', { line: 1 }],
    ['[s3cr3t-text', { line: 1 }],
  ])('reports where %j is not TOML, without showing it', (text, expected) => {
    const issues = issuesOf(text)
    expect(issues).toEqual([expect.objectContaining(expected)])
    expect(JSON.stringify(issues)).not.toContain('s3cr3t')
  })

  it.each([
    '[__proto__]\npolluted = 1',
    '[constructor]\npolluted = 1',
    'constructor.polluted = 1',
    'a = { constructor.polluted = 1 }',
    'a = [{ "__proto__" = { polluted = 1 } }]',
    'toString.polluted = 1',
    '[a."\\u005f_proto__"]\npolluted = 1',
    '[[groups."__proto__".keys]]\npolluted = 1',
  ])('refuses %j, which could reach the process', (text) => {
    expect(issuesOf(text)).toEqual([expect.objectContaining({ message: 'this name cannot be used' })])
    expect(Object.prototype).not.toHaveProperty('polluted')
    expect(Object).not.toHaveProperty('polluted')
    expect(Object.prototype).not.toHaveProperty('toString.polluted')
  })

  it('gives tables nothing that was not written', () => {
    expect(parsed('a = 1').value['constructor']).toBeUndefined()
  })

  it.each([
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-00-10',
  ])('refuses %s, which no calendar has', (date) => {
    expect(issuesOf(`x = 1\nwhen = ${date}`)).toEqual([
      { path: 'when', line: 2, message: 'is not a date and time that exists' },
    ])
  })

  it.each([
    '2028-02-29T00:00:00Z',
    '2026-01-01T23:59:59.999+02:00',
    '2026-12-31',
    '23:59:59',
    '1979-05-27 07:32:00',
  ])('accepts %s', (date) => {
    expect(parsed(`when = ${date}`).value['when']).toBeInstanceOf(Date)
  })

  it('refuses deep nesting instead of running out of stack', () => {
    expect(issuesOf(`a = ${'['.repeat(100_000)}`)).toEqual([
      expect.objectContaining({ message: 'is nested too deeply' }),
    ])
  })
})

describe('values', () => {
  it.each([
    ['2026-10-01T00:00:00Z', true, 'a date and time'],
    ['2026-10-01T02:00:00+02:00', true, 'a date and time'],
    ['2026-10-01T00:00:00', false, 'a local date or time'],
    ['2026-10-01', false, 'a local date or time'],
    ['10:00:00', false, 'a local date or time'],
    ['"2026-10-01T00:00:00Z"', false, 'a string'],
    ['1', false, 'a number'],
    ['9007199254740993', false, 'a number'],
    ['true', false, 'a boolean'],
    ['[]', false, 'an array'],
    ['{}', false, 'a table'],
  ])('%s: an instant %s, %s', (text, isInstant, description) => {
    const value = parsed(`x = ${text}`).value['x']!
    expect(isOffsetDateTime(value)).toBe(isInstant)
    expect(describeToml(value)).toBe(description)
  })

  it('formats paths as TOML would', () => {
    expect(formatPath(['groups', 'gw 1', 'keys', 0, 'expires'])).toBe('groups."gw 1".keys[0].expires')
    expect(formatPath(['a', ''])).toBe('a.""')
  })
})

function visit(value: unknown, path: TomlPath, see: (path: TomlPath, value: unknown) => void): void {
  if (path.length > 0) see(path, value)
  if (Array.isArray(value)) {
    for (const [i, inner] of value.entries()) visit(inner, [...path, i], see)
  } else if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    for (const [name, inner] of Object.entries(value)) visit(inner, [...path, name], see)
  }
}
