import { describe, expect, it } from 'vitest'
import { defineAgreement, type AgreementInput } from '../../src/xkeys/agreement.ts'
import { ALGORITHMS, type XkeyAlgorithm } from '../../src/xkeys/algorithm.ts'
import { errorOf } from '../keyring/error-of.ts'

const GOOD: AgreementInput = {
  header: 'X-Auth',
  group: 'trunk',
  algorithm: 'hmac-sha256',
  request: '$fu:$ru:$hdr(CSeq)',
  response: '$rs:$fu:$hdr(CSeq)',
}

const issuesOf = (change: Partial<Record<keyof AgreementInput, unknown>>): readonly string[] => {
  const error = errorOf(() => defineAgreement({ ...GOOD, ...change } as AgreementInput))
  expect(error.code).toBe('ERR_AGREEMENT_INVALID')
  return error.issues.map(({ path, message }) => `${path}: ${message}`)
}

describe('what an agreement settles when nothing is said', () => {
  it('of the hmac forms', () => {
    expect(defineAgreement(GOOD)).toMatchObject({
      header: 'X-Auth',
      group: 'trunk',
      algorithm: 'hmac-sha256',
      encoding: 'hex',
      repeated: 'reject',
      whenMissing: 'fail',
      responses: 'required',
      maxData: 8192,
    })
  })

  it('of the sha forms, which are for Kamailio', () => {
    expect(defineAgreement({ ...GOOD, algorithm: 'sha256' })).toMatchObject({
      encoding: 'hex',
      repeated: 'reject',
      whenMissing: 'null-text',
      responses: 'if-present',
    })
  })

  it('a plain template serves both sides, two serve one each', () => {
    const plain = defineAgreement(GOOD)
    expect(plain.request?.sender).toBe(plain.request?.receiver)
    const sides = defineAgreement({ ...GOOD, request: { sender: '$Ri:$ru', receiver: '$si:$ru' } })
    expect([sides.request?.sender.source, sides.request?.receiver.source]).toEqual(['$Ri:$ru', '$si:$ru'])
  })

  it('algorithm names are case-blind, as in Kamailio', () => {
    for (const name of ALGORITHMS.keys()) {
      const algorithm = name.toUpperCase() as XkeyAlgorithm
      expect(defineAgreement({ ...GOOD, algorithm }).algorithm).toBe(name)
    }
  })

  it('responses off leaves no template for them', () => {
    expect(defineAgreement({ ...GOOD, responses: 'off' }).response).toBeUndefined()
  })

  it('blanks behind the header name are ignored, as in Kamailio', () => {
    expect(defineAgreement({ ...GOOD, header: 'X-Auth ' }).header).toBe('X-Auth')
  })

  it('is read once and frozen', () => {
    const input = { ...GOOD }
    const agreement = defineAgreement(input)
    Object.assign(input, { group: 'other', repeated: 'first' })
    expect(agreement).toMatchObject({ group: 'trunk', repeated: 'reject' })
    expect(Object.isFrozen(agreement)).toBe(true)
  })
})

describe('what is refused', () => {
  it.each<[Partial<Record<keyof AgreementInput, unknown>>, string]>([
    [{ header: '' }, 'header: "" is not a header name'],
    [{ header: 'X Auth' }, 'header: "X Auth" is not a header name'],
    [{ header: 'X-Auth:' }, 'header: "X-Auth:" is not a header name'],
    [{ header: 'X-Auth\r\nX-Evil' }, 'header: "X-Auth\\r\\nX-Evil" is not a header name'],
    [{ header: 'X%2DAuth' }, 'header: "X%2DAuth" is not a header name'],
    [{ header: 'via' }, 'header: via is needed by SIP itself; choose a name of your own, e.g. X-Auth'],
    [{ header: 'M' }, 'header: M is needed by SIP itself; choose a name of your own, e.g. X-Auth'],
    [{ header: 'CSeq ' }, 'header: CSeq is needed by SIP itself; choose a name of your own, e.g. X-Auth'],
    [{ group: '' }, 'group: it is empty'],
    [{ algorithm: 'sha-256' }, 'algorithm: unknown algorithm "sha-256"; did you mean sha256?'],
    [{ algorithm: 'hmac-sha1' }, 'algorithm: unknown algorithm "hmac-sha1"; did you mean hmac-sha512?'],
    [{ algorithm: 'hmac' }, 'algorithm: unknown algorithm "hmac"'],
    [{ algorithm: '' }, 'algorithm: unknown algorithm ""'],
    [{ algorithm: 'sha256 ' }, 'algorithm: unknown algorithm "sha256 "; did you mean sha256?'],
    [{ algorithm: 'constructor' }, 'algorithm: unknown algorithm "constructor"'],
    [
      { algorithm: 'sha256', encoding: 'base64url' },
      'encoding: sha256 tokens are hex; base64url is for the hmac forms',
    ],
    [{ maxData: 63 }, 'maxData: it is a number of bytes from 64 to 65536'],
    [{ maxData: 65537 }, 'maxData: it is a number of bytes from 64 to 65536'],
    [{ maxData: 100.5 }, 'maxData: it is a number of bytes from 64 to 65536'],
    [{ maxData: Number.NaN }, 'maxData: it is a number of bytes from 64 to 65536'],
    [
      { request: undefined, response: undefined },
      'request: neither requests nor responses have a template; nothing would be signed',
    ],
    [{ request: '$fuu' }, 'request, column 1: unknown pseudo-variable $fuu; did you mean $fu?'],
    [
      { request: '$rm:$TS' },
      'request, column 5: $TS cannot be used in a template: the clock differs at the peer, so the token would never match',
    ],
    [
      { request: { sender: '$Ri', receiver: '$(si' } },
      'request.receiver, column 5: the end of the template where ")" should close $(si…',
    ],
    [
      { response: '$rs:$' },
      'response, column 6: a pseudo-variable name is missing; write $$ for a dollar sign',
    ],
    [
      { response: '$fu:$ru' },
      'response: it needs $rs, or the token of a request could be offered as that of a response',
    ],
    [
      { response: { sender: '$rs', receiver: '$fu' } },
      'response.receiver: it needs $rs, or the token of a request could be offered as that of a response',
    ],
  ])('%j', (change, issue) => {
    expect(issuesOf(change)).toEqual([issue])
  })

  it('every issue is told at once', () => {
    expect(
      issuesOf({
        header: ':',
        group: '',
        algorithm: 'md5',
        maxData: 1,
        request: '$fuu:$ruu',
        response: '$x',
      }),
    ).toHaveLength(7)
  })

  it('T15: tokens of requests and responses cannot be the same, on either side', () => {
    const same = '$fu:$ci:$hdr(CSeq)'
    expect(issuesOf({ request: same, response: same })).toHaveLength(1)
    expect(issuesOf({ request: same, response: { sender: same, receiver: same } })).toHaveLength(2)
    expect(issuesOf({ request: same, response: '$(rs{s.len})' })).toHaveLength(1)
  })

  it('a response template alone needs no $rs: there are no request tokens', () => {
    expect(defineAgreement({ ...GOOD, request: undefined, response: '$fu' } as never).response).toBeDefined()
  })
})
