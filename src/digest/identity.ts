/**
 * Whether what a request says of its sender fits the account that it was authenticated with.
 * @module
 */
import { headerSelector } from '../message/header-names.ts'
import { parseNameAddr } from '../message/name-addr.ts'
import { parseUri, type Uri } from '../message/uri.ts'
import type { MessageView } from '../message/view.ts'
import type { AccountFacts } from './credential-store.ts'
import { decodeUtf8, unescapePercent } from './text.ts'

/** A field that names a user. `preferred`: P-Preferred-Identity, and From where there is none (RFC 3325). */
export type IdentityField = 'from' | 'to' | 'request-uri' | 'preferred'

/** The URI in a field: user as sent, host without brackets kept; null where it cannot be read. */
export interface NamedUser {
  readonly scheme: string
  /** Latin1, escapes kept. */
  readonly user: string
  readonly host: string
}

const PREFERRED = headerSelector('P-Preferred-Identity')

/** Fields that must name the account, by method; of other methods From. */
export const IDENTITY_FIELDS: Readonly<Record<string, readonly IdentityField[]>> = {
  REGISTER: ['from', 'to'],
  PUBLISH: ['from', 'request-uri'],
}

/** Headers by which only the network may say who calls (RFC 3325 §7, and Remote-Party-ID before it). */
const ASSERTED = ['P-Asserted-Identity', 'Remote-Party-ID', 'P-Preferred-Identity'] as const

/**
 * The headers in a message of a user that say who it is, and that nobody looked at.
 * @param fields those that were
 */
export function unprovedHeaders(view: MessageView, fields: readonly IdentityField[]): readonly string[] {
  const isLookedAt = fields.includes('preferred')
  return ASSERTED.filter(
    (name) => view.find(headerSelector(name), 0) >= 0 && !(isLookedAt && name === 'P-Preferred-Identity'),
  )
}

/** The user that a field names; null where the field cannot be read. */
export function namedUser(view: MessageView, field: IdentityField): NamedUser | null {
  switch (field) {
    case 'from':
      return view.from === null ? null : userOf(view.bytes, view.from.uriStart, view.from.uriEnd)
    case 'to':
      return view.to === null ? null : userOf(view.bytes, view.to.uriStart, view.to.uriEnd)
    case 'request-uri':
      return view.uri === null ? null : toUser(view.bytes, view.uri)
    case 'preferred': {
      const row = view.find(PREFERRED, 0)
      if (row < 0) return namedUser(view, 'from')
      // A second one (a tel URI beside a sip URI) would go on unchecked.
      const found = parseNameAddr(view.bytes, view.valueStart(row), view.valueEnd(row), 'single')
      if (found === null || view.find(PREFERRED, row + 1) >= 0) return null
      return userOf(view.bytes, found.uriStart, found.uriEnd)
    }
  }
}

function userOf(bytes: Buffer, start: number, end: number): NamedUser | null {
  const uri = parseUri(bytes, start, end)
  return uri === null ? null : toUser(bytes, uri)
}

function toUser(bytes: Buffer, uri: Uri): NamedUser {
  return {
    scheme: uri.scheme,
    user: bytes.toString('latin1', uri.userStart, uri.userEnd),
    host: bytes.toString('latin1', uri.hostStart, uri.hostEnd),
  }
}

/**
 * Whether every field names the account: its user, or one of its `identities`, at a host that `isOurs`; of a REGISTER the
 * To may also name one that it `registersFor`. A `tel:` URI has no host, so its number must be among the `identities`.
 */
export function fitsAccount(
  view: MessageView,
  account: AccountFacts,
  fields: readonly IdentityField[],
  isOurs: (host: string) => boolean,
): boolean {
  return fields.every((field) => {
    const named = namedUser(view, field)
    if (named === null) return false
    const user = decodeUtf8(unescapePercent(named.user))
    if (user === undefined || user === '') return false
    const also = account.identities ?? []
    if (named.scheme === 'tel' || named.scheme === 'tels') return also.includes(user)
    if (!isOurs(named.host) || !isDomainOf(account, named.host)) return false
    if (user === account.username || also.includes(user)) return true
    const registers = field === 'to' && view.method === 'REGISTER' ? (account.registersFor ?? []) : []
    return registers.includes('*') || registers.includes(user)
  })
}

function isDomainOf({ domain }: AccountFacts, host: string): boolean {
  return domain === undefined || domain.toLowerCase() === host.toLowerCase()
}
