/**
 * `[users]` in words, and what an operator should think over with the keyring at hand. Never holds a secret.
 * @module
 */
import type { Issue } from '../errors.ts'
import { byStrength } from '../digest/algorithm.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { SCANNERS } from '../digest/scanners.ts'
import { formatRange } from './config-address.ts'
import type { CredentialsConfig } from './config-credentials.ts'
import type { UsersConfig } from './config-users.ts'

/** One line: a label, where it begins something, and what is said. */
export type Row = readonly [label: string, text: string]

/** What the edge does with phones. */
export function explainUsers(users: UsersConfig, keyring: Keyring | undefined, now: Date): readonly Row[] {
  const { stage, nonces, failures, limits } = users
  const { registrarDomains, terminates = ['REGISTER'], identity = {} } = stage
  return [
    ['domains', stage.domains.join(', ')],
    ...(registrarDomains === undefined
      ? []
      : [['', `registrations are taken for ${registrarDomains.join(', ')}`] as const]),
    ['realm', realmText(users)],
    ['accounts', accountsText(users.credentials)],
    ...driverRows(users.credentials),
    ...cacheRows(users.credentials),
    ['challenge', `401 for ${terminates.join(', ')}, 407 for others; offers ${offerText(stage)}`],
    ...Object.entries(stage.realms ?? {}).map(([realm, offer]): Row => [
      '',
      `in realm ${realm}: ${offerText({ ...stage, ...offer }, 'as written')}`,
    ]),
    ...(stage.quirks ?? []).map(({ userAgent, algorithms, qop }): Row => [
      '',
      `to ${JSON.stringify(userAgent)}: ${offerText({ algorithms: algorithms ?? stage.algorithms, qop: qop ?? stage.qop }, 'as written')}`,
    ]),
    ['nonces', `for ${nonces.lifetime / 1000} s, ${boundText(nonces.bind)}, by group ${nonces.group}`],
    ...(keyring === undefined ? [] : [['', keysText(nonces.group, keyring, now)] as const]),
    ...Object.entries(identity).map(([method, fields]): Row => [
      '',
      fields.length === 0
        ? `who sends ${method} may name anybody as its sender`
        : `in ${method} ${fields.join(' and ')} must name the account`,
    ]),
    ['dialogs', DIALOGS[users.inDialog]],
    ['strangers', STRANGERS[users.strangers]],
    ...(users.trusted.length === 0
      ? []
      : [
          [
            'trusted',
            `${users.trusted.map(formatRange).join(', ')}: never challenged but for REGISTER`,
          ] as const,
        ]),
    [
      'failures',
      stage.onFailure === 'challenge' ? 'a wrong answer is challenged again' : 'a wrong answer is 403',
    ],
    [
      '',
      `${failures.perSource} of one source ban it for ${failures.ban / 1000} s; ${failures.perUser} of one user ban strangers to it`,
    ],
    ...(failures.allow.length === 0
      ? []
      : [['', `never banned: ${failures.allow.map(formatRange).join(', ')}`] as const]),
    ['scanners', scannersText(stage.scanners)],
    [
      'bounds',
      `${limits.requestsPerSecond} requests a second are judged, half of them from unknown addresses; ${limits.pending} wait at once, ${limits.pendingPerSource} of one source; ${users.claims.capacity} nonce counts, ${limits.invites} INVITEs are remembered`,
    ],
    ...(users.claims.shared === undefined
      ? []
      : [['counts', `nonce counts are shared in Redis as ${users.claims.shared.name}`] as const]),
  ]
}

/** What an operator should know of the group of the nonces at `now`. */
export function userWarnings(users: UsersConfig | undefined, keyring: Keyring, now: Date): readonly Issue[] {
  if (users === undefined) return []
  const { group } = users.nonces
  const id = JSON.stringify(group)
  const path = 'users.nonce_group'
  if (keyring.activeKey(group, now) !== undefined) return []
  return [{ path, message: `no key of ${id} makes nonces now: nobody can be challenged` }]
}

const DIALOGS = {
  authenticate: 'requests in a dialog are challenged; the ACK of a call passes by its route',
  route: 'requests in a dialog pass by the token in their route, from the address it was made for',
} as const

const STRANGERS = {
  refuse: 'requests from other domains are refused',
  forward: 'requests from other domains to ours go to the upstream, and nobody knows who sent them',
} as const

function realmText({ stage: { realm } }: UsersConfig): string {
  switch (realm?.kind) {
    case 'fixed':
      return realm.realm
    case 'pattern':
      return `what ${realm.pattern} finds first in user@domain`
    case 'domain':
    case undefined:
    default:
      return realm?.strip === undefined
        ? 'the domain of each request'
        : `the domain of each request, without ${realm.strip} at its start`
  }
}

function accountsText({ kind, source, http, sql }: CredentialsConfig): string {
  switch (kind) {
    case 'toml':
      return `in ${source}`
    case 'flexisip':
      return `in ${source}, as Flexisip writes them`
    case 'sql': {
      const { query, subscriber } = sql
      const from = query === undefined ? `table ${subscriber?.table ?? 'subscriber'}` : 'a query of your own'
      return `in ${source}, by ${from}${subscriber?.calculateHa1 === true ? ', as plain text' : ''}`
    }
    case 'decision':
      if (http.hooksQuery !== undefined) return `nowhere here: services decide that ${source} names by realm`
      return `nowhere here: ${hostOf(source)} decides${Object.keys(http.hooks).length > 0 ? `, others for ${Object.keys(http.hooks).join(', ')}` : ''}`
    case 'password':
      return `at ${hostOf(source)}, asked for each ${http.gives}`
  }
}

/** Without path and query: they may hold what is nobody's business. */
function hostOf(url: string): string {
  const at = url.indexOf('/', url.indexOf('//') + 2)
  return at < 0 ? url : url.slice(0, at)
}

/** Names alone: values may be secrets. */
function driverRows({ kind, driver, http }: CredentialsConfig): readonly Row[] {
  const isDatabase = kind === 'sql' || http.hooksQuery !== undefined
  return driver === undefined || !isDatabase
    ? []
    : [['', `its driver is told ${Object.keys(driver).join(', ')}`]]
}

function cacheRows({ kind, cache, timeoutMs }: CredentialsConfig): readonly Row[] {
  if (kind === 'toml' || kind === 'flexisip') return [['', 'read at the start, and again on SIGHUP']]
  const waits = `asked for at most ${timeoutMs / 1000} s, then 503`
  if (cache === undefined) return [['', `${waits}; nothing is remembered`]]
  return [
    [
      '',
      `${waits}; ${kind === 'decision' ? 'which service is ' : ''}remembered for ${cache.foundMs / 1000} s, what is not there for ${cache.missingMs / 1000} s`,
    ],
  ]
}

function offerText(
  { algorithms, qop }: Pick<UsersConfig['stage'], 'algorithms' | 'qop'>,
  order?: 'as written',
): string {
  const offered = order === undefined ? byStrength(algorithms ?? []) : (algorithms ?? [])
  return `${offered.join(', ')} with ${qop === undefined || qop.length > 0 ? `qop ${(qop ?? ['auth']).join(', ')}` : 'no qop'}`
}

function boundText(bind: readonly string[]): string {
  return bind.length === 0 ? 'bound to the realm' : `bound to the realm and ${bind.join(' and ')}`
}

function keysText(group: string, keyring: Keyring, now: Date): string {
  const signing = keyring.activeKey(group, now)?.name ?? 'nothing'
  const usable = keyring.verificationKeys(group, now).map(({ name }) => name)
  return `${signing} makes them; accepted under ${usable.length === 0 ? 'none' : usable.join(', ')}`
}

function scannersText(scanners: readonly string[] = SCANNERS): string {
  return scanners.length === 0 ? 'nobody is dropped by name' : `dropped by name: ${scanners.join(', ')}`
}
