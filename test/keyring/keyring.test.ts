import { describe, expect, it } from 'vitest'
import { createKey, type Key } from '../../src/keyring/key.ts'
import { createKeyring, foldGroup, REVOKED_ALWAYS, type KeyringOptions } from '../../src/keyring/keyring.ts'
import { errorOf } from './error-of.ts'

const now = new Date('2026-11-21T12:00:00Z')
const key = (name: string, times: { activeFrom?: Date; expires?: Date; revoked?: Date } = {}): Key =>
  createKey({ name, secret: `secret of ${name}`, ...times })

type Groups = Iterable<readonly [string, readonly Key[]]>
const issuesOf = (groups: Groups, options?: KeyringOptions) =>
  errorOf(() => createKeyring(groups, options)).issues

const many = (count: number, times = {}): Key[] =>
  Array.from({ length: count }, (_, i) => key(`${JSON.stringify(times)} ${i}`, times))

describe('createKeyring', () => {
  const keyring = createKeyring(
    new Map([
      [
        'Trunk-A',
        [key('old', { expires: new Date('2026-12-01') }), key('new', { activeFrom: new Date('2026-11-25') })],
      ],
      ['gw 1', [key('gone', { revoked: REVOKED_ALWAYS })]],
    ]),
  )

  it('looks groups up without regard to ASCII case', () => {
    expect(keyring.groups).toEqual(['Trunk-A', 'gw 1'])
    expect(keyring.hasGroup('TRUNK-a')).toBe(true)
    expect(keyring.hasGroup('trunk')).toBe(false)
    expect(keyring.hasGroup('gw 1 ')).toBe(false)
    expect(keyring.activeKey('trunk-a', now)?.name).toBe('old')
    expect(keyring.keys('TRUNK-A').map(({ name }) => name)).toEqual(['old', 'new'])
    expect(foldGroup('ÄB')).toBe('Äb')
  })

  it('tells which keys verify, the last listed first', () => {
    expect(keyring.verificationKeys('trunk-a', now).map(({ name }) => name)).toEqual(['new', 'old'])
    expect(keyring.verificationKeys('gw 1', now)).toEqual([])
  })

  it('tells states', () => {
    expect(keyring.list(now)).toEqual([
      { group: 'Trunk-A', name: 'old', state: 'active', fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/) },
      { group: 'Trunk-A', name: 'new', state: 'pending', fingerprint: expect.any(String) },
      { group: 'gw 1', name: 'gone', state: 'revoked', fingerprint: expect.any(String) },
    ])
    expect(keyring.keyState({ group: 'TRUNK-A', name: 'new' }, now)).toBe('pending')
    expect(keyring.keyState({ group: 'trunk-a', name: 'NEW' }, now)).toBeUndefined()
    expect(keyring.keyState({ group: 'nobody', name: 'new' }, now)).toBeUndefined()
  })

  it('tells when something changes next', () => {
    expect(keyring.nextChange('trunk-a', now)).toEqual(new Date('2026-11-25T00:00:00Z'))
    expect(keyring.nextChange('trunk-a', new Date('2026-11-25'))).toEqual(new Date('2026-12-01T00:00:00Z'))
    expect(keyring.nextChange('trunk-a', new Date('2026-12-01'))).toBeUndefined()
    expect(keyring.nextChange('nobody', now)).toBeUndefined()
  })

  it('tells of the hand-over ahead of an expiry', () => {
    const pair = [key('a'), key('b', { expires: new Date('2026-12-01') })] as const
    expect(createKeyring([['g', pair]]).nextChange('g', now)).toEqual(new Date('2026-11-30T23:59:55Z'))
    expect(createKeyring([['g', pair]], { maxSkewMs: 0 }).nextChange('g', now)).toEqual(
      new Date('2026-12-01'),
    )
  })

  it('knows nothing of unknown groups', () => {
    expect(keyring.activeKey('nobody', now)).toBeUndefined()
    expect(keyring.verificationKeys('nobody', now)).toEqual([])
    expect(keyring.hasGroup('__proto__')).toBe(false)
  })

  it('does not change when what it was made of changes', () => {
    const keys = [key('a')]
    const made = createKeyring([['g', keys]])
    keys.push(key('b'))
    expect(made.keys('g')).toHaveLength(1)
    expect(Object.isFrozen(made) && Object.isFrozen(made.groups) && Object.isFrozen(made.keys('g'))).toBe(
      true,
    )
  })

  it('reports everything at once', () => {
    expect(errorOf(() => createKeyring([['', []]])).code).toBe('ERR_KEYRING_INVALID')
    expect(
      issuesOf(
        [
          ['Trunk', [key('a'), key('b'), key('a')]],
          ['trunk', []],
          ['', []],
        ],
        { maxKeysPerGroup: 2 },
      ),
    ).toEqual([
      { path: 'groups.Trunk.keys[2].name', message: 'repeats the name of keys[0]' },
      { path: 'groups.Trunk.keys', message: expect.stringMatching(/^has 3 keys .* at most 2/) },
      { path: 'groups.trunk', message: expect.stringContaining('same group as "Trunk"') },
      { path: 'groups.""', message: 'must not be empty' },
    ])
    expect(issuesOf([], { maxKeysPerGroup: NaN, maxSkewMs: -1 }).map(({ path }) => path)).toEqual([
      'maxKeysPerGroup',
      'maxSkewMs',
    ])
  })

  describe('maxKeysPerGroup', () => {
    it('is 8, and pending keys count', () => {
      expect(() => createKeyring([['g', many(8)]])).not.toThrow()
      expect(issuesOf([['g', many(9)]])).toHaveLength(1)
      expect(
        issuesOf([['g', [...many(8), ...many(1, { activeFrom: new Date('2030-01-01') })]]]),
      ).toHaveLength(1)
      expect(() => createKeyring([['g', many(9)]], { maxKeysPerGroup: 9 })).not.toThrow()
    })

    it('leaves out keys that have ended, as far as they are known to have', () => {
      const ended = [...many(8), ...many(4, { expires: new Date('2026-01-01') })]
      expect(() => createKeyring([['g', ended]], { now })).not.toThrow()
      expect(issuesOf([['g', ended]])).toHaveLength(1)
      expect(() =>
        createKeyring([['g', [...many(8), ...many(4, { revoked: REVOKED_ALWAYS })]]]),
      ).not.toThrow()
      expect(
        issuesOf([['g', [...many(8), ...many(1, { expires: new Date('2027-01-01') })]]], { now }),
      ).toHaveLength(1)
    })
  })
})
