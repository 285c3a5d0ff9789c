/**
 * The edge's configuration: `edge.toml`, validated as a whole.
 * @module
 */
import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { ConfigError, type Issue } from '../errors.ts'
import type { Endpoint } from '../message/types.ts'
import type { SourceRange } from '../pipeline/source.ts'
import { parseToml, type TomlTable, reportTo } from '../toml.ts'
import type { Agreement } from '../xkeys/agreement.ts'
import { readAgreement } from './config-agreement.ts'
import { checkTogether } from './config-checks.ts'
import type { KekConfig } from './config-kek.ts'
import { checkKeyringPlace, keyringPlaceOf, type KeyringPlace } from './config-keyring.ts'
import { configSchema } from './config-schema.ts'
import { checkUsers, usersConfig, type UsersConfig } from './config-users.ts'
import { readSettings } from './settings.ts'

export { parseEndpoint } from './config-address.ts'

/** A neighbouring SIP system. */
export interface TrunkConfig {
  readonly name: string
  readonly sources: readonly SourceRange[]
  readonly target: Endpoint
  readonly agreement: Agreement
  readonly domains: readonly string[]
  /** A CANCEL, or the ACK of a failure, without a token: passed where it matches an accepted INVITE, or refused. */
  readonly unsigned: 'match' | 'refuse'
  /** Names of the trunks that a request of this one may be routed to directly, past the upstream; never its own. */
  readonly reaches: readonly string[]
}

/** Everything the edge needs to know, but the keyring's content. */
export interface EdgeConfig {
  /** Path of the keyring, as written; or the store that a shared one is in. */
  readonly keyring: KeyringPlace
  readonly strictKeys: boolean
  /** The state directory, as written. */
  readonly state: string | undefined
  /** Name of this node. */
  readonly node: string
  /** For a sealed keyring. */
  readonly kek: KekConfig | undefined
  readonly listen: { readonly trunk: Endpoint; readonly upstream: Endpoint }
  readonly upstream: { readonly target: Endpoint; readonly sources: readonly SourceRange[] }
  readonly trunks: readonly TrunkConfig[]
  /** Phones; absent: sources that are no trunk's are dropped. */
  readonly users: UsersConfig | undefined
  readonly metrics: Endpoint | undefined
  readonly log: { readonly level: string }
  readonly limits: {
    readonly receiveBuffer: number
    /** Seconds. */
    readonly drainTimeout: number
    readonly refusalsPerSecond: number
    readonly invites: number
  }
  /** What works, and is hardly what was meant. */
  readonly warnings: readonly Issue[]
}

/**
 * Reads `edge.toml`.
 * @throws ConfigError `ERR_CONFIG_INVALID` with every issue, its path, and its line where known.
 */
export function parseEdgeConfig(text: string): EdgeConfig {
  const toml = parseToml(text)
  if (!toml.ok) throw new ConfigError('ERR_CONFIG_INVALID', toml.issues)
  const issues: Issue[] = []
  const warnings: Issue[] = []
  const fault = reportTo(issues, toml.lineOf)
  const draft = readSettings(configSchema, toml.value, fault)
  for (const name of ['agreements', 'trunks']) {
    // Phones alone are enough.
    if (toml.value[name] === undefined && toml.value['users'] === undefined) fault([name], 'it is missing')
  }
  const agreements = new Map<string, Agreement>()
  for (const [name, raw] of Object.entries(draft.agreements ?? {})) {
    if (raw === undefined) continue
    const agreement = readAgreement(name, raw, namesIn(toml.value, ['agreements', name]), fault)
    if (agreement !== undefined) agreements.set(name, agreement)
  }
  const findings = { fault, doubt: reportTo(warnings, toml.lineOf) }
  checkTogether(draft, findings)
  checkKeyringPlace(draft, findings)
  checkUsers(draft, findings)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', byLine(issues))

  const {
    keyring,
    strict_keys: strictKeys,
    state,
    node,
    kek,
    listen,
    upstream,
    trunks = {},
    users,
    metrics,
    log,
    limits,
  } = configSchema.parse(toml.value)
  const place = keyringPlaceOf({ keyring, kek })
  const sealedAs = typeof place === 'string' ? kek?.sealed_as : place.name
  return {
    keyring: place,
    strictKeys,
    state,
    node: node ?? hostName(),
    kek: kek && { reference: kek.from, timeoutMs: kek.command_timeout * 1000, keyring: sealedAs },
    listen,
    upstream: { target: upstream.target, sources: upstream.sources ?? [everyPortOf(upstream.target)] },
    trunks: Object.entries(trunks).map(([name, trunk]) => ({
      ...trunk,
      name,
      agreement: agreements.get(trunk.agreement)!,
    })),
    users: users && usersConfig(users),
    metrics: metrics?.listen,
    log,
    limits: {
      receiveBuffer: limits.receive_buffer,
      drainTimeout: limits.drain_timeout,
      refusalsPerSecond: limits.refusals_per_second,
      invites: limits.invites,
    },
    warnings: byLine(warnings),
  }
}

/** The host name, as a node can be called. */
function hostName(): string {
  return (
    hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^\.+/, '')
      .slice(0, 64) || 'node'
  )
}

function byLine(issues: readonly Issue[]): Issue[] {
  return issues.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
}

function everyPortOf({ address }: Endpoint): SourceRange {
  return { address, prefix: isIPv6(address) ? 128 : 32, port: undefined }
}

/** Names that stand in a table. */
function namesIn(root: TomlTable, path: readonly string[]): readonly string[] {
  const table = path.reduce<unknown>((found, name) => (found as TomlTable | undefined)?.[name], root)
  return typeof table === 'object' && table !== null ? Object.keys(table) : []
}
