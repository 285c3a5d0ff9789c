import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { HashAlgorithm } from '../../src/digest/algorithm.ts'
import type { Account } from '../../src/digest/credential-store.ts'
import { parseFlexisipCredentials, readFlexisipAccounts } from '../../src/digest/flexisip-credentials.ts'
import { computeHa1 } from '../../src/digest/response.ts'
import { INJECTIONS } from '../support/contracts/credentials.ts'
import { errorOf } from '../keyring/error-of.ts'

const hash = (
  algorithm: HashAlgorithm,
  ...[user, realm, password]: readonly [string, string, string]
): string => computeHa1(algorithm, user, realm, password).toString('hex')

const FILE = `version:1

# the office
alice@example.org clrtxt:hunter2 ;
bob@example.org md5:${hash('MD5', 'bob', 'example.org', 'p').toUpperCase()} sha256:${hash('SHA-256', 'bob', 'example.org', 'p')} ;
  carol@example.net\tclrtxt:p;w:x ; carol-id +49301234\r
dave@example.org clrtxt:d md5:${hash('MD5', 'dave', 'example.org', 'd')} ; dave
`

function find(
  username: string,
  realm = 'example.org',
  algorithm: HashAlgorithm = 'SHA-256',
  store = parseFlexisipCredentials(FILE),
): Account | undefined {
  const found = store.find({ username, realm, algorithm })
  if (found instanceof Promise) throw new Error('not at once')
  return found
}

const hex = (account: Account | undefined): string | undefined => account?.ha1?.export().toString('hex')

const PRINTED = '8be01ad9dc03ef2a610bf13c7e307e78dd72c973ad365eb2b128505f8dbeaa74'
const line = (password: string): string => `version:1\nbob@localhost clrtxt:${password} sha256:${PRINTED} ;`

describe("Flexisip's file", () => {
  it('gives of clear text every hash, with the domain in the name, too', () => {
    for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256'] as const)
      for (const name of ['alice', 'alice@example.org'])
        expect(hex(find(name, 'example.org', algorithm))).toBe(
          hash(algorithm, name, 'example.org', 'hunter2'),
        )
    expect(find('alice@example.org')).toMatchObject({ username: 'alice', status: 'active' })
  })

  it('gives of hashes those that are there, in either case', () => {
    expect(hex(find('bob', 'example.org', 'MD5'))).toBe(hash('MD5', 'bob', 'example.org', 'p'))
    expect(hex(find('bob'))).toBe(hash('SHA-256', 'bob', 'example.org', 'p'))
    expect(find('bob', 'example.org', 'SHA-512-256')).toMatchObject({ username: 'bob', ha1: undefined })
    expect(find('bob@example.org')).toBeUndefined()
  })

  it('may name another user of the credentials, and a number', () => {
    const carol = find('carol-id', 'example.net')
    expect(carol).toMatchObject({ username: 'carol', identities: ['+49301234'] })
    expect(hex(carol)).toBe(hash('SHA-256', 'carol-id', 'example.net', 'p;w:x'))
    expect(find('carol', 'example.net')).toBeUndefined()
  })

  it('knows the hash that the guide of Flexisip prints for what it is: that of another password', () => {
    expect(errorOf(() => parseFlexisipCredentials(line('password'))).message).toContain(
      'line 2: flexisip: has a hash of SHA-256 that is not that of its clear text',
    )
    expect(hex(find('bob', 'localhost', 'SHA-256', parseFlexisipCredentials(line('1234'))))).toMatch(
      /^8be01ad9/,
    )
  })

  it('may be of one realm, whatever the domains', () => {
    const store = parseFlexisipCredentials(
      'version:1\nalice@a.example clrtxt:p ;\nbob@b.example clrtxt:p ;',
      {
        realm: 'sip',
      },
    )
    expect(find('alice', 'sip', 'MD5', store)).toMatchObject({ username: 'alice', domain: 'a.example' })
    expect(hex(find('bob@b.example', 'sip', 'MD5', store))).toBe(hash('MD5', 'bob@b.example', 'sip', 'p'))
    expect(find('alice', 'a.example', 'MD5', store)).toBeUndefined()
  })

  it.each(INJECTIONS)('knows nobody called %j', (name) => {
    expect(find(name)).toBeUndefined()
    expect(find('alice', name)).toBeUndefined()
  })

  it('is read line by line for whoever takes it over', () => {
    expect(
      readFlexisipAccounts(FILE).map(({ line, authUsername, domain }) => `${line} ${authUsername}@${domain}`),
    ).toEqual(['4 alice@example.org', '5 bob@example.org', '6 carol-id@example.net', '7 dave@example.org'])
  })

  it('shows no secret', () => {
    const shown = inspect([parseFlexisipCredentials(FILE), readFlexisipAccounts(FILE)], {
      depth: 9,
      showHidden: true,
    })
    for (const secret of ['hunter2', 'p;w:x', hash('MD5', 'bob', 'example.org', 'p')])
      expect(shown).not.toContain(secret)
  })

  it('is refused with every issue, its line, and no secret', () => {
    const file = [
      'alice@example.org clrtxt:hunter2 ;',
      'alice@example.org clrtxt:hunter2 ;',
      'bob@example.org hunter2 ;',
      'carol@example.org clrtxt:hunter2',
      'dave clrtxt:hunter2 ;',
      'erin@example.org ;',
      'erin@example.org md5:hunter2 ;',
      'erin@example.org sha256:00 ;',
      'erin@example.org clrtxt:hunter2 clrtxt:hunter2 ;',
      'erin@example.org clrtxt: ;',
      'erin@example.org sha1:hunter2 ;',
      'er"in@example.org clrtxt:hunter2 ;',
      'erin@example.org clrtxt:hunter2 ; a b c',
      'a@b@c clrtxt:hunter2 ;',
    ].join('\n')
    const error = errorOf(() => parseFlexisipCredentials(file))
    expect(error.code).toBe('ERR_CONFIG_INVALID')
    expect(error.issues.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    expect(String(error)).not.toContain('hunter2')
    expect(errorOf(() => parseFlexisipCredentials('')).issues).toHaveLength(1)
  })
})
