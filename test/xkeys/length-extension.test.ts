import { describe, expect, it } from 'vitest'
import { bytesOf } from '../support/messages.ts'
import { ACCEPTED, SECRET, signedBytes, tokenOf, verdict, type Setup } from '../support/parties.ts'
import { digestOf, extend, padding } from '../support/sha2.ts'

const REQUEST = '$fu:$hdr(CSeq):$rb'
const COVERED = 'sip:alice@atlanta.example:314159 INVITE:'
const BODY = 'v=0'
const EVIL = '\r\na=evil'

describe.each(['sha256', 'sha512'] as const)('T12: the length extension of %s(secret ":" data)', (hash) => {
  const setup: Setup = { agreement: { algorithm: hash, request: REQUEST } }
  // All that the attacker has: a message with its token, and a guess at the length of the secret.
  const seen = tokenOf(bytesOf({ body: BODY }), setup)
  const hashed = SECRET.length + 1 + COVERED.length + BODY.length
  const glue = padding(hash, hashed)
  const forgedBody = BODY + glue.toString('latin1') + EVIL
  const forged = extend(hash, Buffer.from(seen, 'hex'), hashed + glue.length, Buffer.from(EVIL))
  const message = bytesOf({ add: [`X-Auth: ${forged.toString('hex')}`], body: forgedBody })

  it('works: the forged token is the digest of the forged data, made without the secret', () => {
    const data = COVERED + forgedBody
    expect(digestOf(hash, `${SECRET}:`, Buffer.from(data, 'latin1')).equals(forged)).toBe(true)
  })

  it('is refused, because the padding holds a NUL', () => {
    expect(verdict(bytesOf({ add: [`X-Auth: ${seen}`], body: BODY }), setup)).toBe(ACCEPTED)
    expect(verdict(message, setup)).toBe('field-illegal')
  })

  it('brings a NUL with it whatever the lengths', () => {
    for (let length = 0; length < 1000; length++) expect(padding(hash, length).includes(0)).toBe(true)
  })

  it('is refused by the HMAC form, whose outer hash cannot be gone on with', () => {
    const hmac: Setup = { agreement: { algorithm: `hmac-${hash}`, request: REQUEST } }
    const token = tokenOf(bytesOf({ body: BODY }), hmac)
    const block = hash === 'sha256' ? 64 : 128
    // The secret's block and the data are what the inner hash took; the token is of the outer one.
    for (const taken of [block + COVERED.length + BODY.length, block + token.length / 2, hashed]) {
      const pad = padding(hash, taken)
      const extended = extend(hash, Buffer.from(token, 'hex'), taken + pad.length, Buffer.from(EVIL))
      const body = BODY + pad.toString('latin1') + EVIL
      expect(verdict(bytesOf({ add: [`X-Auth: ${extended.toString('hex')}`], body }), hmac)).toBe(
        'token-mismatch',
      )
    }
    // Not because of the NUL: with its own token that body is good.
    expect(verdict(signedBytes(bytesOf({ body: forgedBody }), hmac), hmac)).toBe(ACCEPTED)
  })
})
