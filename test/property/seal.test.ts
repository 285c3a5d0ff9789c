import * as fc from 'fast-check'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { quote } from '../../src/keyring/format-toml.ts'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { createKek, kekSourceOf, resealKeyring, sealKeyring, unsealKeyring } from '../../src/keyring/seal.ts'
import { KEK, OTHER_KEK, PLAIN, sealed, shown, SOURCE } from '../support/sealed.ts'

const contentOf = (keyring: Keyring): string =>
  JSON.stringify(
    keyring.groups.map((id) => [
      id,
      keyring.keys(id).map(({ secret, ...key }) => [key, secret.export().toString('hex')]),
    ]),
  )

const TEXT = sealed()
const CONTENT = contentOf(parseKeyring(TEXT, { kek: SOURCE }))

/** Both KEKs are at hand: the other's id is no way past the check. */
const BOTH = kekSourceOf(KEK, OTHER_KEK)

/** What becomes of a changed text: `same` says exactly what it said, so the change was of a comment or a blank. */
function outcome(text: string): 'refused' | 'same' | 'other' | 'telling' {
  try {
    const keyring = parseKeyring(text, { kek: BOTH })
    const isSame = contentOf(keyring) === CONTENT && keyring.name === 'main' && keyring.revision === 1
    return isSame ? 'same' : 'other'
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return shown(inspect(error, { depth: 9 })).length === 0 ? 'refused' : 'telling'
  }
}

const FINE = ['refused', 'same']

const textOf = (blocks: readonly string[]): string => blocks.map((block) => `${block}\n`).join('')
/** Keys of different groups between each other have no order that decides anything. */
const orderOf = (blocks: readonly string[]): string =>
  ['Trunk-A', 'gw 1'].map((id) => blocks.filter((block) => block.includes(id)).join('')).join('')

describe('a sealed keyring with one change', () => {
  it('of any bit, anywhere, is refused or says the same', () => {
    const bytes = Buffer.from(TEXT)
    const outcomes = { refused: 0, same: 0, other: 0, telling: 0 }
    for (const [at, byte] of bytes.entries()) {
      // Of the values, where every bit has its test beside the cipher, one bit of each character.
      const isValue = /v1\.[\w-]*$/.test(TEXT.slice(0, at + 1))
      for (const bit of isValue ? [at & 7] : [0, 1, 2, 3, 4, 5, 6, 7]) {
        bytes[at] = byte ^ (1 << bit)
        outcomes[outcome(bytes.toString('utf8'))]++
      }
      bytes[at] = byte
    }
    expect(outcomes).toMatchObject({ other: 0, telling: 0 })
    // Most of the text is values; what says the same is comments and blanks.
    expect(outcomes.refused).toBeGreaterThan(outcomes.same)
    expect(outcomes.same).toBeGreaterThan(0)
  })

  it('of lines put elsewhere, doubled or left out, is refused or says the same', () => {
    const lines = TEXT.split('\n')
    const index = fc.nat(lines.length - 1)
    fc.assert(
      fc.property(fc.constantFrom('move', 'copy', 'drop', 'swap'), index, index, (what, from, to) => {
        const changed = [...lines]
        const line = lines[from]!
        if (what === 'drop' || what === 'move') changed.splice(from, 1)
        if (what === 'copy' || what === 'move') changed.splice(to, 0, line)
        if (what === 'swap') [changed[from], changed[to]] = [changed[to]!, changed[from]!]
        expect(FINE).toContain(outcome(changed.join('\n')))
      }),
      { numRuns: 1000 },
    )
  })

  it('of blocks put in another order is refused, unless it is the same order', () => {
    const [head = '', ...blocks] = TEXT.replace('# The end.\n', '').split(/^(?=\[\[)/m)
    fc.assert(
      fc.property(fc.shuffledSubarray(blocks, { minLength: 1 }), (shuffled) => {
        const first = shuffled[0]!.includes('Trunk-A')
        const isSame = orderOf(shuffled) === orderOf(blocks) && first && shuffled.length === blocks.length
        expect(outcome(head + textOf(shuffled))).toBe(isSame ? 'same' : 'refused')
      }),
      { numRuns: 300 },
    )
  })

  it('of any text put in anywhere is refused or says the same', () => {
    fc.assert(
      fc.property(
        fc.nat(TEXT.length),
        fc.nat(40),
        fc.oneof(
          fc.string({ maxLength: 12 }),
          fc.constantFrom(
            '\n',
            '#',
            '"',
            '\nrevoked = false\n',
            'expires = 2099-01-01T00:00:00Z\n',
            '[seal]\n',
            '[x]\n',
          ),
        ),
        (at, cut, text) => {
          expect(FINE).toContain(outcome(TEXT.slice(0, at) + text + TEXT.slice(at + cut)))
        },
      ),
      { numRuns: 1000 },
    )
  })
})

// ── any keyring ──

const label = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .filter((text) => !/\p{Cc}|\p{Cs}/u.test(text) && text.trim() !== '' && !(text in Object.prototype))
const date = fc
  .date({ min: new Date('2020-01-01T00:00:00Z'), max: new Date('2099-01-01T00:00:00Z'), noInvalidDate: true })
  .map((time) => time.toISOString())
const secret = fc
  .uint8Array({ minLength: 1, maxLength: 80 })
  .map((bytes) => `value_base64 = "${Buffer.from(bytes).toString('base64')}"`)
const text = fc
  .string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
  .filter((value) => !/\p{Cs}/u.test(value))
  .map((value) => `value = ${quote(value)}`)

const key = fc.record({
  group: fc.constantFrom('g', 'Trunk-A', 'gw 1', 'clé'),
  name: label,
  secret: fc.oneof(secret, text),
  activeFrom: fc.option(date),
  revoked: fc.option(fc.oneof(fc.constant('true'), date)),
  comment: fc.constantFrom('', '  # c', ' #'),
  space: fc.constantFrom('', '\n', '\n# above\n'),
})
const keyrings = fc
  .uniqueArray(key, { selector: ({ group, name }) => `${group}/${name}`, maxLength: 10 })
  .map((keys) =>
    keys
      .map(({ group, name, secret, activeFrom, revoked, comment, space }) =>
        [
          `${space}[[groups.${quote(group)}.keys]]${comment}`,
          `name = ${quote(name)}`,
          secret + comment,
          ...(activeFrom === null ? [] : [`active_from = ${activeFrom}`]),
          ...(revoked === null ? [] : [`revoked = ${revoked}${comment}`]),
          '',
        ].join('\n'),
      )
      .join(''),
  )
  .chain((toml) => fc.constantFrom(toml, toml.replaceAll('\n', '\r\n'), toml.replace(/\n$/, '')))

const MANY = { maxKeysPerGroup: 100 }

describe('any keyring', () => {
  it('is the same sealed, sealed again, and unsealed', () => {
    fc.assert(
      fc.property(
        keyrings,
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        label,
        (toml, bytes, keyring) => {
          const kek = createKek(bytes)
          const content = contentOf(parseKeyring(toml, MANY))
          let there = ''
          try {
            there = sealKeyring(toml, { kek, keyring })
          } catch (error) {
            // A secret that stands elsewhere by chance.
            fc.pre(!(error instanceof ConfigError && error.message.includes('a second time')))
            throw error
          }
          const options = { ...MANY, kek: kekSourceOf(kek) }
          expect(contentOf(parseKeyring(there, options))).toBe(content)
          const again = resealKeyring(there, there, options.kek)
          expect(contentOf(parseKeyring(again, options))).toBe(content)
          const other = sealKeyring(again, { kek: OTHER_KEK, open: options.kek })
          const last = parseKeyring(other, { ...MANY, kek: kekSourceOf(OTHER_KEK) })
          expect(contentOf(last)).toBe(content)
          expect(last).toMatchObject({ name: keyring, revision: 3 })
          expect(contentOf(parseKeyring(unsealKeyring(there, options.kek), MANY))).toBe(content)
          expect(() => parseKeyring(other, options)).toThrow(ConfigError)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('is not touched by sealing another time: the text of PLAIN comes back', () => {
    const plain = unsealKeyring(TEXT, SOURCE)
    expect(unsealKeyring(sealed(plain), SOURCE)).toBe(plain)
    expect(contentOf(parseKeyring(plain))).toBe(contentOf(parseKeyring(PLAIN)))
  })
})
