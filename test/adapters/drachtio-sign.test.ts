import { describe, expect, it, vi } from 'vitest'
import {
  guardDrachtio,
  signDrachtio,
  signDrachtioResponses,
  type DrachtioSignResult,
} from '../../src/adapters/drachtio.ts'
import { ConfigError } from '../../src/errors.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import { defineAgreement, type AgreementInput } from '../../src/xkeys/agreement.ts'
import type { XkeyAlgorithm } from '../../src/xkeys/algorithm.ts'
import { fakeRequest, fakeResponse } from '../support/drachtio-host.ts'
import { bytesOf, responseBytes } from '../support/messages.ts'
import { ACCEPTED, NOON, agree, later, ringOf, tokenOf, verdict } from '../support/parties.ts'

const now = (): Date => NOON
const keyring = ringOf()
const LOCAL = { address: '198.51.100.7', port: 5080 }
const requests = (agreement: Partial<AgreementInput> = {}, local?: typeof LOCAL) =>
  signDrachtio({ agreement: agree(agreement), keyring, now, ...(local && { local }) })

/** The issues of a construction, one a line. */
function issuesOf(make: () => unknown): readonly string[] {
  try {
    make()
  } catch (error) {
    if (error instanceof ConfigError) return error.issues.map(({ path, message }) => `${path}: ${message}`)
    throw error
  }
  return []
}

/** Text as its UTF-8, one character a byte. */
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

/** The headers of a request that could be signed. */
function headersOf(signed: DrachtioSignResult): Record<string, string> {
  if (!signed.ok) throw new Error(signed.reason)
  return signed.headers
}

/** The options that `res.send` was called with. */
const optionsOf = (
  call: readonly unknown[] | undefined,
): { headers: Record<string, string>; body?: string } => call?.[2] as { headers: Record<string, string> }

const broken = (): never => {
  throw new Error('the file has gone')
}

/** A request that is to be proxied. */
const proxyable = (uri: string): Buffer =>
  bytesOf({
    start: `INVITE ${uri} SIP/2.0`,
    with: { CSeq: '0007   INVITE' },
    add: ['Content-Length: 3'],
    body: 'v=0',
  })

/** What a receiver says of a request with these headers. */
function received(
  uri: string,
  headers: Record<string, string>,
  agreement: Partial<AgreementInput>,
  body = '',
): string {
  const lines = Object.entries(headers).map(([name, value]) => [name, value] as const)
  const server = { Via: 'SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bK1', 'Max-Forwards': '70' }
  const missing = ['From', 'To', 'Call-ID', 'CSeq'].filter((name) => !(name in headers))
  const parts = {
    start: `INVITE ${uri} SIP/2.0`,
    with: { ...server, From: null, To: null, 'Call-ID': null, CSeq: null },
    add: [
      ...missing.map((name) => `${name}: ${name === 'CSeq' ? '77 INVITE' : '<sip:made@by.server>'}`),
      ...lines,
    ],
    body,
  }
  return verdict(bytesOf(parts), { agreement }, { source: LOCAL })
}

describe('an agreement whose request template reads what the server makes', () => {
  it.each([
    [
      '$Ri:$ci',
      'request.sender: $Ri: the server chooses the address that a request leaves from; give it as local',
    ],
    [
      '$si:$ci',
      'request.sender: $si cannot be signed through drachtio: a signer has no source; its own address is $Ri and $Rp',
    ],
    ['$ft:$ci', 'request.sender: $ft cannot be signed through drachtio: the server makes the From tag'],
    ['$ct:$ci', 'request.sender: $ct cannot be signed through drachtio: the server makes the Contact'],
    [
      '$(hdr(Contact){nameaddr.uri})',
      'request.sender: $(hdr(Contact){nameaddr.uri}) cannot be signed through drachtio: the server makes the Contact',
    ],
    [
      '$hdr(f)',
      'request.sender: $hdr(f) cannot be signed through drachtio: the server writes this header anew; read its URI instead',
    ],
    [
      '$hdr(Via)',
      'request.sender: $hdr(Via) cannot be signed through drachtio: the server may add or change it after the application',
    ],
    ['$mb', 'request.sender: $mb cannot be signed through drachtio: the server writes the message'],
    ['$proto', 'request.sender: $proto cannot be signed through drachtio: the server chooses the transport'],
  ])('is refused with the reason: %s', (request, issue) => {
    expect(issuesOf(() => requests({ request }))).toEqual([issue])
  })

  it('is refused with every variable at once', () => {
    const issues = issuesOf(() => requests({ header: 'X.Auth', request: '$si:$fu:$ft:$tt:$mb' }))
    expect(issues.map((issue) => issue.slice(0, 20))).toEqual([
      'header: drachtio sen',
      'request.sender: $si ',
      'request.sender: $ft ',
      'request.sender: $tt ',
      'request.sender: $mb ',
    ])
    const responsesOnly = defineAgreement({
      header: 'X-Auth',
      group: 'trunk',
      algorithm: 'sha256',
      response: '$rs',
    })
    expect(issuesOf(() => signDrachtio({ agreement: responsesOnly, keyring }))).toEqual([
      'request: the agreement signs no requests',
    ])
  })

  it.each([
    { address: 'localhost', port: 5060 },
    { address: '0.0.0.0', port: 5060 },
    { address: '::', port: 5060 },
    { address: '192.0.2.7', port: 0 },
  ])('is refused with a local address that none is: %o', (local) => {
    expect(issuesOf(() => requests({ request: '$Ri:$ci' }, local))).toEqual([
      'local: it is an IP address and a port that the server sends from, e.g. 192.0.2.20 and 5060',
    ])
  })

  it('is taken where the operator tells the address', () => {
    expect(
      issuesOf(() => requests({ request: '$Ri:$Rp:$fu:$(ru{uri.host}):$(rb{s.sha256})' }, LOCAL)),
    ).toEqual([])
  })
})

describe('headers of a request to be sent', () => {
  const request = {
    sender: '$Ri:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$rb',
    receiver: '$si:$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$rb',
  }
  const uri = 'sip:bob@biloxi.example:5060;transport=udp'

  it.each(['hmac-sha256', 'sha256', 'sha384', 'sha512'] as const)(
    'carry a token that fits the wire (%s)',
    (algorithm) => {
      const agreement = { algorithm, request } satisfies { algorithm: XkeyAlgorithm; request: unknown }
      const body = 'v=0\r\no=zoë\r\n'
      const signed = headersOf(
        requests(agreement, LOCAL).outgoing(uri, {
          headers: { From: '"Zoë" <sip:alice@atlanta.example>', 'X-Trunk': 'a', 'x-auth': 'old' },
          body,
        }),
      )
      expect(Object.keys(signed).toSorted()).toEqual(['CSeq', 'Call-ID', 'From', 'To', 'X-Auth', 'X-Trunk'])
      expect(signed).toMatchObject({ CSeq: '1 INVITE', To: `<${uri}>` })
      const wire = { ...signed, From: utf8(`${signed['From']};tag=by-server`) }
      expect(received(uri, wire, agreement, utf8(body))).toBe(ACCEPTED)
      expect(received(uri, { ...wire, CSeq: '2 INVITE' }, agreement, utf8(body))).toBe('token-mismatch')
    },
  )

  it('have a Call-ID and a CSeq of their own only where the template reads them', () => {
    expect(Object.keys(headersOf(requests({ request: '$ru' }).outgoing(uri)))).toEqual(['X-Auth'])
    const [a, b] = [1, 2].map(() => headersOf(requests({ request: '$ci' }).outgoing(uri)))
    expect(a).toEqual({ 'Call-ID': expect.any(String), 'X-Auth': expect.any(String) })
    expect(a!['Call-ID']).not.toBe(b!['Call-ID'])
  })

  it('keep those that the application gives, in any case', () => {
    const headers = {
      from: '<sip:a@x.example>',
      'call-id': 'mine',
      cseq: '7 MESSAGE',
      to: '<sip:c@y.example>',
    }
    const signed = requests({ request }, LOCAL).outgoing(uri, { method: 'MESSAGE', headers })
    expect(signed).toMatchObject({ ok: true, headers })
  })

  it.each([
    ['no From, which the template reads', uri, {}, 'variable-missing'],
    ['a From that the server changes', uri, { From: '<sip:alice@localhost>' }, 'field-illegal'],
    ['a To that the server changes', uri, { From: '<sip:a@x>', To: '<sip:b@localhost>' }, 'field-illegal'],
    ['a CSeq that the server writes anew', uri, { From: '<sip:a@x>', CSeq: '007 INVITE' }, 'field-illegal'],
    ['a CSeq of another method', uri, { From: '<sip:a@x>', CSeq: '7 BYE' }, 'message-unparsable'],
    ['a fold', uri, { From: '<sip:a@x>\r\n ;tag=1' }, 'field-illegal'],
    ['a line that does not belong there', uri, { From: '<sip:a@x>\r\nX-Evil: 1' }, 'field-illegal'],
    ['a URI without a scheme', 'biloxi.example', { From: '<sip:a@x>' }, 'field-illegal'],
    ['a URI with a blank', 'sip:a b@x', { From: '<sip:a@x>' }, 'field-illegal'],
  ])('%s: none', (_, uri, headers, reason) => {
    expect(requests({ request }, LOCAL).outgoing(uri, { headers })).toEqual({ ok: false, reason })
  })

  it('without an active key: none', () => {
    const none = signDrachtio({ agreement: agree(), keyring: ringOf([], 'other'), now })
    expect(none.outgoing(uri, { headers: { From: '<sip:a@x>' } })).toEqual({
      ok: false,
      reason: 'group-unknown',
    })
  })
})

describe('headers of a request to be proxied', () => {
  const request = '$rm:$fu:$tu:$ru:$ci:$hdr(CSeq):$rb'
  const signer = requests({ request })

  it.each([
    ['to its own Request-URI', 'sip:bob@biloxi.example', 'sip:bob@biloxi.example', 'sip:bob@biloxi.example'],
    ['from the server to a target', 'sip:bob@198.51.100.7:5080', 'sip:192.0.2.9:5062', 'sip:192.0.2.9:5062'],
  ])('%s cover the request as it goes on', (_, uri, destination, onward) => {
    const signed = headersOf(signer.proxied(fakeRequest(proxyable(uri)), destination))
    expect(Object.keys(signed)).toEqual(['X-Auth'])
    const wire = proxyable(onward)
      .toString('latin1')
      .replace('\r\n\r\n', `\r\nX-Auth: ${signed['X-Auth']}\r\n\r\n`)
    expect(verdict(Buffer.from(wire, 'latin1'), { agreement: { request } })).toBe(ACCEPTED)
  })

  it.each([
    ['a target for a URI that is not the server’s own', 'sip:bob@biloxi.example', 'sip:192.0.2.9:5062'],
    ['another port of the server', 'sip:bob@198.51.100.7', 'sip:192.0.2.9:5062'],
    ['a target without scheme', 'sip:bob@198.51.100.7:5080', '192.0.2.9'],
    ['a telephone number', 'tel:+15550100', 'sip:192.0.2.9:5062'],
  ])('%s: none, for the Request-URI cannot be foreseen', (_, uri, destination) => {
    const req = fakeRequest(proxyable(uri))
    expect(signer.proxied(req, destination)).toEqual({ ok: false, reason: 'request-uri-unknown' })
    // Where the template does not read it, it does not matter.
    expect(requests({ request: '$fu:$ci' }).proxied(req, destination)).toMatchObject({ ok: true })
  })

  it('of one that has such a header already, or no text: none', () => {
    const req = fakeRequest(bytesOf({ add: ['x-auth: of another trunk'] }))
    expect(signer.proxied(req, 'sip:bob@biloxi.example')).toEqual({ ok: false, reason: 'header-repeated' })
    expect(signer.proxied(fakeRequest(bytesOf(), { raw: undefined }), 'sip:x')).toEqual({
      ok: false,
      reason: 'message-unparsable',
    })
  })
})

describe('an agreement whose response template reads what the server makes', () => {
  it.each([
    ['$rs:$rr', '$rr cannot be signed through drachtio: the phrase is filled in by drachtio-srf'],
    ['$rs:$ru', '$ru cannot be signed through drachtio: a response has no Request-URI'],
    ['$rs:$ct', '$ct cannot be signed through drachtio: the server makes the Contact'],
    ['$rs:$fn', '$fn cannot be signed through drachtio: the server writes display names anew'],
    [
      '$rs:$ua',
      '$ua cannot be signed through drachtio: the server may add or change it after the application',
    ],
  ])('is refused with the reason: %s', (response, issue) => {
    expect(issuesOf(() => signDrachtioResponses({ agreement: agree({ response }), keyring }))).toEqual([
      `response.sender: ${issue}`,
    ])
  })

  it('is refused where it signs none', () => {
    const off = agree({ responses: 'off' })
    expect(issuesOf(() => signDrachtioResponses({ agreement: off, keyring }))).toEqual([
      'response: the agreement signs no responses',
    ])
  })
})

describe('responses', () => {
  const response = '$Ri:$rs:$fu:$tu:$ft:$tt:$ci:$hdr(CSeq):$rb'
  const agreement = { response } as const

  /** What is sent when an application sends through the middleware. */
  function through(
    bytes: Buffer,
    send: (res: { send(...args: unknown[]): unknown }) => void,
    changes = {},
    at = NOON,
  ) {
    const { res, sent } = fakeResponse()
    const failures: string[] = []
    const middleware = signDrachtioResponses({
      agreement: agree(agreement),
      keyring: ringOf([
        { name: 'k', secret: 'xks_a-secret-of-the-tests-0123456789abcdefghij', expires: later(3_600_000) },
      ]),
      now: () => at,
      onFailure: (reason) => void failures.push(reason),
    })
    let passed = 0
    middleware(fakeRequest(bytes, changes), res, () => passed++)
    expect(passed).toBe(1)
    send(res)
    return { sent, failures, res }
  }
  const INVITE = bytesOf({ with: { CSeq: '0314   INVITE' } })
  /** The token that the peer computes for the response on the wire. */
  const expected = (status: number, to: string, body = ''): string =>
    tokenOf(responseBytes(`${status} OK`, { with: { To: to, CSeq: '314 INVITE' }, body }), { agreement })

  it('carry a token that fits the wire: To tag set, CSeq as the server writes it', () => {
    const { sent } = through(INVITE, (res) =>
      res.send(200, { headers: { 'X-A': 'b', 'x-auth': 'old' }, body: 'v=0' }),
    )
    const { headers, body } = optionsOf(sent[0])
    expect(Object.keys(headers).toSorted()).toEqual(['To', 'X-A', 'X-Auth'])
    expect(headers['To']).toMatch(/^<sip:bob@biloxi\.example>;tag=[0-9a-f]{16}$/)
    expect(body).toBe('v=0')
    expect(headers['X-Auth']).toBe(expected(200, headers['To']!, 'v=0'))
  })

  it('have one To tag from the first to the last', () => {
    const { sent } = through(INVITE, (res) => {
      res.send(100)
      res.send(180, 'Ringing')
      res.send(200)
    })
    expect(sent[0]).toEqual([100])
    const [ringing, ok] = [optionsOf(sent[1]).headers, optionsOf(sent[2]).headers]
    expect(ringing['To']).toBe(ok['To'])
    expect(ringing['X-Auth']).toBe(expected(180, ringing['To']!))
    expect(ok['X-Auth']).toBe(expected(200, ok['To']!))
  })

  it('keep the To tag that the application sets, and the one of a dialog', () => {
    const set = optionsOf(
      through(INVITE, (res) => res.send(200, { headers: { to: '<sip:x@y>;tag=mine' } })).sent[0],
    )
    expect(set.headers).toMatchObject({ To: '<sip:bob@biloxi.example>;tag=mine' })
    expect(set.headers['X-Auth']).toBe(expected(200, '<sip:bob@biloxi.example>;tag=mine'))
    const inside = bytesOf({ with: { CSeq: '314 INVITE', To: '<sip:bob@biloxi.example>;tag=theirs' } })
    const { headers } = optionsOf(through(inside, (res) => res.send(200)).sent[0])
    expect(headers).toEqual({ 'X-Auth': expected(200, '<sip:bob@biloxi.example>;tag=theirs') })
  })

  it('are signed in every form of res.send', () => {
    const done = vi.fn<() => void>()
    const ack = vi.fn<() => void>()
    const forms: readonly (readonly unknown[])[] = [
      [180],
      [180, 'Ringing'],
      [180, {}],
      [180, 'Ringing', {}, done, ack],
      [180, {}, done, ack],
      [180, done],
      [180, null, done],
      [180, undefined, undefined, done],
    ]
    for (const form of forms) {
      const { sent } = through(INVITE, (res) => res.send(...form))
      const [status, reason, , callback, onAck] = sent[0]!
      expect(optionsOf(sent[0]).headers['X-Auth']).toMatch(/^[0-9a-f]{64}$/)
      expect({ status, reason, done: callback === done, ack: onAck === ack }).toEqual({
        status: 180,
        reason: form[1] === 'Ringing' ? 'Ringing' : undefined,
        done: form.includes(done),
        ack: form.includes(ack),
      })
    }
  })

  it('leave to the host what is its own to refuse: no status, a second final response', () => {
    const { sent } = through(INVITE, (res) => {
      res.send('200')
      res.send(486)
      res.send(200)
    })
    expect([sent[0], sent[2]]).toEqual([['200'], [200]])
  })

  it.each([
    ['an expired key', {}, later(7_200_000), 'no-active-key'],
    ['no text', { raw: undefined }, NOON, 'message-unparsable'],
    ['no address of this end', { receivedOn: undefined }, NOON, 'variable-missing'],
  ])(
    'that cannot be signed for %s: 2xx becomes 500, 1xx is not sent, refusals go as they are',
    (_, changes, at, reason) => {
      const told: unknown[] = []
      const { sent, failures } = through(
        INVITE,
        (res) => {
          res.send(183, {}, (error: unknown) => told.push(error))
          res.send(200, { body: 'v=0' }, (error: unknown) => told.push(error))
        },
        changes,
        at,
      )
      expect(sent).toEqual([[500]])
      expect(failures).toEqual([reason, reason])
      expect(told).toEqual([0, 1].map(() => new Error(`the response cannot be signed: ${reason}`)))
      const refusal = through(
        INVITE,
        (res) => res.send(486, 'Busy', { headers: { 'x-auth': 'old' } }),
        changes,
        at,
      )
      expect(refusal.sent[0]?.slice(0, 2)).toEqual([486, 'Busy'])
      expect(Object.keys(optionsOf(refusal.sent[0]).headers).filter((name) => name !== 'To')).toEqual([])
    },
  )

  it.each([
    ['From', '<sip:alice@localhost>;tag=1'],
    ['From', '<sip:alice@x>\r\n ;tag=1'],
    ['To', '<sip:bob@localhost>'],
  ])('are not signed where the server would change what was signed: %s %j', (name, value) => {
    const { sent, failures } = through(bytesOf({ with: { [name]: value } }), (res) => res.send(200))
    expect({ sent, failures }).toEqual({ sent: [[500]], failures: ['field-illegal'] })
  })

  it('are sent without a token where the source of the keyring throws, and the log too', () => {
    const { res, sent } = fakeResponse()
    const middleware = signDrachtioResponses({ agreement: agree(), keyring: broken, onFailure: broken })
    middleware(fakeRequest(INVITE), res, () => {})
    res.send(404)
    expect(sent).toEqual([[404, undefined, { headers: {} }, undefined, undefined]])
  })

  it('that the guard makes are never signed, before it or behind it', () => {
    const signResponses = signDrachtioResponses({ agreement: agree(), keyring, now })
    const guard = guardDrachtio(
      createPipeline([{ name: 'no', judge: () => ({ verdict: 'reject', status: 403, reason: 'x' }) }]),
    )
    const [req, { res, sent }] = [fakeRequest(INVITE), fakeResponse()]
    signResponses(req, res, () => guard(req, res, () => expect.fail('passed')))
    expect(sent).toEqual([[403]])
  })
})
