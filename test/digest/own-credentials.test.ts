import { describe, expect, it } from 'vitest'
import {
  findCredentials,
  headersOfOurs,
  ownCredentials,
  type OwnLine,
} from '../../src/digest/own-credentials.ts'
import { bytesOf, parsed, type Line } from '../support/messages.ts'

const isOurs = (realm: string): boolean => realm === 'ours' || realm === 'also-ours'
const digest = (realm: string, user = 'a'): string => `Digest username="${user}", realm="${realm}", nonce="n"`

function own(...add: readonly Line[]): { lines: readonly OwnLine[]; names: readonly string[] } {
  const message = parsed(bytesOf({ add }))
  const lines = ownCredentials(message, isOurs)
  return { lines, names: headersOfOurs(message, lines) }
}

describe('I7: credentials of ours', () => {
  it('are found in both headers, in every form of their names', () => {
    const { lines, names } = own(
      ['Authorization', digest('ours')],
      ['proxy-AUTHORIZATION', digest('also-ours')],
    )
    expect(lines).toEqual([
      { name: 'Authorization', value: digest('ours'), left: '' },
      { name: 'Proxy-Authorization', value: digest('also-ours'), left: '' },
    ])
    expect(names).toEqual(['Authorization', 'Proxy-Authorization'])
  })

  it('are told from those of others, line by line, and removed by name only where they are alone', () => {
    const { lines, names } = own(
      ['Proxy-Authorization', digest('theirs')],
      ['Proxy-Authorization', digest('ours')],
      ['Proxy-Authorization', 'Basic eDp5'],
      ['Authorization', digest('ours')],
      ['Authorization', digest('also-ours')],
    )
    expect(lines.map(({ name, value }) => `${name}: ${value}`)).toEqual([
      `Authorization: ${digest('ours')}`,
      `Authorization: ${digest('also-ours')}`,
      `Proxy-Authorization: ${digest('ours')}`,
    ])
    expect(names).toEqual(['Authorization'])
  })

  it('are cut out of a line that holds several', () => {
    const { lines, names } = own([
      'Authorization',
      `${digest('theirs')}, ${digest('ours')},  Bearer x, ${digest('also-ours')}`,
    ])
    expect(lines[0]!.left).toBe(`${digest('theirs')}, Bearer x`)
    expect(names).toEqual([])
  })

  it.each([
    ['a realm inside of a name', String.raw`Digest username="x\", realm=\"ours", realm="theirs"`],
    ['a realm of another case', digest('OURS')],
    ['another scheme', 'Basic realm="ours"'],
    ['what cannot be read', 'Digest realm="ours'],
    ['a realm that is no UTF-8', 'Digest realm="\xff"'],
    ['none', 'Digest nonce="ours"'],
  ])('are not %s', (_, value) => {
    expect(own(['Authorization', value]).lines).toEqual([])
  })
})

const find = (...values: readonly string[]): string => {
  const message = parsed(bytesOf({ add: values.map((value): Line => ['Authorization', value]) }))
  const result = findCredentials(message, 'Authorization', 'ours')
  if (result.found === 'items') return `${result.items.length}`
  return result.found === 'fault' ? result.reason : result.found
}

describe('the credentials of a realm', () => {
  it.each([
    ['none', [], 'none'],
    ['one', [digest('ours')], '1'],
    ['V4: one among others', [digest('theirs'), 'Basic x', digest('ours')], '1'],
    ['two', [digest('ours'), digest('ours', 'b')], '2'],
    ['those of others', [digest('theirs'), 'Bearer x'], 'none'],
    ['what cannot be read', ['Digest realm="ours'], 'malformed'],
    ['what has no scheme', ['realm="ours"'], 'malformed'],
    ['no realm', ['Digest nonce="x"'], 'parameter-missing'],
    ['a parameter twice', ['Digest realm="ours", realm="theirs"'], 'parameter-repeated'],
    ['what is too long', [`Digest realm="ours", x=${'x'.repeat(9000)}`], 'too-long'],
    ['one beside what cannot be read', ['Digest x', digest('ours')], '1'],
    ['another scheme that cannot be read', ['Bearer "x'], 'none'],
  ])('%s', (_, values, expected) => {
    expect(find(...values)).toBe(expected)
  })

  it('are looked for in one header', () => {
    const message = parsed(bytesOf({ add: [['Proxy-Authorization', digest('ours')]] }))
    expect(findCredentials(message, 'Authorization', 'ours').found).toBe('none')
    expect(findCredentials(message, 'Proxy-Authorization', 'ours').found).toBe('items')
  })
})
