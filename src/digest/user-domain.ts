/**
 * Whose request it is to be: the realm that it is authenticated in, and whether it is for us at all. Never an open relay.
 * @module
 */
import { ConfigError, type Issue } from '../errors.ts'
import type { MessageView } from '../message/view.ts'
import { compileDomains } from './domains.ts'
import { namedUser, type IdentityField } from './identity.ts'
import { compileRealm, type RealmRule } from './realm.ts'

/** What `compileUserDomains` takes. */
export interface UserDomainOptions {
  /** The domains of our users; a label may be `*`. */
  readonly domains: readonly string[]
  /** The domains in which registrations are taken; default all of `domains`. */
  readonly registrarDomains?: readonly string[] | undefined
  /** Default: the domain itself. */
  readonly realm?: RealmRule | undefined
}

/** Why a request belongs to no realm of ours. `not-relaying`: neither its sender nor its target is ours. */
export type DomainFault = 'from-malformed' | 'not-relaying' | 'domain-forbidden' | 'realm-unknown'

/** `stranger`: from a domain of somebody else's to one of ours. */
export type DomainResult =
  | { readonly kind: 'user'; readonly realm: string }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'refused'; readonly reason: DomainFault }

/** Says where requests belong. */
export interface UserDomains {
  /** @param fields that must name the account: the realm follows from the first of them that is no To */
  locate(view: MessageView, fields: readonly IdentityField[]): DomainResult
  /** Whether users of `realm` may have that host in their URIs. */
  isHostOf(realm: string, host: string): boolean
  /** Whether credentials in `realm` are for us. @param current the realm of the request, where it has one */
  isOurs(realm: string, current: string | undefined): boolean
}

/**
 * Compiles domains and realms.
 * @throws ConfigError `ERR_PIPELINE_INVALID` with every issue
 */
export function compileUserDomains(options: UserDomainOptions): UserDomains {
  const rule: RealmRule = options.realm ?? { kind: 'domain' }
  const issues: Issue[] = []
  const isDomain = compileDomains(options.domains, 'domains', issues)
  const registrars = options.registrarDomains
  const isRegistrar =
    registrars === undefined ? isDomain : compileDomains(registrars, 'registrarDomains', issues)
  const realmFor = compileRealm(rule, issues)
  if (options.domains.length === 0)
    issues.push({ path: 'domains', message: 'is empty: nobody could be served' })
  if (issues.length > 0) throw new ConfigError('ERR_PIPELINE_INVALID', issues)
  const strip = rule.kind === 'domain' ? (rule.strip ?? '') : ''

  function locate(view: MessageView, fields: readonly IdentityField[]): DomainResult {
    const isRegister = view.method === 'REGISTER'
    const claimed = namedUser(view, isRegister ? 'to' : fields.includes('preferred') ? 'preferred' : 'from')
    if (claimed === null) return { kind: 'refused', reason: 'from-malformed' }
    const target = view.uri === null ? '' : view.text(view.uri.hostStart, view.uri.hostEnd)
    if (isRegister) {
      if (!isRegistrar(claimed.host) || !isRegistrar(target))
        return { kind: 'refused', reason: isDomain(target) ? 'domain-forbidden' : 'not-relaying' }
    } else if (!(claimed.host === '' ? rule.kind === 'fixed' : isDomain(claimed.host))) {
      return isDomain(target) ? { kind: 'stranger' } : { kind: 'refused', reason: 'not-relaying' }
    }
    const realm = realmFor(claimed)
    return realm === undefined ? { kind: 'refused', reason: 'realm-unknown' } : { kind: 'user', realm }
  }

  return {
    locate,
    isHostOf: (realm, host) =>
      (isDomain(host) || isRegistrar(host)) &&
      (rule.kind !== 'domain' || realmFor({ user: '', host }) === realm),
    isOurs(realm, current) {
      if (realm === current) return true
      if (rule.kind === 'fixed') return realm === rule.realm
      return isDomain(realm) || isRegistrar(realm) || (strip !== '' && isDomain(strip + realm))
    },
  }
}
