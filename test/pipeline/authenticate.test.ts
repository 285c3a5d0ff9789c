import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseMessage } from '../../src/message/parse.ts'
import type { MessageContext } from '../../src/message/types.ts'
import { authenticate, type AuthenticateResult } from '../../src/pipeline/authenticate.ts'
import { createPipeline } from '../../src/pipeline/pipeline.ts'
import type { Pipeline, Verdict } from '../../src/pipeline/stage.ts'
import { verifyPeer } from '../../src/pipeline/verify-peer.ts'
import { createVerifier } from '../../src/xkeys/verify.ts'
import { bytesOf, parsed, responseBytes } from '../support/messages.ts'
import { agreementOf, forged, keyringOf, signedBytes } from '../support/signed-messages.ts'

const from: Omit<MessageContext, 'message'> = {
  transport: 'udp',
  source: { address: '198.51.100.9', port: 40_000 },
  local: { address: '198.51.100.7', port: 5080 },
}
const agreement = agreementOf()
const verifier = createVerifier({ agreement, keyring: keyringOf() })
const pipeline = createPipeline([verifyPeer({ peer: 'carrier', source: [from.source.address], verifier })])
const always = (verdict: Verdict): Pipeline => createPipeline([{ name: 'always', judge: () => verdict }])

function ask(bytes: Uint8Array, by: Pipeline = pipeline): AuthenticateResult {
  const result = authenticate(bytes, from, by)
  if (result instanceof Promise) throw new Error('the synchronous way pays for no promise')
  return result
}
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('latin1')

const answer = () => [['Authentication-Info', 'nc=1']] as const

describe('what a verdict carries', () => {
  it('is headers and phrase of a refusal', () => {
    const headers = [['Retry-After', '5']] as const
    const by = always({ verdict: 'reject', status: 503, reason: 'x', headers, phrase: 'Away' })
    const { respond } = ask(bytesOf(), by)
    expect(text(respond)).toMatch(/^SIP\/2\.0 503 Away\r\n/)
    expect(text(respond)).toContain('\r\nRetry-After: 5\r\n')
  })

  it('is the reason of a challenge', () => {
    const challenge = { verdict: 'challenge', status: 407, headers: [], reason: 'nonce-stale' } as const
    expect(ask(bytesOf(), always(challenge)).decision).toEqual({ ...challenge, stage: 'always' })
    const ack = bytesOf({ start: 'ACK sip:b@c SIP/2.0', with: { CSeq: '1 ACK' } })
    expect(ask(ack, always(challenge)).decision).toMatchObject({ verdict: 'drop', reason: 'nonce-stale' })
  })

  it('is lines to change, and headers for the answer', () => {
    const edit = [{ name: 'X-A', value: 'one, two', left: 'two' }]
    const identity = { kind: 'unsigned', peer: 'p' } as const
    const by = always({ verdict: 'accept', identity, remove: ['X-B'], edit, answer })
    const { decision, forward } = ask(
      bytesOf({
        add: [
          ['X-A', 'one, two'],
          ['X-B', 'x'],
        ],
      }),
      by,
    )
    expect(decision).toEqual({ verdict: 'accept', identity, remove: ['X-B'], edit, answer, stage: 'always' })
    expect(text(forward)).toBe(text(bytesOf({ add: [['X-A', 'two']] })))
  })

  it('is no phrase that breaks the line', () => {
    const by = always({ verdict: 'reject', status: 403, reason: 'x', phrase: 'No\r\nX-Evil: 1' })
    expect(() => ask(bytesOf(), by)).toThrow(RangeError)
  })
})

describe('what is accepted', () => {
  it('goes on without its token, every other byte kept', () => {
    const bytes = bytesOf({ add: ['X-Odd  :  kept  ', ['Content-Length', '4']], body: 'v=0\n' })
    const { decision, forward, respond } = ask(signedBytes(bytes, agreement))
    expect(decision).toMatchObject({ verdict: 'accept', stage: 'xkeys:carrier' })
    expect(text(forward)).toBe(text(bytes))
    expect(respond).toBeUndefined()
  })

  it.each([
    ['in another case', 'x-AUTH'],
    ['with a blank before the colon', 'X-Auth '],
    ['folded', 'X-Auth:\r\n '],
  ])('has its token removed when it is written %s', (_, name) => {
    const signed = text(signedBytes(bytesOf(), agreement))
    const bytes = Buffer.from(
      signed.replace(/X-Auth(: )?/, name.endsWith(' ') && name.includes(':') ? name : `${name}: `),
      'latin1',
    )
    const { decision, forward } = ask(bytes)
    expect(decision.verdict).toBe('accept')
    expect(text(forward)).toBe(text(bytesOf()))
  })

  it('S22: ends at its Content-Length', () => {
    const bytes = bytesOf({
      add: [['Content-Length', '3']],
      body: 'abcINVITE sip:evil@example SIP/2.0\r\n\r\n',
    })
    const { forward } = ask(signedBytes(bytes, agreement))
    expect(text(forward)).toMatch(/Content-Length: 3\r\n\r\nabc$/)
    expect(text(parsed(forward!).body as Buffer)).toBe('abc')
  })

  it('begins at its start line', () => {
    const signed = signedBytes(bytesOf(), agreement)
    expect(text(ask(Buffer.concat([Buffer.from('\r\n\r\n'), signed])).forward)).toBe(text(bytesOf()))
  })

  it('is a response, too', () => {
    const bytes = responseBytes('200 OK', { with: { To: '<sip:bob@biloxi.example>;tag=b' } })
    expect(text(ask(signedBytes(bytes, agreement)).forward)).toBe(text(bytes))
  })

  it('loses every header that the stage names', () => {
    const accept: Verdict = {
      verdict: 'accept',
      identity: { kind: 'user', username: 'u', realm: 'r', attributes: {} },
      remove: ['Authorization', 'Proxy-Authorization'],
    }
    const bytes = bytesOf({
      add: [
        ['Authorization', 'Digest a'],
        ['X-Keep', '1'],
        ['authorization', 'Digest b'],
      ],
    })
    expect(text(ask(bytes, always(accept)).forward)).toBe(text(bytesOf({ add: [['X-Keep', '1']] })))
  })

  it('takes a plain Uint8Array, and one in the middle of a larger buffer', () => {
    const signed = signedBytes(bytesOf(), agreement)
    const around = new Uint8Array(signed.length + 20).fill(65)
    around.set(signed, 10)
    expect(text(ask(around.subarray(10, 10 + signed.length)).forward)).toBe(text(bytesOf()))
    expect(text(ask(new Uint8Array(signed)).forward)).toBe(text(bytesOf()))
  })

  it('waits where a stage does', async () => {
    const later = createPipeline([{ name: 'later', judge: async () => ({ verdict: 'drop', reason: 'x' }) }])
    const result = authenticate(bytesOf(), from, later)
    expect(result).toBeInstanceOf(Promise)
    expect(await result).toEqual({ decision: { verdict: 'drop', reason: 'x', stage: 'later' } })
  })
})

const tag = (bytes: Buffer): string => /tag=(.*)$/.exec(parsed(ask(bytes).respond!).headers('To')[0]!)![1]!

describe('what is refused', () => {
  const refused = ask(bytesOf()).respond!
  const response = parsed(refused)

  it('is answered with bytes that parse strictly', () => {
    expect(response.kind).toBe('response')
    expect(response.status).toBe(403)
    expect(text(refused).split('\r\n')[0]).toBe('SIP/2.0 403 Forbidden')
    expect(response.headers('Content-Length')).toEqual(['0'])
    expect(response.body).toHaveLength(0)
  })

  it('has Via with received and rport, and the headers of the transaction', () => {
    expect(response.headers('Via')).toEqual([
      'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;received=198.51.100.9;rport=40000',
    ])
    const request = parsed(bytesOf())
    for (const name of ['From', 'Call-ID', 'CSeq'])
      expect(response.headers(name)).toEqual(request.headers(name))
    expect(response.headers('To')[0]).toMatch(/^<sip:bob@biloxi\.example>;tag=[0-9a-f]+$/)
  })

  it.each([
    ['asked for by rport only', 'SIP/2.0/UDP pc.example;branch=z9hG4bKa', ';received=198.51.100.9'],
    ['sent-by is the source', 'SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKa', ''],
    ['forged by the sender', 'SIP/2.0/UDP 198.51.100.9;received=203.0.113.1;branch=z9hG4bKa', ''],
    [
      'rport forged',
      'SIP/2.0/UDP 198.51.100.9;rport=1;branch=z9hG4bKa',
      ';received=198.51.100.9;rport=40000',
    ],
  ])('stamps the Via: %s', (_, via, added) => {
    const stampless = via.replace(/;received=[^;]*|;rport(=\d+)?/g, '')
    const { respond } = ask(bytesOf({ with: { Via: via } }))
    expect(parsed(respond!).headers('Via')).toEqual([stampless + added])
  })

  it('repeats every Via, and stamps the top one alone', () => {
    const second = 'SIP/2.0/UDP second.example;branch=z9hG4bKb;received=203.0.113.5'
    const bytes = bytesOf({ add: [['v', second]] })
    expect(parsed(ask(bytes).respond!).headers('Via')).toEqual([
      'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;received=198.51.100.9;rport=40000',
      second,
    ])
  })

  it('gives the same To tag to the same request, another to others, and keeps one that is there', () => {
    expect(tag(bytesOf())).toBe(tag(bytesOf()))
    expect(tag(bytesOf({ with: { 'Call-ID': 'another@host' } }))).not.toBe(tag(bytesOf()))
    expect(tag(bytesOf({ with: { To: '<sip:b@example>;tag=theirs' } }))).toBe('theirs')
  })

  it('does not show why, nor repeat anything else', () => {
    const bytes = bytesOf({
      add: [
        ['X-Secret', 'Hush'],
        ['Contact', '<sip:x@192.0.2.1>'],
      ],
      body: 'body text',
    })
    for (const request of [bytes, forged(signedBytes(bytes, agreement))]) {
      const answer = text(ask(request).respond)
      expect(answer).not.toMatch(/hush|contact|body text|x-auth|token|header|mismatch/i)
      expect(answer).toContain('403 Forbidden')
    }
  })

  it.each([
    ['a response', responseBytes('200 OK')],
    ['an ACK', bytesOf({ start: 'ACK sip:bob@biloxi.example SIP/2.0', with: { CSeq: '1 ACK' } })],
  ])('is dropped where it is %s', (_, bytes) => {
    expect(ask(bytes)).toEqual({
      decision: { verdict: 'drop', reason: 'header-missing', stage: 'xkeys:carrier' },
    })
  })

  it('is 503 where a stage fails, and never goes on', () => {
    const broken = createPipeline([
      {
        name: 'broken',
        judge: () => {
          throw new Error('xks_hidden')
        },
      },
    ])
    const { respond, forward } = ask(bytesOf(), broken)
    expect(parsed(respond!).status).toBe(503)
    expect(text(respond)).not.toContain('xks_hidden')
    expect(forward).toBeUndefined()
  })

  it('is challenged with the headers of the stage, and its status', () => {
    const { respond } = ask(
      bytesOf(),
      always({
        verdict: 'challenge',
        status: 401,
        headers: [
          ['WWW-Authenticate', 'Digest realm="a"'],
          ['WWW-Authenticate', 'Digest realm="b"'],
        ],
      }),
    )
    expect(text(respond)).toMatch(/^SIP\/2\.0 401 Unauthorized\r\n/)
    expect(parsed(respond!).headers('WWW-Authenticate')).toEqual(['Digest realm="a"', 'Digest realm="b"'])
  })

  it.each([
    ['CRLF in a value', 'WWW-Authenticate', 'Digest\r\nX-Evil: 1'],
    ['LF in a value', 'WWW-Authenticate', 'a\nb'],
    ['NUL in a value', 'WWW-Authenticate', 'a\0b'],
    ['a character outside latin1', 'WWW-Authenticate', '鍵'],
    ['a name that is none', 'WWW Authenticate', 'Digest'],
    ['CRLF in a name', 'A\r\nB', 'Digest'],
    ['an empty name', '', 'Digest'],
  ])('RangeError where the code of a stage supplies %s', async (_, name, value) => {
    const verdict: Verdict = { verdict: 'challenge', status: 401, headers: [[name, value]] }
    expect(() => authenticate(bytesOf(), from, always(verdict))).toThrow(RangeError)
    const later = createPipeline([{ name: 'later', judge: () => Promise.resolve(verdict) }])
    await expect(authenticate(bytesOf(), from, later)).rejects.toThrow(RangeError)
  })
})

const silent = (reason: string): AuthenticateResult => ({
  decision: { verdict: 'drop', reason, stage: 'parse' },
})

describe('what is no message', () => {
  const ACK = 'ACK sip:bob@biloxi.example SIP/2.0'

  it.each([
    ['Content-Length longer than the datagram', [['Content-Length', '999']], 'content-length-exceeds'],
    ['a Content-Length that is no number', [['Content-Length', '0x5']], 'content-length-malformed'],
    ['a negative one', [['l', '-5']], 'content-length-malformed'],
    ['an endless one', [['Content-Length', '9'.repeat(400)]], 'content-length-exceeds'],
  ] as const)('S20, S23: is answered 400 where it has %s', (_, add, reason) => {
    const { decision, respond, forward } = ask(bytesOf({ add }))
    expect(decision).toEqual({ verdict: 'reject', status: 400, reason, stage: 'parse' })
    expect(forward).toBeUndefined()
    const response = parsed(respond!)
    expect(response.status).toBe(400)
    expect(response.headers('Via')[0]).toMatch(/;received=198\.51\.100\.9;rport=40000$/)
  })

  it.each([
    ['nothing', Buffer.alloc(0), 'empty'],
    ['a keep-alive', Buffer.from('\r\n\r\n'), 'empty'],
    ['noise', Buffer.from([0xff, 0, 1, 2]), 'start-line-malformed'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'start-line-malformed'],
    ['a version 9.9', bytesOf({ start: 'INVITE sip:a@b SIP/9.9' }), 'version-unsupported'],
    ['S41: an escaped header name', bytesOf({ add: ['%46rom: <sip:a@b>'] }), 'header-name-malformed'],
    ['S42: a bare LF in a value', bytesOf({ add: ['X: a\nX-Evil: b'] }), 'bare-lf'],
    ['a bare CR', bytesOf({ add: ['X: a\rb'] }), 'bare-cr'],
    ['NUL', bytesOf({ add: ['X: a\0b'] }), 'nul'],
    ['S40: two From headers', bytesOf({ add: [['f', '<sip:evil@example>']] }), 'header-repeated'],
    ['S21: two Content-Length', bytesOf({ add: ['Content-Length: 0', 'l: 0'] }), 'header-repeated'],
    ['no Via', bytesOf({ with: { Via: null } }), 'header-missing'],
    ['no Call-ID', bytesOf({ with: { 'Call-ID': null } }), 'header-missing'],
    ['a bad CSeq', bytesOf({ with: { CSeq: 'INVITE' } }), 'cseq-malformed'],
    ['no end', bytesOf().subarray(0, -2), 'headers-unterminated'],
    [
      'a response that lies about its length',
      responseBytes('200 OK', { add: ['l: 9'] }),
      'content-length-exceeds',
    ],
    [
      'an ACK that does',
      bytesOf({ start: ACK, with: { CSeq: '1 ACK' }, add: ['l: 9'] }),
      'content-length-exceeds',
    ],
  ])('is met with silence: %s', (_, bytes, reason) => {
    expect(ask(bytes)).toEqual(silent(reason))
  })

  it('never throws, whatever the bytes, and what it sends back is a message', () => {
    const seed = signedBytes(bytesOf({ add: [['Content-Length', '2']], body: 'ab' }), agreement)
    const mutated = fc
      .array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255), fc.constantFrom('set', 'cut', 'insert')), {
        maxLength: 6,
      })
      .map((edits) =>
        edits.reduce((bytes, [at, byte, how]) => {
          const rest = how === 'insert' ? bytes.subarray(at) : bytes.subarray(at + 1)
          return Buffer.concat([bytes.subarray(0, at), ...(how === 'cut' ? [] : [Buffer.of(byte)]), rest])
        }, seed),
      )
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          const { decision, forward, respond } = ask(bytes)
          expect(forward !== undefined).toBe(decision.verdict === 'accept')
          const sent = [forward, respond].flatMap((out) => (out === undefined ? [] : [parseMessage(out)]))
          expect(sent.filter(({ ok }) => !ok)).toEqual([])
          expect(respond === undefined ? 'response' : parsed(respond).kind).toBe('response')
        },
      ),
      { numRuns: 2000 },
    )
  })
})
