import { describe, expect, it } from 'vitest'
import { createKey } from '../../src/keyring/key.ts'
import { createKeyring, type Keyring } from '../../src/keyring/keyring.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { readSealedText } from '../../src/keyring/sealed-text.ts'
import { lostTombstones } from '../../src/keyring/tombstones.ts'
import { KEK, PLAIN, sealed, SOURCE } from '../support/sealed.ts'
import { errorOf } from './error-of.ts'

const now = new Date('2026-11-21T12:00:00Z')
const earlier = new Date('2026-11-01T00:00:00Z')
const later = new Date('2026-12-01T00:00:00Z')

interface Made {
  readonly name: string
  readonly secret?: string
  readonly revoked?: Date
}
const ring = (group: string, ...keys: readonly Made[]): Keyring =>
  createKeyring([
    [group, keys.map(({ name, secret = name, revoked }) => createKey({ name, secret, revoked }))],
  ])
const lost = (before: Keyring, after: Keyring): readonly string[] =>
  lostTombstones(before, after, now).map(({ path, message }) => `${path}: ${message}`)

describe('a revoked key', () => {
  const before = ring('g', { name: 'old', revoked: earlier }, { name: 'now' })

  it('stays, whatever else changes', () => {
    for (const after of [
      before,
      ring('G', { name: 'new' }, { name: 'old', revoked: earlier }),
      ring('g', { name: 'old', revoked: new Date(0) }, { name: 'now', revoked: now }),
    ])
      expect(lost(before, after)).toEqual([])
  })

  it('may not go, with its group neither', () => {
    const gone = 'groups.g.keys.old: is gone: it was revoked, and a revoked key stays in a shared keyring'
    expect(lost(before, ring('g', { name: 'now' }))).toEqual([gone])
    expect(lost(before, ring('h', { name: 'old', revoked: earlier }))).toEqual([gone])
  })

  it('may not come back, not even for a while', () => {
    const back = 'groups.g.keys.old: was revoked at 2026-11-01T00:00:00.000Z, and must stay so'
    expect(lost(before, ring('g', { name: 'old' }))).toEqual([back])
    expect(lost(before, ring('g', { name: 'old', revoked: new Date(now.getTime() + 1) }))).toEqual([back])
  })

  it('may have been revoked anew, since the store had lost that', () => {
    expect(lost(before, ring('g', { name: 'old', revoked: now }))).toEqual([])
  })

  it('may not come back under another name, but a key that was there before may have its secret', () => {
    const kept = { name: 'old', revoked: earlier }
    expect(lost(before, ring('g', kept, { name: 'new', secret: 'old' }))).toEqual([
      'groups.g.keys.new: has the secret of "old", which was revoked',
    ])
    const twins = ring('g', kept, { name: 'twin', secret: 'old' })
    expect(lost(twins, twins)).toEqual([])
  })

  it('is one when its time has come', () => {
    expect(lost(ring('g', { name: 'a', revoked: later }), ring('g', { name: 'a' }))).toEqual([])
    expect(lost(ring('g', { name: 'a', revoked: now }), ring('g', { name: 'a' }))).toHaveLength(1)
  })
})

describe('a sealed text', () => {
  it('says without its KEK what the open keyring says', () => {
    const text = readSealedText(sealed())
    const keyring = parseKeyring(sealed(), { now, kek: SOURCE })
    expect(text).toMatchObject({ name: 'main', revision: 1, groups: keyring.groups })
    for (const group of keyring.groups)
      expect(text.keys(group.toUpperCase())).toEqual(
        keyring.keys(group).map(({ name, revoked }) => ({ name, revoked })),
      )
    expect(text.keys('unknown')).toEqual([])
  })

  it('is refused with all that is wrong, and shows no secret', () => {
    const text = sealed()
      .replace('revision = 1', 'revision = 0')
      .replace(`kek = "${KEK.id}"`, 'kek = 7')
      .replace('name = "stolen"', 'name = "first of equals"')
      .replace('[seal]', 'spare = 1\n[seal]')
    const slip = '[[groups.g.keys]]\nname = "slip"\nvalue = "xks_not-for-anybody"\n'
    const error = errorOf(() => readSealedText(text + slip))
    expect(error.issues.map(({ path }) => path).toSorted()).toEqual(
      [
        'groups."gw 1".keys[1].name',
        'groups.g.keys[0].value',
        'seal.kek',
        'seal.revision',
        'spare',
      ].toSorted(),
    )
    expect(error.message).not.toContain('xks_')
    expect(errorOf(() => readSealedText(PLAIN)).issues[0]?.path).toBe('seal')
    expect(errorOf(() => readSealedText('[')).issues).toHaveLength(1)
  })
})
