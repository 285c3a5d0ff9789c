/**
 * `{nameaddr.…}` and `{tobody.…}`: parts of an address header.
 * @module
 */
import { parseNameAddr, type NameAddr } from '../message/name-addr.ts'
import { parseUri, type Uri } from '../message/uri.ts'
import { bare, type Transform, type Transformation } from './transform.ts'

/** Offset of the first `wanted` outside quotes; -1 where there is none. */
function findUnquoted(value: string, wanted: string, start: number): number {
  let quoted = false
  for (let i = start; i < value.length; i++) {
    if (value[i] === '\\' && quoted) i++
    else if (value[i] === '"') quoted = !quoted
    else if (value[i] === wanted && !quoted) return i
  }
  return -1
}

/** Offsets of the first `<` outside quotes and of its `>`; null where there is no `<`, -1 as end where no `>`. */
function enclosed(value: string): readonly [open: number, close: number] | null {
  const open = findUnquoted(value, '<', 0)
  return open < 0 ? null : [open, findUnquoted(value, '>', open + 1)]
}

/** parse_nameaddr (parser/parse_nameaddr.c): looser than the grammar of From and To. */
function ofNameAddr(read: (value: string, brackets: readonly [number, number] | null) => string): Transform {
  return (value) => {
    if (value === '') return null
    const brackets = enclosed(value)
    return brackets !== null && brackets[1] < 0 ? null : read(value, brackets)
  }
}

/** The full grammar of From and To; the URI must parse. */
function ofToBody(read: (value: string, address: NameAddr, uri: Uri) => string): Transform {
  return (value) => {
    const bytes = Buffer.from(value, 'latin1')
    const address = parseNameAddr(bytes, 0, bytes.length, 'single')
    if (address === null) return null
    const uri = parseUri(bytes, address.uriStart, address.uriEnd)
    return uri === null ? null : read(value, address, uri)
  }
}

/** The classes `nameaddr` and `tobody`. */
export const addressTransformations: ReadonlyMap<string, Transformation> = new Map<string, Transformation>([
  ['nameaddr.uri', bare(ofNameAddr((value, at) => (at === null ? value : value.slice(at[0] + 1, at[1]))))],
  ['nameaddr.name', bare(ofNameAddr((value, at) => (at === null ? '' : value.slice(0, at[0]))))],
  ['nameaddr.len', bare(ofNameAddr((value, at) => String(at === null ? value.length : at[1] + 1)))],
  ['tobody.uri', bare(ofToBody((value, { uriStart, uriEnd }) => value.slice(uriStart, uriEnd)))],
  [
    'tobody.tag',
    bare(ofToBody((value, { tagStart, tagEnd }) => (tagStart < 0 ? '' : value.slice(tagStart, tagEnd)))),
  ],
  [
    'tobody.display',
    bare(
      ofToBody((value, { displayStart, displayEnd }) =>
        displayStart < 0 ? '' : value.slice(displayStart, displayEnd),
      ),
    ),
  ],
  [
    'tobody.params',
    bare(ofToBody((value, { paramsStart, paramsEnd }) => value.slice(paramsStart, paramsEnd))),
  ],
  [
    'tobody.user',
    bare(ofToBody((value, _address, { userStart, userEnd }) => value.slice(userStart, userEnd))),
  ],
  [
    'tobody.host',
    bare(ofToBody((value, _address, { hostStart, hostEnd }) => value.slice(hostStart, hostEnd))),
  ],
])
