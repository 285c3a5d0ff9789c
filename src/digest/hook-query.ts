/**
 * What a hook is told of a request.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import type { Endpoint } from '../message/types.ts'
import { findParam } from '../message/uri.ts'
import type { MessageView } from '../message/view.ts'
import type { HookQuery } from './credential-hook.ts'
import type { DigestCredentials } from './credentials.ts'

const CONTACT = headerSelector('Contact')
const EXPIRES = headerSelector('Expires')

/** The query for an answer in a request. */
export function hookQuery(view: MessageView, credentials: DigestCredentials, source: Endpoint): HookQuery {
  return {
    credentials,
    method: view.method === 'ACK' ? 'INVITE' : view.method,
    expires: view.method === 'REGISTER' ? requestedExpires(view) : undefined,
    source,
    headers: () => headersOf(view),
  }
}

/** Seconds that a registration asks for: `expires` of its first Contact, else Expires; undefined where neither is a number. */
export function requestedExpires(view: MessageView): number | undefined {
  const row = view.find(CONTACT, 0)
  if (row >= 0) {
    const contact = parseNameAddr(view.bytes, view.valueStart(row), view.valueEnd(row), 'list')
    const found = contact && findParam(view.bytes, contact.paramsStart, contact.paramsEnd, 'expires')
    const seconds = found === null ? undefined : secondsOf(view.text(found[0], found[1]))
    if (seconds !== undefined) return seconds
  }
  const header = view.find(EXPIRES, 0)
  return header < 0 ? undefined : secondsOf(view.text(view.valueStart(header), view.valueEnd(header)))
}

/** RFC 3261 §20.19: below 2^32. */
function secondsOf(text: string): number | undefined {
  const digits = text.trim()
  return /^\d{1,10}$/.test(digits) ? Math.min(Number(digits), 2 ** 32 - 1) : undefined
}

function headersOf(view: MessageView): Readonly<Record<string, string>> {
  const headers = new Map<string, string>()
  for (let row = 0; row < view.layout.rows; row++) {
    const written = view.text(view.nameStart(row), view.nameEnd(row)).toLowerCase()
    const name = written.length === 1 ? headerSelector(written).name : written
    const value = view.bytes
      .toString('utf8', view.valueStart(row), view.valueEnd(row))
      .replace(/\r\n[ \t]/g, ' ')
      .trimEnd()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  }
  // No header of the network's choosing may reach a prototype.
  return Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(headers))
}
