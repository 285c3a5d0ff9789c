/**
 * Requests and responses with the shape that drachtio-srf gives them, without its server. What is read of a request is
 * read by its own parser.
 */
import { createRequire } from 'node:module'
import type { DrachtioResponse } from '../../src/adapters/drachtio.ts'
import type { Identity } from '../../src/pipeline/stage.ts'
import { parseText } from './fake-drachtio-text.ts'

/** A message as the host takes it apart. */
interface HostMessage {
  readonly method: string
  readonly uri: string
  readonly body: string
  readonly headers: Record<string, string>
  readonly callingNumber: string
  getParsedHeader(name: string): unknown
}

const Message = createRequire(import.meta.url)('drachtio-srf/lib/sip-parser/message.js') as new (
  text: string,
) => HostMessage

/** The host's reading; undefined where it would throw the message away. */
export function hostMessage(text: string): HostMessage | undefined {
  try {
    return new Message(text)
  } catch {
    return undefined
  }
}

/** A request as a middleware gets it. */
export interface FakeRequest {
  readonly method: string
  readonly uri?: string
  readonly body?: string
  readonly raw?: string
  readonly msg?: { readonly raw?: string }
  readonly source?: string
  readonly source_address?: string
  readonly source_port?: string | number
  readonly protocol?: string
  readonly receivedOn?: string
  readonly headers: Record<string, string>
  identity?: Identity
  get(name: string): string | undefined
  getParsedHeader?(name: string): unknown
}

type Changes = { readonly [Name in keyof FakeRequest]?: FakeRequest[Name] | undefined }

/** A request from the network; `undefined` takes a part out. */
export function fakeRequest(bytes: Buffer, changes: Changes = {}): FakeRequest {
  const text = parseText(bytes)!
  const headers: Record<string, string> = {}
  // Names as drachtio-srf files them.
  for (const [name, value] of text.headers) headers[/^[XP]-/.test(name) ? name : name.toLowerCase()] = value
  const raw = bytes.toString('utf8')
  const host = hostMessage(raw)
  const request = {
    method: host?.method ?? text.start.split(' ')[0]!,
    uri: host?.uri,
    body: host?.body,
    raw,
    source: 'network',
    source_address: '192.0.2.1',
    source_port: 5060,
    protocol: 'udp',
    receivedOn: '198.51.100.7:5080',
    headers,
    get: (name: string) => text.get(name),
    getParsedHeader: (name: string) => host?.getParsedHeader(name),
    ...changes,
  }
  return Object.fromEntries(
    Object.entries(request).filter(([, value]) => value !== undefined),
  ) as unknown as FakeRequest
}

/** A response, and what was sent with it. `before` may throw. */
export function fakeResponse(before: (status: number) => void = () => {}) {
  const sent: unknown[][] = []
  const res = {
    headers: {} as Record<string, string>,
    finalResponseSent: false,
    send(...args: unknown[]): void {
      before(args[0] as number)
      sent.push(args)
      if ((args[0] as number) >= 200) res.finalResponseSent = true
    },
  }
  return { res: res as typeof res & DrachtioResponse, sent }
}
