import { describe, expect, it } from 'vitest'
import { readCredentials, type CredentialsResult } from '../../src/digest/credentials.ts'
import { parseAuth } from '../../src/digest/header.ts'
import { answerTo } from './client.ts'

const CHALLENGE = 'Digest realm="example.org", nonce="n", algorithm=SHA-256, qop="auth"'

function readText(text: string): CredentialsResult {
  const parsed = parseAuth(text)
  if (!parsed.ok) throw new Error(parsed.reason)
  return readCredentials(parsed.items[0]!)
}
const read = (change: Readonly<Record<string, string | null>>): CredentialsResult =>
  readText(answerTo(CHALLENGE, { with: change }))
const outcome = (result: CredentialsResult): string => (result.ok ? 'taken' : result.reason)

describe('credentials', () => {
  it('are read with all their parts', () => {
    const result = read({})
    expect(result).toMatchObject({
      ok: true,
      credentials: {
        username: 'alice',
        realm: 'example.org',
        spec: { name: 'SHA-256' },
        nonce: 'n',
        uri: 'sip:example.org',
        counted: { qop: 'auth', nc: '00000001', cnonce: '0a4f113b' },
      },
    })
  })

  it.each([
    ['username', 'parameter-missing'],
    ['realm', 'parameter-missing'],
    ['nonce', 'parameter-missing'],
    ['uri', 'parameter-missing'],
    ['response', 'parameter-missing'],
    ['opaque', 'taken'],
  ])('without %s: %s', (name, expected) => {
    expect(outcome(read({ [name]: null }))).toBe(expected)
  })

  const PARTS = ['qop', 'nc', 'cnonce'] as const
  const combinations = Array.from({ length: 8 }, (_, bits) => PARTS.filter((_, i) => (bits & (1 << i)) !== 0))
  it.each(combinations.map((present) => [present.join(', ') || 'none of them', present] as const))(
    'T27: of qop, nc, cnonce: %s',
    (_, present) => {
      const change = Object.fromEntries(
        PARTS.filter((name) => !present.includes(name)).map((name) => [name, null]),
      )
      const expected = present.length === 0 || present.length === 3 ? 'taken' : 'qop-incomplete'
      expect(outcome(read(change))).toBe(expected)
    },
  )

  it.each([
    ['qop in quotes', { qop: '"auth"' }, 'taken'],
    ['qop in capitals', { qop: 'AUTH' }, 'taken'],
    ['qop unknown', { qop: 'auth-conf' }, 'qop-unknown'],
    ['qop as offered, two of them', { qop: '"auth,auth-int"' }, 'qop-unknown'],
    ['nc in quotes', { nc: '"00000001"' }, 'taken'],
    ['nc in capitals', { nc: '0000000A' }, 'taken'],
    ['nc too short', { nc: '1' }, 'parameter-malformed'],
    ['nc too long', { nc: '000000001' }, 'parameter-malformed'],
    ['nc no hex', { nc: '0000000g' }, 'parameter-malformed'],
    ['nc zero', { nc: '00000000' }, 'parameter-malformed'],
    ['an empty cnonce', { cnonce: '""' }, 'parameter-malformed'],
    ['an endless cnonce', { cnonce: `"${'c'.repeat(300)}"` }, 'parameter-malformed'],
    ['an empty nonce', { nonce: '""' }, 'parameter-malformed'],
    ['an endless nonce', { nonce: `"${'n'.repeat(300)}"` }, 'parameter-malformed'],
    ['an empty user', { username: '""' }, 'parameter-malformed'],
    ['an endless user', { username: `"${'u'.repeat(300)}"` }, 'parameter-malformed'],
    ['a user that is no UTF-8', { username: '"J\xe4s"' }, 'parameter-malformed'],
    ['a user with an overlong form', { username: '"\xc0\xafa"' }, 'parameter-malformed'],
    ['a user with a line separator', { username: '"a\xe2\x80\xa8b"' }, 'parameter-malformed'],
    ['a user with a C1 control', { username: '"a\xc2\x85b"' }, 'parameter-malformed'],
    ['an empty URI', { uri: '""' }, 'parameter-malformed'],
    ['a response too short', { response: `"${'a'.repeat(32)}"` }, 'parameter-malformed'],
    ['a response that is no hex', { response: `"${'g'.repeat(64)}"` }, 'parameter-malformed'],
    ['a response in capitals', { response: `"${'A'.repeat(64)}"` }, 'taken'],
    ['an unknown algorithm', { algorithm: 'SHA-512' }, 'algorithm-unknown'],
    ['an algorithm in small letters', { algorithm: 'sha-256' }, 'taken'],
    ['userhash', { userhash: 'true' }, 'userhash-unsupported'],
    ['userhash that is off', { userhash: 'false' }, 'taken'],
    ['no algorithm, a response of MD5', { algorithm: null, response: `"${'a'.repeat(32)}"` }, 'taken'],
    ['no algorithm, a response of SHA-256', { algorithm: null }, 'parameter-malformed'],
  ])('%s', (_, change, expected) => {
    expect(outcome(read(change))).toBe(expected)
  })

  it('need qop for a session key', () => {
    const none = { qop: null, nc: null, cnonce: null, algorithm: 'SHA-256-sess' }
    expect(outcome(read(none))).toBe('qop-incomplete')
  })

  it.each([
    ["UTF-8''J%C3%A4s%C3%B8n%20Doe", 'Jäsøn Doe'],
    ["utf-8'en'a", 'a'],
    ["UTF-8''%00", 'parameter-malformed'],
    ["UTF-8''%0d%0aX", 'parameter-malformed'],
    ["UTF-8''%C3", 'parameter-malformed'],
    ["iso-8859-1''a", 'parameter-malformed'],
    ['a', 'parameter-malformed'],
  ])('username* %s is %s', (value, expected) => {
    const result = readText(answerTo(CHALLENGE, { with: { username: null, 'username*': value } }))
    expect(result.ok ? result.credentials.username : result.reason).toBe(expected)
  })

  it('may not have username and username*', () => {
    expect(outcome(read({ 'username*': "UTF-8''a" }))).toBe('parameter-malformed')
  })

  it('take UTF-8 for characters', () => {
    const result = readText(answerTo(CHALLENGE, { username: 'Jäsøn Doe' }))
    expect(result.ok && result.credentials.username).toBe('Jäsøn Doe')
  })
})
