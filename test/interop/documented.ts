/**
 * The configurations of docs/kamailio.md, as the tests run them: other addresses, ports and keys, nothing else.
 */
import { readFileSync } from 'node:fs'
import type { Endpoint } from '../../src/message/types.ts'

const DOCUMENT = new URL('../../docs/kamailio.md', import.meta.url)

/** Text of the fenced block whose first line is `# name`. */
export function documented(name: string): string {
  const blocks = readFileSync(DOCUMENT, 'utf8').matchAll(/^```\w+\n(# (.+)\n[^]*?)^```$/gm)
  const found = [...blocks].filter(([, , title]) => title === name)
  if (found.length !== 1) throw new Error(`docs/kamailio.md has ${found.length} blocks ${name}`)
  return found[0]![1]!
}

/** Where the parties of the document's picture stand in a test. */
export interface Places {
  readonly kamailio: Endpoint
  /** Behind Kamailio. */
  readonly core: Endpoint
  /** The edge's two sides. */
  readonly edge: Endpoint
  readonly edgeUpstream?: Endpoint
  /** Behind the edge. */
  readonly upstream?: Endpoint
}

const ADDRESSES: readonly (readonly [keyof Places, string])[] = [
  ['kamailio', '192.0.2.10'],
  ['core', '198.51.100.5'],
  ['edge', '192.0.2.20'],
  ['edgeUpstream', '203.0.113.20'],
  ['upstream', '203.0.113.5'],
]

/** A documented block with the places of a test. */
export function placed(name: string, places: Places): string {
  let text = documented(name)
  for (const [party, address] of ADDRESSES) {
    const place = places[party]
    if (place === undefined) continue
    text = text
      .replaceAll(`${address}:5060`, `${place.address}:${place.port}`)
      .replaceAll(address, place.address)
  }
  return text.replace('127.0.0.1:9464', '127.0.0.1:0')
}

/** The `modparam` lines of a configuration exchanged for others. */
export function withKeys(config: string, lines: string): string {
  const [first, ...rest] = config.split(/^modparam\("auth_xkeys", "xkey".*\n/m)
  if (rest.length === 0) throw new Error('the configuration has no keys')
  return first! + lines + rest.join('')
}

/** A `#!define` of a configuration given another text. */
export function withDefine(config: string, name: string, text: string): string {
  const pattern = new RegExp(`^(#!define ${name} +)".*"$`, 'm')
  if (!pattern.test(config)) throw new Error(`the configuration does not define ${name}`)
  return config.replace(pattern, (_, start: string) => `${start}"${text}"`)
}
