/**
 * `[users]` of `edge.toml`, checked as far as it could be read, and made into what the stages take.
 * @module
 */
import { isIPv6 } from 'node:net'
import type { z } from 'zod'
import { ConfigError, type Issue } from '../errors.ts'
import type { NonceBinding } from '../digest/nonce.ts'
import { compileOffers, lintOffers, type OfferOptions } from '../digest/offer.ts'
import { compileUserDomains } from '../digest/user-domain.ts'
import { foldGroup } from '../keyring/keyring.ts'
import type { SourceRange } from '../pipeline/source.ts'
import type { VerifyUserOptions } from '../pipeline/verify-user.ts'
import type { TomlPath } from '../toml.ts'
import { formatRange, isLoopback, overlap } from './config-address.ts'
import type { ConfigDraft, Findings } from './config-checks.ts'
import { checkCredentials, credentialsConfig, type CredentialsConfig } from './config-credentials.ts'
import type { usersSchema } from './config-users-schema.ts'
import { checkRedis, isRedisUrl } from './config-redis.ts'
import type { ClaimsConfig } from './open-claims.ts'

/** Phones: users that are authenticated by digest. */
export interface UsersConfig {
  /** What goes to the digest stage as it is. */
  readonly stage: Pick<
    VerifyUserOptions,
    | 'domains'
    | 'registrarDomains'
    | 'realm'
    | 'algorithms'
    | 'qop'
    | 'realms'
    | 'quirks'
    | 'identity'
    | 'terminates'
    | 'onFailure'
    | 'scanners'
  >
  readonly strangers: 'refuse' | 'forward'
  readonly inDialog: 'authenticate' | 'route'
  readonly trusted: readonly SourceRange[]
  /** Times in milliseconds. */
  readonly nonces: {
    readonly group: string
    readonly lifetime: number
    readonly maxDrift: number
    readonly bind: readonly NonceBinding[]
  }
  /** Times in milliseconds. */
  readonly failures: {
    readonly perSource: number
    readonly perUser: number
    readonly halfLife: number
    readonly ban: number
    readonly capacity: number
    readonly allow: readonly SourceRange[]
  }
  readonly claims: ClaimsConfig
  readonly credentials: CredentialsConfig
  readonly limits: {
    readonly invites: number
    readonly pending: number
    readonly pendingPerSource: number
    readonly requestsPerSecond: number
  }
}

type UsersDraft = NonNullable<ConfigDraft['users']>

/** The configuration that settings without a fault make. */
export function usersConfig(users: NonNullable<z.output<typeof usersSchema>>): UsersConfig {
  const { failures, claims, credentials } = users
  return {
    stage: {
      domains: users.domains,
      registrarDomains: users.registrar_domains,
      realm: users.realm,
      ...offersOf(users),
      identity: users.identity,
      terminates: users.terminates,
      onFailure: users.on_failure,
      scanners: users.scanners,
    },
    strangers: users.strangers,
    inDialog: users.in_dialog,
    trusted: users.trusted,
    nonces: {
      group: users.nonce_group,
      lifetime: users.nonce_lifetime * 1000,
      maxDrift: users.nonce_drift * 1000,
      bind: users.nonce_binding,
    },
    failures: {
      perSource: failures.per_source,
      perUser: failures.per_user,
      halfLife: failures.half_life * 1000,
      ban: failures.ban * 1000,
      capacity: failures.capacity,
      allow: failures.allow,
    },
    claims: {
      capacity: claims.capacity,
      shared:
        claims.source === undefined
          ? undefined
          : { source: claims.source, name: claims.name, redis: claims.redis ?? {} },
    },
    credentials: credentialsConfig(credentials),
    limits: {
      invites: users.invites,
      pending: users.pending,
      pendingPerSource: users.pending_per_source,
      requestsPerSecond: users.requests_per_second,
    },
  }
}

/** Looks at everything in `[users]` that touches two settings, or needs to be compiled. */
export function checkUsers(draft: ConfigDraft, findings: Findings): void {
  const { users } = draft
  if (users === undefined) return
  const { fault, doubt } = findings
  const compiled = [
    ...issuesOf(() =>
      compileUserDomains({
        domains: users.domains ?? STAND_IN,
        registrarDomains: users.registrar_domains,
        realm: users.realm,
      }),
    ),
    ...issuesOf(() => compileOffers(offersOf(users))),
  ]
  for (const { path, message } of compiled) fault(settingPath(path), message)
  checkClaims(users.claims, findings)
  if (compiled.length === 0) {
    for (const { path, message } of lintOffers(offersOf(users))) doubt(settingPath(path), message)
  }
  for (const [index, { port }] of (users.failures?.allow ?? []).entries()) {
    if (port !== undefined)
      fault(['users', 'failures', 'allow', index], 'a port says nothing here: bans are on addresses')
  }
  checkGroup(draft, users, findings)
  checkTrusted(draft, users, findings)
  checkCredentials(users.credentials, findings)
}

const STAND_IN = ['example.invalid']

function issuesOf(compile: () => unknown): readonly Issue[] {
  try {
    compile()
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.issues
  }
}

/** Whoever holds a key of the group can make nonces, and tokens that lead to any phone. */
function checkGroup({ agreements = {} }: ConfigDraft, users: UsersDraft, { fault }: Findings): void {
  const { nonce_group: group } = users
  if (group === undefined) return
  for (const [name, agreement] of Object.entries(agreements)) {
    if (agreement?.group === undefined || foldGroup(agreement.group) !== foldGroup(group)) continue
    const message = `it is the group of agreement ${name}: its peer could make nonces and flow tokens`
    fault(['users', 'nonce_group'], message)
  }
}

/** Bits of a network that nobody owns as a whole by accident. */
const WIDE = { v4: 16, v6: 32 } as const

function checkTrusted({ trunks = {} }: ConfigDraft, users: UsersDraft, { doubt }: Findings): void {
  for (const [index, range] of (users.trusted ?? []).entries()) {
    const path: TomlPath = ['users', 'trusted', index]
    const written = formatRange(range)
    if (range.prefix < (isIPv6(range.address) ? WIDE.v6 : WIDE.v4)) {
      doubt(path, `${written} is a wide network: whoever sends from there is believed to be anybody`)
    }
    for (const [name, trunk] of Object.entries(trunks)) {
      const isShared = trunk?.sources?.some((source) => overlap(source, range)) === true
      if (!isShared || isLoopback(range.address)) continue
      doubt(path, `${written} holds sources of trunk ${name}: those are the trunk's, and need a token`)
    }
  }
}

/** What the compilers call settings, as it is called in the file. */
const NAMES: Readonly<Record<string, string>> = {
  'realm.realm': 'realm',
  'realm.pattern': 'realm',
  registrarDomains: 'registrar_domains',
  userAgent: 'user_agent',
}

/** `registrarDomains[0]`, `quirks[1].userAgent`, `realms.example.org.qop` as paths in the file. */
function settingPath(path: string): TomlPath {
  const [, realm, offered] = /^realms\.(.+)\.(algorithms|qop)$/.exec(path) ?? []
  if (realm !== undefined && offered !== undefined) return ['users', 'realms', realm, offered]
  if (NAMES[path] !== undefined) return ['users', NAMES[path]]
  const [, name = path, index, inner] = /^(\w+)(?:\[(\d+)\])?(?:\.(\w+))?$/.exec(path) ?? []
  return [
    'users',
    NAMES[name] ?? name,
    ...(index === undefined ? [] : [Number(index)]),
    ...(inner === undefined ? [] : [NAMES[inner] ?? inner]),
  ]
}

function offersOf(users: Pick<UsersDraft, 'algorithms' | 'qop' | 'realms' | 'quirks'>): OfferOptions {
  return {
    algorithms: users.algorithms,
    qop: users.qop,
    realms: Object.fromEntries(
      Object.entries(users.realms ?? {}).map(([realm, offer]) => [
        realm,
        { ...(offer?.algorithms && { algorithms: offer.algorithms }), ...(offer?.qop && { qop: offer.qop }) },
      ]),
    ),
    quirks: (users.quirks ?? []).map(({ user_agent: userAgent = 'stand-in', algorithms, qop }) => ({
      userAgent,
      algorithms,
      qop,
    })),
  }
}

/** The Redis of claims, where one is named. */
function checkClaims(claims: UsersDraft['claims'], findings: Findings): void {
  if (claims === undefined) return
  const { source, redis } = claims
  const table = ['users', 'claims']
  if (source === undefined) {
    if (redis !== undefined) findings.doubt([...table, 'redis'], 'it stands alone: source says which Redis')
    return
  }
  if (!isRedisUrl(source))
    return findings.fault([...table, 'source'], 'it must begin with redis://, rediss:// or unix:/')
  checkRedis({ source, redis }, table, [...table, 'source'], findings)
}
