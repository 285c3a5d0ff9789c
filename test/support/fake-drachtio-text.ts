/**
 * The little SIP that the stand-in of the drachtio server needs: messages as their lines.
 */
import type { Endpoint } from '../../src/message/types.ts'

/** A header line. */
export type Line = readonly [name: string, value: string]

/** A message as start line, header lines and body; its text is latin1, so that every byte survives. */
export interface Text {
  readonly start: string
  readonly method: string
  /** Of a request. */
  readonly uri: string
  readonly headers: readonly Line[]
  readonly body: string
  /** First value of that name, in lower case. */
  get(name: string): string | undefined
  all(name: string): readonly string[]
  /** Another message. */
  made(start: string, headers: readonly Line[], body?: string): Text
  /** The same without the first header of that name. */
  withoutFirst(name: string): Text
}

const COMPACT: Readonly<Record<string, string>> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  l: 'content-length',
  c: 'content-type',
}

const longName = (name: string): string => COMPACT[name.toLowerCase()] ?? name.toLowerCase()

/** A message of these parts. */
export function textOf(start: string, headers: readonly Line[], body: string): Text {
  const all = (name: string): readonly string[] =>
    headers.filter(([known]) => longName(known) === name).map(([, value]) => value)
  const [method = '', uri = ''] = start.split(' ')
  const response = method === 'SIP/2.0'
  return {
    start,
    method: response ? (all('cseq')[0] ?? '').split(/\s+/)[1]! : method,
    uri: response ? '' : uri,
    headers,
    body,
    get: (name) => all(name)[0],
    all,
    made: (start, headers, body = '') => textOf(start, headers, body),
    withoutFirst(name) {
      const first = headers.findIndex(([known]) => longName(known) === name)
      return textOf(
        start,
        headers.filter((_, index) => index !== first),
        body,
      )
    },
  }
}

/** Takes a message apart; undefined where it is none. */
export function parseText(bytes: Buffer): Text | undefined {
  const text = bytes.toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [start = '', ...lines] = text.slice(0, end).split(/\r\n(?![ \t])/)
  const headers = lines.map((line): Line => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).trim(), line.slice(colon + 1).replace(/^[ \t]+/, '')]
  })
  return textOf(start, headers, text.slice(end + 4))
}

/** The bytes of a message. Content-Length is its own, in the place of the one it had. */
export function bytesOf({ start, headers, body }: Text): Buffer {
  const lines = headers
    .filter(([name]) => longName(name) !== 'content-length')
    .map(([name, value]) => `${name}: ${value}`)
  const head = [start, ...lines, `Content-Length: ${body.length}`, '', '']
  return Buffer.from(head.join('\r\n') + body, 'latin1')
}

/** The message with `received` and `rport` in its top Via (RFC 3581). */
export function stampedVia(message: Text, source: Endpoint): Text {
  let first = true
  const headers = message.headers.map(([name, value]): Line => {
    if (!first || longName(name) !== 'via') return [name, value]
    first = false
    const rport = value.replace(/;rport(?![=\w])/i, `;rport=${source.port}`)
    return [name, rport === value ? value : `${rport};received=${source.address}`]
  })
  return message.made(message.start, headers, message.body)
}

/** The branch of the top Via, or nothing. */
export function branchOf(message: Text): string {
  return /;branch=([^;,\s]+)/i.exec(message.get('via') ?? '')?.[1] ?? ''
}

/** The status of a response. */
export function statusOf(response: Text): number {
  return Number(response.start.slice(8, 11))
}

/** The tag of From or To. */
export function tagOf(value: string): string | undefined {
  return /;\s*tag=([^;\s]+)/i.exec(value.replace(/<[^>]*>/, ''))?.[1]
}

/** The header with a tag, its own where it has one. */
export function withTag(value: string, tag: string): string {
  return tagOf(value) === undefined ? `${value.includes('<') ? value : `<${value}>`};tag=${tag}` : value
}

/** The URI of a Contact or Route. */
export function uriIn(value: string): string {
  return /<([^>]*)>/.exec(value)?.[1] ?? value.trim()
}

/** Address and port of a URI whose host is an IPv4 address; undefined for any other. */
export function endpointIn(value: string): Endpoint | undefined {
  const [, address, port] = /^sips?:(?:[^@]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d+))?/i.exec(uriIn(value)) ?? []
  return address === undefined ? undefined : { address, port: Number(port ?? 5060) }
}
