/**
 * In which realm a request is authenticated.
 * @module
 */
import { RE2JS } from 're2js'
import type { Issue } from '../errors.ts'

/** How the realm follows from a request. */
export type RealmRule =
  /** Always the same. */
  | { readonly kind: 'fixed'; readonly realm: string }
  /** The domain of the request, without `strip` at its start (`sip.` makes `example.org` of `sip.example.org`). */
  | { readonly kind: 'domain'; readonly strip?: string | undefined }
  /** The first group of a regular expression (RE2) over `user@domain` of the identity that the request claims. */
  | { readonly kind: 'pattern'; readonly pattern: string }

/** Whom a request says it is from: what the realm may follow from. Latin1 text as in its URI. */
export interface Claimant {
  readonly user: string
  readonly host: string
}

/** The realm of a request; undefined where a pattern does not fit. */
export type RealmFinder = (claimant: Claimant) => string | undefined

/** Longest realm, characters. */
const MAX_REALM = 255

/** Compiles a rule; what is wrong with it goes to `issues`. */
export function compileRealm(rule: RealmRule, issues: Issue[]): RealmFinder {
  switch (rule.kind) {
    case 'fixed': {
      if (!isRealm(rule.realm)) issues.push({ path: 'realm.realm', message: REALM_FAULT })
      return () => rule.realm
    }
    case 'domain': {
      const strip = rule.strip?.toLowerCase() ?? ''
      return ({ host }) => {
        const realm = host.toLowerCase()
        return strip !== '' && realm.startsWith(strip) && realm.length > strip.length
          ? realm.slice(strip.length)
          : realm
      }
    }
    case 'pattern':
      return compilePattern(rule.pattern, issues)
  }
}

const REALM_FAULT = 'must be 1 to 255 characters, without control characters, quotes and backslashes'

/** What needs an escape in a quoted string is hashed with it by some clients and without it by others. */
function isRealm(realm: string): boolean {
  return realm !== '' && realm.length <= MAX_REALM && !/["\\\p{Cc}]/u.test(realm)
}

function compilePattern(pattern: string, issues: Issue[]): RealmFinder {
  const path = 'realm.pattern'
  try {
    const compiled = RE2JS.compile(pattern)
    if (compiled.groupCount() < 1)
      issues.push({ path, message: 'needs a group in parentheses: it gives the realm' })
    return ({ user, host }) => {
      const matcher = compiled.matcher(`${user}@${host.toLowerCase()}`)
      const realm = matcher.find() ? (matcher.group(1) ?? '') : ''
      return isRealm(realm) ? realm : undefined
    }
  } catch (error) {
    issues.push({ path, message: error instanceof Error ? error.message : 'is no regular expression' })
    return () => undefined
  }
}
