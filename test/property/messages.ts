import * as fc from 'fast-check'
import { rawOf, readMessages } from '../support/vectors.ts'
import { bytesOf, responseBytes } from '../support/messages.ts'

/** Properties are reproducible: one seed, and a bounded number of runs. */
export const RUNS = { seed: 20261121, numRuns: 400 } as const

/** Whole messages: those of the vectors, and some that cover every header the templates know. */
export const CORPUS: readonly Buffer[] = [
  ...readMessages().map(rawOf),
  bytesOf({ add: [`X-Auth: ${'a'.repeat(64)}`, 'Contact: <sip:a>, "b" <sip:c>;x=1', 'l: 5'], body: 'hello' }),
  responseBytes('200 OK', { add: [`X-Auth: ${'a'.repeat(43)}`, 'm: *'] }),
].filter((bytes) => bytes.length < 4000)

const TELLING = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  '\t',
  ' ',
  ':',
  ';',
  ',',
  '<',
  '>',
  '"',
  '\\',
  '=',
  '@',
  '%41',
  '\r\n ',
  '\r\n\r\n',
  '\xff',
  'SIP/2.0',
  'From: <sip:x>\r\n',
  'X-Auth: a\r\n',
  'Content-Length: 3\r\n',
  'sip:',
  '[',
  ']',
]

/** A message of the corpus. */
export const message: fc.Arbitrary<Buffer> = fc.constantFrom(...CORPUS)

const at: fc.Arbitrary<number> = fc.double({ min: 0, max: 1, noNaN: true })

type Change = readonly [where: number, remove: number, text: string]
const change: fc.Arbitrary<Change> = fc.tuple(
  at,
  fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 3 }) }, fc.integer({ min: 0, max: 80 })),
  fc.oneof(
    fc.constantFrom(...TELLING),
    fc.constant(''),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  ),
)

function applied(bytes: Buffer, changes: readonly Change[]): Buffer {
  let text = bytes.toString('latin1')
  for (const [where, remove, insert] of changes) {
    const start = Math.floor(where * text.length)
    text = text.slice(0, start) + insert + text.slice(start + remove)
  }
  return Buffer.from(text, 'latin1')
}

/** A message with a few bytes removed and inserted. */
export const mutated: fc.Arbitrary<Buffer> = fc
  .tuple(message, fc.array(change, { minLength: 1, maxLength: 4 }))
  .map(([bytes, changes]) => applied(bytes, changes))

/** The beginning of one message and the end of another. */
export const spliced: fc.Arbitrary<Buffer> = fc
  .tuple(message, message, at, at)
  .map(([a, b, end, start]) =>
    Buffer.concat([a.subarray(0, end * a.length), b.subarray(Math.floor(start * b.length))]),
  )

/** Any bytes, alone or behind the beginning of a message. */
export const random: fc.Arbitrary<Buffer> = fc
  .tuple(fc.oneof(fc.constant(Buffer.alloc(0)), message), at, fc.uint8Array({ maxLength: 300 }))
  .map(([bytes, end, tail]) => Buffer.concat([bytes.subarray(0, end * bytes.length), tail]))

export const anything: fc.Arbitrary<Buffer> = fc.oneof(mutated, spliced, random)

/** A header name that every tolerance takes and no message has. */
export const name: fc.Arbitrary<string> = fc
  .stringMatching(/^X-[A-Za-z0-9._+~-]{1,8}$/)
  .filter((text) => !/^x-(?:auth|test)$/i.test(text))

/** Text for a header value: no line end, no NUL. */
export const headerText: fc.Arbitrary<string> = fc.uint8Array({ maxLength: 30 }).map((bytes) =>
  Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\0\r\n]/g, ':'),
)
