/**
 * `{uri.…}`: parts of a URI; an error where it does not parse, nothing where the part is absent.
 * @module
 */
import { findParam, parseUri, type Uri } from '../message/uri.ts'
import { bare, withText, type Transform, type Transformation } from './transform.ts'

/** Reads a part of a URI that was parsed. */
function ofUri(
  read: (uri: Uri, bytes: Buffer) => readonly [start: number, end: number] | string | null,
): Transform {
  return (value) => {
    const bytes = Buffer.from(value, 'latin1')
    const uri = parseUri(bytes, 0, bytes.length)
    if (uri === null) return null
    const part = read(uri, bytes)
    if (part === null) return ''
    return typeof part === 'string' ? part : value.slice(part[0], part[1])
  }
}

const param = (name: string): Transform =>
  ofUri((uri, bytes) => findParam(bytes, uri.paramsStart, uri.paramsEnd, name.toLowerCase()))

/** `proto:host:port` where the URI names a transport, as Kamailio writes sockets. */
const toSocket = ofUri((uri, bytes) => {
  const transport = findParam(bytes, uri.paramsStart, uri.paramsEnd, 'transport')
  if (transport === null) return null
  const proto = bytes.toString('latin1', transport[0], transport[1]).toLowerCase()
  const host = bytes.toString('latin1', uri.hostStart, uri.hostEnd)
  return `${proto}:${host}:${uri.port === 0 ? (proto === 'tls' ? 5061 : 5060) : uri.port}`
})

/** The class `uri`. */
export const uriTransformations: ReadonlyMap<string, Transformation> = new Map<string, Transformation>([
  ['uri.user', bare(ofUri((uri) => [uri.userStart, uri.userEnd]))],
  ['uri.passwd', bare(ofUri((uri) => [uri.passwordStart, uri.passwordEnd]))],
  ['uri.host', bare(ofUri((uri) => [uri.hostStart, uri.hostEnd]))],
  ['uri.port', bare(ofUri((uri) => [uri.portStart, uri.portEnd]))],
  ['uri.params', bare(ofUri((uri) => [uri.paramsStart, uri.paramsEnd]))],
  ['uri.headers', bare(ofUri((uri) => [uri.headersStart, uri.headersEnd]))],
  ['uri.scheme', bare(ofUri((uri) => uri.scheme))],
  ['uri.tosocket', bare(toSocket)],
  ['uri.transport', bare(param('transport'))],
  ['uri.ttl', bare(param('ttl'))],
  ['uri.uparam', bare(param('user'))],
  ['uri.maddr', bare(param('maddr'))],
  ['uri.method', bare(param('method'))],
  ['uri.lr', bare(param('lr'))],
  ['uri.r2', bare(param('r2'))],
  ['uri.param', withText(param)],
])
