/**
 * Which credentials of a message are ours: to judge them, and to take them out before the message goes on. Those of other
 * realms belong to servers behind us (RFC 3261 §22.3).
 * @module
 */
import type { LineEdit } from '../message/line-edit.ts'
import type { SipMessage } from '../message/types.ts'
import { parseAuth, type AuthFault, type AuthItem, type AuthResult } from './header.ts'
import { realmOf } from './credentials.ts'

/** The headers that carry credentials. */
export const CREDENTIAL_HEADERS = ['Authorization', 'Proxy-Authorization'] as const

/** One of them. */
export type CredentialHeader = (typeof CREDENTIAL_HEADERS)[number]

/** A line that holds credentials of ours; `left` is what stays of its value when they are out. */
export interface OwnLine extends LineEdit {
  readonly name: CredentialHeader
}

/** A line of one of the headers. */
interface CredentialLine {
  readonly name: CredentialHeader
  readonly value: string
  readonly parsed: AuthResult
}

const NONE: readonly CredentialLine[] = []

/**
 * Of the message that was asked about last: it is asked about twice, to be judged and to be taken out. A WeakMap, which
 * would know it behind a wait as well, costs what it saves.
 */
let last: { readonly message: SipMessage; readonly lines: readonly CredentialLine[] } | undefined

function linesOf(message: SipMessage): readonly CredentialLine[] {
  if (last?.message === message) return last.lines
  const lines: CredentialLine[] = []
  for (const name of CREDENTIAL_HEADERS) {
    for (const value of message.headers(name)) lines.push({ name, value, parsed: parseAuth(value) })
  }
  if (lines.length === 0) return NONE
  last = { message, lines }
  return lines
}

/** Lines with credentials of ours, of both headers. @param isOurs whether a realm is one of ours */
export function ownCredentials(message: SipMessage, isOurs: (realm: string) => boolean): readonly OwnLine[] {
  const own: OwnLine[] = []
  for (const { name, value, parsed } of linesOf(message)) {
    if (!parsed.ok) continue
    const others = parsed.items.filter((item) => !isOwn(item, isOurs))
    if (others.length === parsed.items.length) continue
    own.push({ name, value, left: others.map(({ start, end }) => value.slice(start, end)).join(', ') })
  }
  return own
}

/** Of the headers that hold credentials of ours, those that hold no others: they can be removed by name. */
export function headersOfOurs(message: SipMessage, lines: readonly OwnLine[]): readonly CredentialHeader[] {
  if (lines.length === 0) return []
  return CREDENTIAL_HEADERS.filter((header) => {
    const own = lines.filter((line) => line.name === header)
    return own.length > 0 && own.length === message.headers(header).length && own.every(isWhole)
  })
}

function isWhole({ left }: OwnLine): boolean {
  return left === ''
}

function isOwn(item: AuthItem, isOurs: (realm: string) => boolean): boolean {
  if (item.scheme !== 'digest') return false
  const realm = realmOf(item)
  return realm !== undefined && isOurs(realm)
}

/** The credentials of a realm in one header. `fault`: there are none, but something of scheme Digest that cannot be read. */
export type FoundCredentials =
  | { readonly found: 'items'; readonly items: readonly AuthItem[] }
  | { readonly found: 'fault'; readonly reason: AuthFault | 'parameter-missing' }
  | { readonly found: 'none' }

/** Looks for the credentials of `realm`. */
export function findCredentials(
  message: SipMessage,
  header: CredentialHeader,
  realm: string,
): FoundCredentials {
  const items: AuthItem[] = []
  let reason: AuthFault | 'parameter-missing' | undefined
  for (const { name, parsed } of linesOf(message)) {
    if (name !== header) continue
    if (parsed.ok) {
      for (const item of parsed.items) {
        if (item.scheme !== 'digest') continue
        const found = realmOf(item)
        if (found === realm) items.push(item)
        else if (found === undefined) reason ??= 'parameter-missing'
      }
    } else if (parsed.scheme === 'digest' || parsed.scheme === '') reason ??= parsed.reason
  }
  if (items.length > 0) return { found: 'items', items }
  return reason === undefined ? { found: 'none' } : { found: 'fault', reason }
}
