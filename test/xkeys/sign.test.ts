import { createHash, createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../../src/xkeys/algorithm.ts'
import { createSigner, type SignFailure } from '../../src/xkeys/sign.ts'
import { bytesOf, contextOf, responseBytes } from '../support/messages.ts'
import { NOON, SECRET, agree, later, ringOf, tokenOf, type Setup } from '../support/parties.ts'

const MESSAGE = bytesOf({ body: 'hello' })
const DATA = 'sip:alice@atlanta.example:sip:bob@biloxi.example:314159 INVITE:hello'

function failure(
  message: Buffer,
  { agreement, ring = ringOf(), now = NOON }: Setup = {},
): SignFailure | 'signed' {
  const options = { agreement: agree(agreement), keyring: ring, now: () => now }
  const result = createSigner(options).sign(contextOf(message, {}, 'kamailio'))
  return result.ok ? 'signed' : result.reason
}

describe('signing', () => {
  it.each([...ALGORITHMS.values()])('$name over the sender’s template', ({ name, family, hash }) => {
    const expected =
      family === 'hmac'
        ? createHmac(hash, SECRET).update(DATA).digest('hex')
        : createHash(hash).update(`${SECRET}:${DATA}`).digest('hex')
    expect(tokenOf(MESSAGE, { agreement: { algorithm: name } })).toBe(expected)
  })

  it('base64url is unpadded, and of the same digest', () => {
    const hex = tokenOf(MESSAGE)
    const token = tokenOf(MESSAGE, { agreement: { encoding: 'base64url' } })
    expect(token).toBe(Buffer.from(hex, 'hex').toString('base64url'))
    expect(token).toHaveLength(43)
  })

  it('says header, token and key', () => {
    const signer = createSigner({ agreement: agree(), keyring: ringOf(), now: () => NOON })
    expect(signer.sign(contextOf(MESSAGE))).toEqual({
      ok: true,
      header: 'X-Auth',
      token: createHmac('sha256', SECRET).update(DATA).digest('hex'),
      key: { group: 'trunk', name: SECRET },
    })
  })

  it('a response is signed with the template of responses', () => {
    const data = '200:sip:alice@atlanta.example:314159 INVITE:'
    expect(tokenOf(responseBytes())).toBe(createHmac('sha256', SECRET).update(data).digest('hex'))
  })

  it('the sender’s template is used, not the receiver’s', () => {
    const request = { sender: '$Ri', receiver: '$si' }
    const expected = createHmac('sha256', SECRET).update('198.51.100.7').digest('hex')
    expect(tokenOf(MESSAGE, { agreement: { request } })).toBe(expected)
  })

  it('T06: null-text covers the text <null> as Kamailio does', () => {
    const agreement = { algorithm: 'sha256', request: '$hdr(Nope):$ru' } as const
    const expected = createHash('sha256').update(`${SECRET}:<null>:sip:bob@biloxi.example`).digest('hex')
    expect(tokenOf(MESSAGE, { agreement })).toBe(expected)
  })
})

const token = (secret: string): string => createHmac('sha256', secret).update(DATA).digest('hex')

describe('which key signs', () => {
  it('the one with the latest start, from that instant on', () => {
    const ring = ringOf([
      { name: 'old', secret: 'old' },
      { name: 'new', secret: 'new', activeFrom: later(1000) },
    ])
    expect(tokenOf(MESSAGE, { ring, now: later(999) })).toBe(token('old'))
    expect(tokenOf(MESSAGE, { ring, now: later(1000) })).toBe(token('new'))
  })

  it('one signer changes keys as its clock moves', () => {
    const ring = ringOf([
      { name: 'old', secret: 'old', expires: later(60_000) },
      { name: 'new', secret: 'new', activeFrom: later(1000), expires: later(120_000) },
    ])
    let now = NOON
    const signer = createSigner({ agreement: agree(), keyring: ring, now: () => now })
    const at = (ms: number): string => {
      now = later(ms)
      const signed = signer.sign(contextOf(MESSAGE))
      return signed.ok ? signed.key.name : signed.reason
    }
    expect([0, 999, 1000, 119_999, 120_000, 121_000].map(at)).toEqual([
      'old',
      'old',
      'new',
      'new',
      'no-active-key',
      'no-active-key',
    ])
  })

  it('T19: an expired key stops signing to the millisecond, and a clock that steps back does not revive it', () => {
    const ring = ringOf([{ name: 'k', secret: 'k', expires: later(1000) }])
    let now = later(999)
    const signer = createSigner({ agreement: agree(), keyring: () => ({ ...ring }), now: () => now })
    expect(signer.sign(contextOf(MESSAGE)).ok).toBe(true)
    for (const ms of [1000, 999, 0, -3_600_000]) {
      now = later(ms)
      expect(signer.sign(contextOf(MESSAGE))).toEqual({ ok: false, reason: 'no-active-key' })
    }
  })

  it('T19: a revoked key signs nothing', () => {
    const ring = ringOf([{ name: 'k', secret: 'k', revoked: NOON }])
    expect(failure(MESSAGE, { ring })).toBe('no-active-key')
    expect(failure(MESSAGE, { ring, now: later(-1) })).toBe('signed')
  })

  it('the keyring is read once per message, and an exchanged one counts at once', () => {
    let reads = 0
    let ring = ringOf(['a'])
    const keyring = () => {
      reads++
      return ring
    }
    const signer = createSigner({ agreement: agree(), keyring, now: () => NOON })
    const sign = (): unknown => signer.sign(contextOf(MESSAGE))
    expect(sign()).toMatchObject({ token: token('a') })
    ring = ringOf(['b'])
    expect(sign()).toMatchObject({ token: token('b') })
    expect(reads).toBe(2)
  })

  it('the system clock is the default', () => {
    const ring = ringOf([{ name: 'k', secret: 'k', expires: new Date(Date.now() + 60_000) }])
    expect(createSigner({ agreement: agree(), keyring: ring }).sign(contextOf(MESSAGE)).ok).toBe(true)
    const ended = ringOf([{ name: 'k', secret: 'k', expires: new Date(Date.now() - 1) }])
    expect(createSigner({ agreement: agree(), keyring: ended }).sign(contextOf(MESSAGE)).ok).toBe(false)
  })
})

describe('why nothing is signed', () => {
  it.each<[SignFailure, Buffer, Setup]>([
    ['group-unknown', MESSAGE, { agreement: { group: 'other' } }],
    ['no-active-key', MESSAGE, { ring: ringOf([{ name: 'k', secret: 'k', activeFrom: later(1) }]) }],
    ['variable-missing', MESSAGE, { agreement: { request: '$hdr(Nope)' } }],
    ['direction-unsigned', responseBytes(), { agreement: { responses: 'off' } }],
    ['message-unparsable', bytesOf({ add: ['broken'] }), {}],
    ['data-too-long', MESSAGE, { agreement: { maxData: DATA.length - 1 } }],
    ['field-illegal', bytesOf({ body: 'a\0b' }), { agreement: { algorithm: 'sha256' } }],
  ])('%s', (reason, message, setup) => {
    expect(failure(message, setup)).toBe(reason)
  })

  it('data may be exactly as long as the agreement says', () => {
    expect(failure(MESSAGE, { agreement: { maxData: DATA.length } })).toBe('signed')
  })

  it('of a sha form, secret and data share Kamailio’s buffer: both, a colon and a NUL, with a byte to spare', () => {
    const room = SECRET.length + 1 + DATA.length + 2
    expect(failure(MESSAGE, { agreement: { algorithm: 'sha256', maxData: room } })).toBe('signed')
    expect(failure(MESSAGE, { agreement: { algorithm: 'sha256', maxData: room - 1 } })).toBe('data-too-long')
  })

  it('a body of 64 KiB is too long, not a fault', () => {
    expect(failure(bytesOf({ body: 'x'.repeat(65_536) }))).toBe('data-too-long')
  })
})

describe('T20: secrets', () => {
  it('are in no result, and in nothing that can be printed of a signer', () => {
    const signer = createSigner({
      agreement: agree(),
      keyring: ringOf([{ name: 'k', secret: SECRET }]),
      now: () => NOON,
    })
    const result = signer.sign(contextOf(MESSAGE))
    const shown =
      inspect([signer, result], { depth: Infinity, showHidden: true }) + JSON.stringify([signer, result])
    expect(shown).not.toContain(SECRET)
    expect(shown).not.toContain(Buffer.from(SECRET).toString('hex'))
  })
})
