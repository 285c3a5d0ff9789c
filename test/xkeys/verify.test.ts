import { createHash, createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../../src/xkeys/algorithm.ts'
import { VERIFY_FAILURES, createVerifier, type VerifyFailure } from '../../src/xkeys/verify.ts'
import { bytesOf, contextOf, responseBytes } from '../support/messages.ts'
import {
  ACCEPTED,
  NOON,
  SECRET,
  agree,
  later,
  ringOf,
  signedBytes,
  tokenOf,
  verdict,
  type Setup,
} from '../support/parties.ts'

const MESSAGE = bytesOf({ body: 'hello' })

describe('what was signed is accepted', () => {
  it.each([...ALGORITHMS.values()])('$name', ({ name }) => {
    const setup = { agreement: { algorithm: name } }
    expect(verdict(signedBytes(MESSAGE, setup), setup)).toBe(ACCEPTED)
    expect(verdict(signedBytes(responseBytes(), setup), setup)).toBe(ACCEPTED)
  })

  it('a verifier takes both encodings, whichever its agreement names', () => {
    for (const signing of ['hex', 'base64url'] as const) {
      for (const verifying of ['hex', 'base64url'] as const) {
        const message = signedBytes(MESSAGE, { agreement: { encoding: signing } })
        expect(verdict(message, { agreement: { encoding: verifying } })).toBe(ACCEPTED)
      }
    }
  })

  it('the receiver’s template counts: its $si is the sender’s $Ri', () => {
    const agreement = { request: { sender: '$Ri:$fu', receiver: '$si:$fu' } }
    const message = signedBytes(MESSAGE, { agreement })
    expect(verdict(message, { agreement }, { source: { address: '198.51.100.7', port: 1 } })).toBe(ACCEPTED)
    expect(verdict(message, { agreement }, { source: { address: '198.51.100.8', port: 1 } })).toBe(
      'token-mismatch',
    )
  })

  it('the result names the key and its state, and is one frozen object', () => {
    const verifier = createVerifier({ agreement: agree(), keyring: ringOf(), now: () => NOON })
    const context = contextOf(signedBytes(MESSAGE))
    const result = verifier.verify(context)
    expect(result).toEqual({ ok: true, key: { group: 'trunk', name: SECRET }, state: 'active' })
    expect(Object.isFrozen(result)).toBe(true)
    expect(verifier.verify(context)).toBe(result)
  })

  it('the token header may be called by its compact name', () => {
    const agreement = { header: 'Subject' }
    const token = tokenOf(MESSAGE, { agreement })
    expect(verdict(bytesOf({ add: [`s: ${token}`], body: 'hello' }), { agreement })).toBe(ACCEPTED)
  })

  it('the known answer of Kamailio', () => {
    const setup: Setup = { agreement: { algorithm: 'sha256', request: '$rb' }, ring: ringOf(['secret2']) }
    const token = '082DCB33bf1e2256ae9ad0cfe8afae9f35adbfa46789644a550e9af8f5ab6d53'
    const message = bytesOf({ add: [`X-Auth:   ${token}\t`], body: 'hello' })
    expect(verdict(message, setup)).toBe('accepted by secret2, active')
  })
})

const withToken = (token: string): Buffer => bytesOf({ add: [['X-Auth', token]], body: 'hello' })

describe('every reason of a refusal', () => {
  const bad = 'f'.repeat(64)
  const rows: Readonly<Record<VerifyFailure, readonly [message: Buffer, setup: Setup]>> = {
    'header-missing': [MESSAGE, {}],
    'header-repeated': [bytesOf({ add: [`X-Auth: ${bad}`, `x-auth: ${bad}`] }), {}],
    'token-malformed': [withToken('f'.repeat(63)), {}],
    'group-unknown': [withToken(bad), { agreement: { group: 'other' } }],
    'no-usable-key': [withToken(bad), { ring: ringOf([{ name: 'k', secret: 'k', expires: NOON }]) }],
    'variable-missing': [withToken(bad), { agreement: { request: '$hdr(Nope)' } }],
    'token-mismatch': [withToken(bad), {}],
    'direction-unsigned': [responseBytes(), { agreement: { responses: 'off' } }],
    'message-unparsable': [bytesOf({ add: [['X-Auth', bad], 'broken'] }), {}],
    'data-too-long': [withToken(bad), { agreement: { maxData: 64 } }],
    'field-illegal': [
      bytesOf({ add: [['X-Auth', bad]], body: 'a\0b' }),
      { agreement: { algorithm: 'sha256' } },
    ],
  }

  it.each([...VERIFY_FAILURES])('%s', (reason) => {
    const [message, { agreement, ring = ringOf(), now = NOON }] = rows[reason]
    const verifier = createVerifier({ agreement: agree(agreement), keyring: ring, now: () => now })
    const context = contextOf(message, {}, 'kamailio')
    const result = verifier.verify(context)
    expect(result).toEqual({ ok: false, reason })
    expect(Object.isFrozen(result)).toBe(true)
    expect(verifier.verify(context)).toBe(result)
  })

  it('T18: with the header taken away a message is not let through', () => {
    expect(verdict(signedBytes(MESSAGE))).toBe(ACCEPTED)
    expect(verdict(MESSAGE)).toBe('header-missing')
    expect(verdict(responseBytes())).toBe('header-missing')
  })
})

const withTokens = (...tokens: readonly string[]): Buffer =>
  bytesOf({ add: tokens.map((token) => `X-Auth: ${token}`), body: 'hello' })

describe('T09: a repeated token header', () => {
  const good = tokenOf(MESSAGE)
  const wrong = 'f'.repeat(64)
  it.each([
    ['good, bad', [good, wrong], ACCEPTED],
    ['bad, good', [wrong, good], 'token-mismatch'],
    ['good, good', [good, good], ACCEPTED],
    ['empty, good', ['', good], 'token-malformed'],
  ])('%s is refused; where the agreement takes the first, it decides', (_what, tokens, first) => {
    expect(verdict(withTokens(...tokens))).toBe('header-repeated')
    expect(verdict(withTokens(...tokens), { agreement: { repeated: 'first' } })).toBe(first)
  })

  it('however the second is written', () => {
    for (const second of [`x-auth:${good}`, `X-AUTH : ${good}`, `X-Auth:\r\n ${good}`, 'X-Auth:']) {
      expect(verdict(bytesOf({ add: [`X-Auth: ${good}`, second], body: 'hello' }))).toBe('header-repeated')
    }
  })

  it('a list in one header is no token', () => {
    expect(verdict(withTokens(`${good},${wrong}`), { agreement: { repeated: 'first' } })).toBe(
      'token-malformed',
    )
  })
})

describe('T04: every covered field counts', () => {
  const agreement = { request: '$rm:$ru:$fu:$ft:$tu:$ci:$hdr(CSeq):$ct:$hdr(X-A):$rb' }
  const parts = { add: ['Contact: <sip:c>', 'X-A: a'], body: 'hello' }
  const token = tokenOf(bytesOf(parts), { agreement })
  const check = (change: Parameters<typeof bytesOf>[0] = {}): string => {
    const add = [...(change.add ?? parts.add), `X-Auth: ${token}`]
    return verdict(bytesOf({ ...parts, ...change, add }), { agreement })
  }

  it('unchanged, it is accepted', () => {
    expect(check()).toBe(ACCEPTED)
  })

  it.each<[string, Parameters<typeof bytesOf>[0]]>([
    ['method', { start: 'MESSAGE sip:bob@biloxi.example SIP/2.0', with: { CSeq: '314159 MESSAGE' } }],
    ['Request-URI', { start: 'INVITE sip:eve@biloxi.example SIP/2.0' }],
    ['case of the Request-URI', { start: 'INVITE sip:Bob@biloxi.example SIP/2.0' }],
    ['From', { with: { From: '<sip:eve@atlanta.example>;tag=1928301774' } }],
    ['From tag', { with: { From: '<sip:alice@atlanta.example>;tag=2' } }],
    ['To', { with: { To: '<sip:eve@biloxi.example>' } }],
    ['Call-ID', { with: { 'Call-ID': 'b' } }],
    ['CSeq', { with: { CSeq: '314160 INVITE' } }],
    ['white space in CSeq', { with: { CSeq: '314159  INVITE' } }],
    ['Contact', { add: ['Contact: <sip:d>', 'X-A: a'] }],
    ['another header', { add: ['Contact: <sip:c>', 'X-A: b'] }],
    ['white space behind a header', { add: ['Contact: <sip:c>', 'X-A: a '] }],
    ['body', { body: 'hullo' }],
    ['a byte more in the body', { body: 'hello\n' }],
  ])('%s', (_field, change) => {
    expect(check(change)).toBe('token-mismatch')
  })

  it('what is not covered may change', () => {
    expect(check({ with: { Via: 'SIP/2.0/UDP other', 'Max-Forwards': '69' } })).toBe(ACCEPTED)
  })
})

describe('T06: missing, empty and the text <null>', () => {
  const cover = { request: '$ru:$hdr(X-A)' }
  const [missing, empty, text] = [[], ['X-A:'], ['X-A: <null>']].map((add) => bytesOf({ add })) as [
    Buffer,
    Buffer,
    Buffer,
  ]

  it('are three for the hmac forms', () => {
    expect(verdict(signedBytes(empty, { agreement: cover }), { agreement: cover })).toBe(ACCEPTED)
    const token = tokenOf(text, { agreement: cover })
    expect(verdict(bytesOf({ add: ['X-A:', `X-Auth: ${token}`] }), { agreement: cover })).toBe(
      'token-mismatch',
    )
    expect(verdict(bytesOf({ add: [`X-Auth: ${token}`] }), { agreement: cover })).toBe('variable-missing')
  })

  it('are two for the sha forms, as in Kamailio', () => {
    const agreement = { ...cover, algorithm: 'sha256' } as const
    expect(tokenOf(missing, { agreement })).toBe(tokenOf(text, { agreement }))
    expect(tokenOf(missing, { agreement })).not.toBe(tokenOf(empty, { agreement }))
  })
})

describe('T07: control bytes', () => {
  const controls = [...Array.from({ length: 32 }, (_, i) => i), 127]
  const agreement = { request: '$hdr(X-A):$rb' }

  it.each([...ALGORITHMS.values()])(
    '$name: none of them cuts the data, in a header or in a body',
    ({ name, family, hash }) => {
      const setup: Setup = { agreement: { ...agreement, algorithm: name } }
      for (const control of controls) {
        const char = String.fromCharCode(control)
        const illegal = control === 0 && family === 'sha'
        const data = `a:hello${char}world`
        const token =
          family === 'hmac'
            ? createHmac(hash, SECRET).update(data).digest('hex')
            : createHash(hash).update(`${SECRET}:${data}`).digest('hex')
        const check = (tail: string): string =>
          verdict(bytesOf({ add: ['X-A: a', `X-Auth: ${token}`], body: `hello${char}${tail}` }), setup)
        expect(check('world'), `byte ${control}`).toBe(illegal ? 'field-illegal' : ACCEPTED)
        expect(check('ADMIN'), `byte ${control}`).toBe(illegal ? 'field-illegal' : 'token-mismatch')
      }
    },
  )

  it.each([...ALGORITHMS.values()])(
    '$name: the same in a header, where the parser lets them through',
    ({ name }) => {
      const setup: Setup = { agreement: { ...agreement, algorithm: name } }
      for (const control of controls) {
        const char = String.fromCharCode(control)
        // These three never reach a verifier: bare CR, bare LF and NUL are no message.
        if (control === 0 || control === 10 || control === 13) continue
        const token = tokenOf(bytesOf({ add: [`X-A: hello${char}world`] }), setup)
        const check = (tail: string): string =>
          verdict(bytesOf({ add: [`X-A: hello${char}${tail}`, `X-Auth: ${token}`] }), setup)
        expect(check('world')).toBe(ACCEPTED)
        expect(check('ADMIN')).toBe('token-mismatch')
      }
    },
  )

  it('Kamailio’s own token for data that NUL cuts is refused', () => {
    const setup: Setup = { agreement: { algorithm: 'sha256', request: '$rb' } }
    const cut = createHash('sha256').update(`${SECRET}:hello\0\0\0\0\0\0`).digest('hex')
    for (const tail of ['world', 'ADMIN']) {
      const message = bytesOf({ add: [`X-Auth: ${cut}`], body: `hello\0${tail}` })
      expect(verdict(message, setup)).toBe('field-illegal')
    }
  })
})

describe('T11: another algorithm', () => {
  const names = [...ALGORITHMS.values()].map(({ name }) => name)

  it.each(names)('a token of %s is good for no other agreement, weaker or stronger', (signing) => {
    const message = signedBytes(MESSAGE, { agreement: { algorithm: signing } })
    for (const verifying of names) {
      const got = verdict(message, { agreement: { algorithm: verifying } })
      expect(signing === verifying ? [ACCEPTED] : ['token-mismatch', 'token-malformed']).toContain(got)
    }
  })

  it('a long digest is not cut to the length of a short one', () => {
    const token = tokenOf(MESSAGE, { agreement: { algorithm: 'hmac-sha512' } })
    const message = bytesOf({ add: [`X-Auth: ${token.slice(0, 64)}`], body: 'hello' })
    expect(verdict(message)).toBe('token-mismatch')
  })
})

describe('T15 T16 T17: a token where it does not belong', () => {
  it('T15: of group A, offered to B', () => {
    const message = signedBytes(MESSAGE, { ring: ringOf(['a'], 'A'), agreement: { group: 'A' } })
    expect(verdict(message, { ring: ringOf(['b'], 'B'), agreement: { group: 'B' } })).toBe('token-mismatch')
    expect(verdict(message, { ring: ringOf(['a'], 'A'), agreement: { group: 'B' } })).toBe('group-unknown')
  })

  it('T15: group ids compare case-blind, as in Kamailio', () => {
    const message = signedBytes(MESSAGE, { ring: ringOf(['a'], 'Trunk-A'), agreement: { group: 'TRUNK-a' } })
    expect(verdict(message, { ring: ringOf(['a'], 'trunk-A'), agreement: { group: 'Trunk-a' } })).toBe(
      'accepted by a, active',
    )
  })

  it('T15: of a request, offered as a response, and back', () => {
    const agreement = { request: '$fu:$hdr(CSeq)', response: '$rs:$fu:$hdr(CSeq)' }
    const request = tokenOf(bytesOf(), { agreement })
    const response = tokenOf(responseBytes(), { agreement })
    expect(verdict(responseBytes('200 OK', { add: [`X-Auth: ${request}`] }), { agreement })).toBe(
      'token-mismatch',
    )
    expect(verdict(bytesOf({ add: [`X-Auth: ${response}`] }), { agreement })).toBe('token-mismatch')
  })

  it('T16: sent back to its sender', () => {
    const agreement = { request: { sender: '$Ri:$fu', receiver: '$si:$fu' } }
    const ours = { address: '198.51.100.7', port: 5080 }
    const theirs = { address: '192.0.2.1', port: 5060 }
    const message = signedBytes(MESSAGE, { agreement })
    expect(verdict(message, { agreement }, { source: ours, local: theirs })).toBe(ACCEPTED)
    expect(verdict(message, { agreement }, { source: theirs, local: ours })).toBe('token-mismatch')
  })

  it('T17: of a 200, moved to another call or made another status', () => {
    const agreement = { response: '$rs:$ci:$hdr(CSeq):$ft:$tt' }
    const add = [
      `X-Auth: ${tokenOf(responseBytes(), { agreement: { ...agreement, whenMissing: 'null-text' } })}`,
    ]
    const setup: Setup = { agreement: { ...agreement, whenMissing: 'null-text' } }
    expect(verdict(responseBytes('200 OK', { add }), setup)).toBe(ACCEPTED)
    expect(verdict(responseBytes('200 OK', { add, with: { 'Call-ID': 'other' } }), setup)).toBe(
      'token-mismatch',
    )
    expect(verdict(responseBytes('200 OK', { add, with: { CSeq: '314160 INVITE' } }), setup)).toBe(
      'token-mismatch',
    )
    expect(verdict(responseBytes('202 OK', { add }), setup)).toBe('token-mismatch')
  })
})

const by = (secret: string): Buffer => signedBytes(MESSAGE, { ring: ringOf([secret]) })

describe('key states', () => {
  const ring = ringOf([
    { name: 'pending', secret: 'pending', activeFrom: later(60_000) },
    { name: 'old', secret: 'old', expires: later(30_000) },
    { name: 'active', secret: 'active' },
    { name: 'expired', secret: 'expired', expires: later(-1) },
    { name: 'revoked', secret: 'revoked', revoked: later(-1) },
  ])

  it.each([
    ['pending', 'accepted by pending, pending'],
    ['old', 'accepted by old, overlapping'],
    ['active', 'accepted by active, active'],
    ['expired', 'token-mismatch'],
    ['revoked', 'token-mismatch'],
  ])('T19: of a key that is %s: %s', (secret, result) => {
    expect(verdict(by(secret), { ring })).toBe(result)
  })

  it('T19: one verifier follows its clock, to the millisecond', () => {
    let now = NOON
    const verifier = createVerifier({ agreement: agree(), keyring: ring, now: () => now })
    const at = (secret: string, ms: number): string => {
      now = later(ms)
      const result = verifier.verify(contextOf(by(secret)))
      return result.ok ? result.state : result.reason
    }
    expect(at('old', 0)).toBe('overlapping')
    expect(at('old', 29_000)).toBe('overlapping')
    expect(at('old', 29_999)).toBe('overlapping')
    expect(at('old', 30_000)).toBe('token-mismatch')
    expect(at('active', 59_999)).toBe('active')
    expect(at('pending', 59_999)).toBe('pending')
    expect(at('pending', 60_000)).toBe('active')
    expect(at('active', 60_000)).toBe('overlapping')
  })

  it('T36: a clock that steps back revives no key, also where the keyring is exchanged meanwhile', () => {
    let now = later(29_999)
    // A keyring of its own for every message, so that nothing is kept from the last one but the time.
    const verifier = createVerifier({ agreement: agree(), keyring: () => ({ ...ring }), now: () => now })
    const old = contextOf(by('old'))
    expect(verifier.verify(old).ok).toBe(true)
    now = later(30_000)
    expect(verifier.verify(old)).toEqual({ ok: false, reason: 'token-mismatch' })
    for (const ms of [29_999, 0, -3_600_000]) {
      now = later(ms)
      expect(verifier.verify(old)).toEqual({ ok: false, reason: 'token-mismatch' })
      expect(verifier.verify(contextOf(by('active'))).ok).toBe(true)
    }
  })

  it('T19: a revocation counts with the next message', () => {
    let current = ringOf(['k', 'other'])
    const verifier = createVerifier({ agreement: agree(), keyring: () => current, now: () => NOON })
    const message = contextOf(by('k'))
    expect(verifier.verify(message).ok).toBe(true)
    current = ringOf(['other', { name: 'k', secret: 'k', revoked: NOON }])
    expect(verifier.verify(message)).toEqual({ ok: false, reason: 'token-mismatch' })
    current = ringOf([{ name: 'k', secret: 'k', revoked: NOON }])
    expect(verifier.verify(message)).toEqual({ ok: false, reason: 'no-usable-key' })
    current = ringOf(['x'], 'elsewhere')
    expect(verifier.verify(message)).toEqual({ ok: false, reason: 'group-unknown' })
  })

  it('the keyring is read once for each message that bears a token, and for no other', () => {
    let reads = 0
    const keyring = () => {
      reads++
      return ring
    }
    const verifier = createVerifier({ agreement: agree(), keyring, now: () => NOON })
    verifier.verify(contextOf(by('active')))
    verifier.verify(contextOf(by('nobody')))
    expect(reads).toBe(2)
    verifier.verify(contextOf(MESSAGE))
    verifier.verify(contextOf(bytesOf({ add: ['X-Auth: short'] })))
    expect(reads).toBe(2)
  })
})

const prefixed = (secret: string): Buffer =>
  signedBytes(MESSAGE, { agreement: { algorithm: 'sha256' }, ring: ringOf([secret]) })

describe('length of the data', () => {
  const DATA = 'sip:alice@atlanta.example:sip:bob@biloxi.example:314159 INVITE:hello'

  it('may be exactly what the agreement says', () => {
    const message = signedBytes(MESSAGE)
    expect(verdict(message, { agreement: { maxData: DATA.length } })).toBe(ACCEPTED)
    expect(verdict(message, { agreement: { maxData: DATA.length - 1 } })).toBe('data-too-long')
  })

  it('of a sha form depends on the secret: a key that it is too long for is passed over', () => {
    const agreement = { algorithm: 'sha256', maxData: DATA.length + 20 } as const
    const long = 'l'.repeat(100)
    const both = ringOf(['short', long])
    expect(verdict(prefixed('short'), { agreement, ring: both })).toBe('accepted by short, overlapping')
    expect(verdict(prefixed(long), { agreement, ring: both })).toBe('token-mismatch')
    expect(verdict(prefixed(long), { agreement, ring: ringOf([long]) })).toBe('data-too-long')
    expect(verdict(prefixed(long), { agreement, ring: ringOf([long, `${long}!`]) })).toBe('data-too-long')
  })
})

describe('T20: secrets', () => {
  it('are in no result, and in nothing that can be printed of a verifier', () => {
    const keyring = ringOf([{ name: 'k', secret: SECRET }])
    const verifier = createVerifier({ agreement: agree(), keyring, now: () => NOON })
    const results = [verifier.verify(contextOf(signedBytes(MESSAGE))), verifier.verify(contextOf(MESSAGE))]
    const shown =
      inspect([verifier, results], { depth: Infinity, showHidden: true }) +
      JSON.stringify([verifier, results])
    expect(shown).not.toContain(SECRET)
    expect(shown).not.toContain(Buffer.from(SECRET).toString('hex'))
  })
})
