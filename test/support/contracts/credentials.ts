/**
 * What every store of credentials does.
 */
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HashAlgorithm } from '../../../src/digest/algorithm.ts'
import type { Account, CredentialStore } from '../../../src/digest/credential-store.ts'
import { computeHa1 } from '../../../src/digest/response.ts'

/** An account that the store under test must hold. */
export interface Stored {
  readonly username: string
  readonly realm: string
  readonly password: string
  readonly status?: 'inactive'
  readonly identities?: readonly string[]
  readonly registersFor?: readonly string[]
  readonly attributes?: Readonly<Record<string, string>>
}

/** What every store is filled with. */
export const STORED: readonly Stored[] = [
  { username: 'alice', realm: 'example.org', password: 'correct horse' },
  { username: 'alice', realm: 'example.net', password: 'another one' },
  { username: 'bob', realm: 'example.org', password: 'pässwörd €', status: 'inactive' },
  {
    username: 'carol',
    realm: 'example.org',
    password: "x' OR '1'='1",
    identities: ['1001', '+49301234'],
    registersFor: ['dave'],
    attributes: { plan: 'gold' },
  },
  { username: 'Jäsøn Doe', realm: 'example.org', password: 'p' },
]

/** Names that are nobody's, and would be somebody's in a store that puts them into a query, a path or a log. */
export const INJECTIONS: readonly string[] = [
  "alice' --",
  "' OR '1'='1",
  'alice"; DROP TABLE subscriber; --',
  'alice\\',
  '%',
  '_lice',
  'alice*',
  '*)(uid=*',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  '${jndi:ldap://x}',
  '{{7*7}}',
  'ALICE',
  'alice ',
  ' alice',
  'alice\u0301',
  'a'.repeat(255),
  '🙂',
]

const ALGORITHMS: readonly HashAlgorithm[] = ['MD5', 'SHA-256', 'SHA-512-256']

/** A store under test. */
export interface OpenedStore {
  readonly store: CredentialStore
  close?(): void | Promise<void>
}

/**
 * The contract.
 * @param open makes a store that holds `STORED`
 * @param knows `passwords`: nothing else of an account
 */
export function credentialContract(
  open: () => Promise<OpenedStore>,
  knows: 'accounts' | 'passwords' = 'accounts',
): void {
  describe('the contract of credential stores', () => {
    let opened: OpenedStore
    const find = async (
      username: string,
      realm: string,
      algorithm: HashAlgorithm = 'MD5',
    ): Promise<Account | undefined> => opened.store.find({ username, realm, algorithm })

    beforeAll(async () => {
      opened = await open()
    })
    afterAll(async () => {
      await opened?.close?.()
    })

    describe.each(STORED.map((account) => [`${account.username} in ${account.realm}`, account] as const))(
      '%s',
      (_, { username, realm, password, ...rest }) => {
        it.each(ALGORITHMS)('has its HA1 of %s', async (algorithm) => {
          const account = await find(username, realm, algorithm)
          expect(account?.ha1?.export()).toEqual(computeHa1(algorithm, username, realm, password))
        })

        it('has its HA1 with its domain, too', async () => {
          const full = `${username}@${realm}`
          const account = await find(full, realm)
          expect(account?.username).toBe(username)
          expect(account?.ha1?.export()).toEqual(computeHa1('MD5', full, realm, password))
        })

        if (knows === 'passwords') return
        it('has what belongs to it', async () => {
          expect(await find(username, realm)).toMatchObject({
            username,
            status: rest.status ?? 'active',
            identities: rest.identities ?? [],
            registersFor: rest.registersFor ?? [],
            attributes: rest.attributes ?? {},
          })
        })
      },
    )

    it('knows nobody in another realm', async () => {
      expect(await find('carol', 'example.net')).toBeUndefined()
      expect(await find('alice', 'EXAMPLE.ORG')).toBeUndefined()
      expect(await find('alice', '')).toBeUndefined()
    })

    it.each(INJECTIONS)('knows nobody called %j', async (username) => {
      for (const algorithm of ALGORITHMS)
        expect(await find(username, 'example.org', algorithm)).toBeUndefined()
    })

    it.each(INJECTIONS)('knows no realm called %j', async (realm) => {
      expect(await find('alice', realm)).toBeUndefined()
    })

    it('shows no secret', async () => {
      const account = await find('alice', 'example.org')
      const hex = computeHa1('MD5', 'alice', 'example.org', 'correct horse').toString('hex')
      for (const shown of [
        inspect(account, { depth: 9, showHidden: true }),
        JSON.stringify(account),
        inspect(opened.store),
      ])
        for (const secret of [hex, 'correct horse']) expect(shown).not.toContain(secret)
    })
  })
}
