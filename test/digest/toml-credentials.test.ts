import { describe, expect, it } from 'vitest'
import { computeHa1 } from '../../src/digest/response.ts'
import { parseCredentials } from '../../src/digest/toml-credentials.ts'
import { errorOf } from '../keyring/error-of.ts'
import { credentialContract } from '../support/contracts/credentials.ts'
import { tomlOfStored } from '../support/contracts/stored-toml.ts'

credentialContract(async () => ({ store: parseCredentials(tomlOfStored()) }))

const MD5 = computeHa1('MD5', 'dave', 'r', 'p').toString('hex')
const SHA256 = computeHa1('SHA-256', 'dave', 'r', 'p').toString('hex')
const FULL = computeHa1('MD5', 'dave@d.example', 'r', 'p').toString('hex')

describe('accounts in TOML', () => {
  it('may have an HA1 of some algorithms', () => {
    const store = parseCredentials(
      `[[users]]\nusername = "dave"\nrealm = "r"\nha1_md5 = "${MD5}"\nha1_sha256 = "${SHA256.toUpperCase()}"`,
    )
    const find = (algorithm: 'MD5' | 'SHA-256' | 'SHA-512-256') => {
      const found = store.find({ username: 'dave', realm: 'r', algorithm })
      if (found === undefined || found instanceof Promise) throw new Error('not found at once')
      return found.ha1?.export().toString('hex')
    }
    expect(find('MD5')).toBe(MD5)
    expect(find('SHA-256')).toBe(SHA256)
    expect(find('SHA-512-256')).toBeUndefined()
    expect(store.find({ username: 'dave@r', realm: 'r', algorithm: 'MD5' })).toBeUndefined()
  })

  it('may have an HA1 with the domain', () => {
    const store = parseCredentials(
      `[[users]]\nusername = "dave"\nrealm = "r"\ndomain = "d.example"\nha1b_md5 = "${FULL}"`,
    )
    expect(store.find({ username: 'dave@d.example', realm: 'r', algorithm: 'MD5' })).toMatchObject({
      username: 'dave',
      domain: 'd.example',
    })
    expect(store.find({ username: 'dave', realm: 'r', algorithm: 'MD5' })).toBeUndefined()
  })

  it('may be none', () => {
    expect(parseCredentials('').find({ username: 'a', realm: 'b', algorithm: 'MD5' })).toBeUndefined()
  })

  it('are refused with every issue at once, without their secrets', () => {
    const error = errorOf(() =>
      parseCredentials(
        [
          'user = 1',
          '[[users]]',
          'username = "a"',
          'realm = "r"',
          '[[users]]',
          'username = "b"',
          'pasword = "hunter2-secret"',
          'password = "hunter2-secret"',
          `ha1_md5 = "hunter2-secret"`,
          'status = "gone"',
          '[[users]]',
          'username = "c\\"d"',
          'realm = "r"',
          'password = 12',
          'identities = [1]',
          'attributes = { a = 1 }',
          '[[users]]',
          'username = "e"',
          'realm = "r"',
          'password = "one"',
          '[[users]]',
          'username = "e"',
          'realm = "r"',
          'password = "two"',
        ].join('\n'),
      ),
    )
    expect(error.code).toBe('ERR_CONFIG_INVALID')
    expect(error.message).not.toContain('hunter2')
    const at = error.issues.map(({ path, line }) => `${line} ${path}`)
    expect(at).toContain('1 user')
    expect(at).toContain('2 users[0]')
    expect(at).toContain('7 users[1].pasword')
    expect(at).toContain('10 users[1].status')
    expect(at).toContain('12 users[2].username')
    expect(at).toContain('14 users[2].password')
    expect(at).toContain('15 users[2].identities')
    expect(at.some((issue) => issue.startsWith('16 users[2].attributes'))).toBe(true)
    expect(at).toContain('22 users[4].username')
  })

  it.each([
    ['too short', 'ha1_sha256', MD5],
    ['no hex', 'ha1_md5', 'z'.repeat(32)],
  ])('an HA1 that is %s is refused and not shown', (_, setting, value) => {
    const error = errorOf(() =>
      parseCredentials(`[[users]]\nusername = "a"\nrealm = "r"\n${setting} = "${value}"`),
    )
    expect(error.issues[0]).toMatchObject({ path: `users[0].${setting}`, line: 4 })
    expect(error.message).not.toContain(value)
  })

  it('a password beside an HA1 is refused', () => {
    const toml = `[[users]]\nusername = "a"\nrealm = "r"\npassword = "p"\nha1_md5 = "${MD5}"`
    expect(errorOf(() => parseCredentials(toml)).issues[0]!.message).toBe(
      'stands beside ha1_md5: give only one of them',
    )
  })

  it('is no TOML: says so without an excerpt', () => {
    expect(errorOf(() => parseCredentials('password = "hunter2')).message).not.toContain('hunter2')
  })
})
