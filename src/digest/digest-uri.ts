/**
 * Whether the URI that a response covers is the one that was asked for.
 * @module
 */
import { findParam, parseUri, type Uri } from '../message/uri.ts'
import { unescapePercent } from './text.ts'

/** Parameters that change what a URI leads to: they must be the same in both (RFC 3261 §19.1.4). */
const WEIGHTY = ['maddr', 'ttl', 'method'] as const

/**
 * Whether a digest-uri stands for a Request-URI, both latin1 text. They are the same text; or SIP URIs with the same
 * scheme, user (escapes resolved), password, host (any case), port (absent is the scheme's own), `maddr`, `ttl`,
 * `method` and headers: telephones leave other parameters out. A `tel:` URI counts without its visual separators.
 */
export function isSameUri(digestUri: string, requestUri: string): boolean {
  if (digestUri === requestUri) return true
  const [a, b] = [readUri(digestUri), readUri(requestUri)]
  if (a === null || b === null || a.uri.scheme !== b.uri.scheme) return false
  const same = (part: (read: ReadUri) => string): boolean => part(a) === part(b)
  switch (a.uri.scheme) {
    case 'sip':
    case 'sips':
      return (
        same(({ uri, cut }) => unescapePercent(cut(uri.userStart, uri.userEnd))) &&
        same(({ uri, cut }) => cut(uri.passwordStart, uri.passwordEnd)) &&
        same(({ uri, cut }) => cut(uri.hostStart, uri.hostEnd).toLowerCase()) &&
        same(({ uri }) => String(portOf(uri))) &&
        same(({ uri, cut }) => cut(uri.headersStart, uri.headersEnd)) &&
        WEIGHTY.every((name) => same((read) => paramOf(read, name)))
      )
    case 'tel':
    case 'tels':
      return same(({ text }) => text.toLowerCase().replace(/[-.()]/g, ''))
    case 'urn':
      return false
  }
}

/** A URI and what it is cut from. */
interface ReadUri {
  readonly uri: Uri
  readonly text: string
  readonly bytes: Buffer
  readonly cut: (start: number, end: number) => string
}

function readUri(text: string): ReadUri | null {
  const bytes = Buffer.from(text, 'latin1')
  const uri = parseUri(bytes, 0, bytes.length)
  return uri === null ? null : { uri, text, bytes, cut: (start, end) => text.slice(start, end) }
}

function portOf(uri: Uri): number {
  if (uri.port !== 0) return uri.port
  return uri.scheme === 'sips' ? 5061 : 5060
}

function paramOf({ uri, bytes, cut }: ReadUri, name: string): string {
  const found = findParam(bytes, uri.paramsStart, uri.paramsEnd, name)
  return found === null ? '' : `=${cut(found[0], found[1]).toLowerCase()}`
}
