import { describe, expect, it } from 'vitest'
import { createFraming, type FramingLimits } from '../../src/transport/stream-framing.ts'

const LIMITS: FramingLimits = { headers: 1000, body: 2000 }

/** What comes out of `chunks`: texts of messages, `ping`, `!reason`. */
function framed(chunks: readonly (string | Buffer)[], limits = LIMITS): string[] {
  const out: string[] = []
  const framing = createFraming(limits, {
    message: (bytes) => out.push(bytes.toString('latin1')),
    ping: () => out.push('ping'),
    fault: (reason) => out.push(`!${reason}`),
  })
  for (const chunk of chunks) framing.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)
  return out
}

const message = (body = '', length: string | null = String(body.length), more = ''): string =>
  `OPTIONS sip:a SIP/2.0\r\n${more}${length === null ? '' : `Content-Length: ${length}\r\n`}\r\n${body}`

describe('messages', () => {
  const wire = [
    '\r\n\r\n',
    message('hello'),
    message(),
    '\r\n',
    message('x'.repeat(1999)),
    message('\r\n\r\n'),
  ]
  const out = ['ping', message('hello'), message(), message('x'.repeat(1999)), message('\r\n\r\n')]

  it.each([1, 2, 3, 7, 64, 1000, 100_000])('are the same in chunks of %i', (size) => {
    const bytes = wire.join('')
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.slice(i * size, (i + 1) * size),
    )
    expect(framed(chunks)).toEqual(out)
  })

  it.each(['l: 5', 'CONTENT-LENGTH : 5', 'Content-Length:5', 'Content-Length: \t5 ', 'content-length: 0005'])(
    'may say their length as %j',
    (line) => {
      const text = `OPTIONS sip:a SIP/2.0\r\n${line}\r\n\r\nhello`
      expect(framed([`${text}${message()}`])).toEqual([text, message()])
    },
  )

  it('have memory of their own: what comes later changes nothing', () => {
    const kept: Buffer[] = []
    const framing = createFraming(LIMITS, { message: (bytes) => kept.push(bytes), ping() {}, fault() {} })
    for (const body of ['first', 'later']) framing.push(Buffer.from(message(body)))
    expect(kept.map(String)).toEqual([message('first'), message('later')])
  })

  it('leave no trace of a partial one that was completed', () => {
    const framing = createFraming(LIMITS, { message() {}, ping() {}, fault() {} })
    const states = [message('ab').slice(0, 10), message('ab').slice(10)].map((chunk) => {
      framing.push(Buffer.from(chunk))
      return framing.partial
    })
    expect(states).toEqual([true, false])
  })
})

describe('faults end the stream', () => {
  it.each<[string, string, string]>([
    ['S20 abc', message('x', 'abc'), 'content-length-malformed'],
    ['S21 0x5', message('hello', '0x5'), 'content-length-malformed'],
    ['S21 2.5', message('hello', '2.5'), 'content-length-malformed'],
    ['S21 -5', message('hello', '-5'), 'content-length-malformed'],
    ['S21 +5', message('hello', '+5'), 'content-length-malformed'],
    ['nothing', message('', ''), 'content-length-malformed'],
    ['two numbers', message('', '1 2'), 'content-length-malformed'],
    ['a fold', message('', '1\r\n 2'), 'content-length-malformed'],
    ['S21 two lengths', message('', '0', 'l: 5\r\n'), 'content-length-repeated'],
    ['none', message('', null), 'content-length-missing'],
    ['a body over the limit', message('', '2001'), 'body-too-long'],
    ['a length beyond all numbers', message('', '9'.repeat(300)), 'body-too-long'],
    ['headers over the limit', message('', '0', `X: ${'x'.repeat(1000)}\r\n`), 'headers-too-long'],
    ['headers without end', 'x'.repeat(1000), 'headers-too-long'],
    ['line feeds alone', '\n'.repeat(1000), 'headers-too-long'],
    ['half a CRLF before a message', `\r${message()}`, 'start-malformed'],
  ])('%s', (_what, bytes, reason) => {
    expect(framed([bytes, message()])).toEqual([`!${reason}`])
    expect(framed([...bytes, message()])).toEqual([`!${reason}`])
  })

  it('S24 what follows is never a message', () => {
    expect(framed([`bad\r\n\r\n${message()}`])).toEqual(['!content-length-missing'])
  })

  it('in the middle of a chunk leaves the messages before it', () => {
    expect(framed([message() + message('', 'abc') + message()])).toEqual([
      message(),
      '!content-length-malformed',
    ])
  })
})

describe('bounds', () => {
  it('S28 limits are per message, whatever a chunk holds', () => {
    const many = message('x'.repeat(900)).repeat(500)
    expect(framed([many])).toHaveLength(500)
  })

  it('many keep-alives in one chunk are answered once', () => {
    expect(framed(['\r\n'.repeat(5000), '\r\n\r\n'])).toEqual(['ping', 'ping'])
  })

  it('S15 small chunks take linear time', () => {
    // No clock is asked: searched anew with every chunk, this would run into the time limit of the test.
    const limits = { headers: 2_000_000, body: 2_000_000 }
    const chunk = Buffer.alloc(50, ' ')
    const chunks = Array.from({ length: 40_000 }, () => chunk)
    expect(framed(chunks, limits)).toEqual(['!headers-too-long'])
    const body = [Buffer.from(message('', '2000000')), ...Array.from({ length: 40_000 }, () => chunk)]
    expect(framed(body, limits)).toHaveLength(1)
  })
})
