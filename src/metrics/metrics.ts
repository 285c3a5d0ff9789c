/**
 * Every metric of the product: name, help, labels.
 * @module
 */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import { createCells, type CellFamily } from './counters.ts'
import { registerFleet, type FleetReadings } from './fleet.ts'
import { registerLive, type LiveReadings } from './live.ts'
import { createUserMetrics, type UserFacts, type UserMetrics } from './users.ts'

/** What the exporter says of one key; no secret, at most 8 hex digits of a fingerprint. */
export interface KeyFacts {
  readonly group: string
  readonly key: string
  readonly state: string
  readonly fingerprint: string
  readonly activeFrom: Date | undefined
  readonly expires: Date | undefined
}

/** What the exporter says of one group. */
export interface GroupFacts {
  readonly group: string
  readonly signable: boolean
  /** Of all its keys and dates: nodes that hold the same group show the same. */
  readonly fingerprint: string
}

/** The state of the keyring at a scrape. */
export interface KeyringFacts {
  readonly keys: readonly KeyFacts[]
  readonly groups: readonly GroupFacts[]
  /** Of a sealed keyring. */
  readonly revision?: number
}

/** Key states, the closed set of label `state`. */
const STATES = ['pending', 'active', 'overlapping', 'expired', 'revoked'] as const

/** The metrics of one node. */
export interface Metrics {
  readonly registry: Registry
  readonly verifications: CellFamily<'peer' | 'group' | 'direction' | 'outcome'>
  readonly rejections: CellFamily<'peer' | 'group' | 'reason'>
  readonly keyVerifications: CellFamily<'group' | 'key' | 'peer'>
  readonly signatures: CellFamily<'group' | 'key' | 'direction' | 'outcome'>
  readonly messages: CellFamily<'direction' | 'method_or_class' | 'transport'>
  readonly parseErrors: CellFamily<'kind'>
  readonly dropped: CellFamily<'reason'>
  readonly suppressed: CellFamily<'side'>
  readonly socketErrors: CellFamily<'side'>
  /** Adds those of users. Called once, where there are any. @param facts asked at each scrape */
  forUsers(facts: () => UserFacts): UserMetrics
  /** Hands in what only the running edge knows. */
  observe(readings: Partial<EdgeReadings> & LiveReadings & FleetReadings): void
}

/** What is read from the edge at each scrape, by side or by peer. */
export interface EdgeReadings {
  /** Datagrams that the kernel dropped since the sockets were opened. */
  readonly drops: () => ReadonlyMap<string, number>
  /** Bytes. */
  readonly receiveBuffers: () => ReadonlyMap<string, number>
  /** INVITEs remembered for their CANCEL and ACK. */
  readonly invites: () => ReadonlyMap<string, number>
  readonly draining: () => boolean
}

/** What `createMetrics` takes. */
export interface MetricsOptions {
  readonly version: string
  /** Asked at each scrape. */
  readonly keyring: () => KeyringFacts
  /** `all` adds the process and Node metrics of prom-client. */
  readonly process?: 'all' | 'none'
}

/** Creates all metrics in a registry of their own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  if (options.process !== 'none') collectDefaultMetrics({ register: registry })
  const build = new Gauge({
    name: 'xkeys_build_info',
    help: 'Version that runs; always 1',
    labelNames: ['version'],
    registers: [registry],
  })
  build.set({ version: options.version }, 1)
  registerKeyring(registry, options.keyring)
  let readings: Partial<EdgeReadings> & LiveReadings & FleetReadings = {}
  registerReadings(registry, () => readings)
  registerLive(registry, () => readings)
  registerFleet(registry, () => readings)
  return {
    observe: (more) => {
      readings = { ...readings, ...more }
    },
    suppressed: createCells(
      registry,
      'xkeys_refusals_suppressed_total',
      'Answers not sent because one source provoked too many',
      ['side'],
    ),
    socketErrors: createCells(registry, 'xkeys_socket_errors_total', 'Errors of the SIP sockets', ['side']),
    forUsers: (facts) => createUserMetrics(registry, facts),
    registry,
    verifications: createCells(registry, 'xkeys_verifications_total', 'Messages judged', [
      'peer',
      'group',
      'direction',
      'outcome',
    ]),
    rejections: createCells(registry, 'xkeys_rejections_total', 'Messages refused, by reason', [
      'peer',
      'group',
      'reason',
    ]),
    keyVerifications: createCells(
      registry,
      'xkeys_key_verifications_total',
      'Messages accepted, by the key that signed them and the peer: who still uses the old key',
      ['group', 'key', 'peer'],
    ),
    signatures: createCells(registry, 'xkeys_signatures_total', 'Tokens made', [
      'group',
      'key',
      'direction',
      'outcome',
    ]),
    messages: createCells(registry, 'xkeys_sip_messages_total', 'SIP messages received and sent', [
      'direction',
      'method_or_class',
      'transport',
    ]),
    parseErrors: createCells(registry, 'xkeys_sip_parse_errors_total', 'Datagrams that are no SIP message', [
      'kind',
    ]),
    dropped: createCells(registry, 'xkeys_dropped_total', 'Messages dropped without an answer', ['reason']),
  }
}

function registerReadings(registry: Registry, readings: () => Partial<EdgeReadings>): void {
  const registers = [registry]
  const drops = new Counter({
    name: 'xkeys_udp_receive_drops_total',
    help: 'Datagrams that the kernel dropped because a receive buffer was full',
    labelNames: ['side'],
    registers,
    collect() {
      drops.reset()
      for (const [side, value] of readings().drops?.() ?? []) drops.inc({ side }, value)
    },
  })
  const buffers = new Gauge({
    name: 'xkeys_udp_receive_buffer_bytes',
    help: 'Receive buffer that the kernel granted',
    labelNames: ['side'],
    registers,
    collect() {
      for (const [side, value] of readings().receiveBuffers?.() ?? []) buffers.set({ side }, value)
    },
  })
  const invites = new Gauge({
    name: 'xkeys_invites_remembered',
    help: 'INVITEs remembered so that their CANCEL and ACK may come without a token',
    labelNames: ['peer'],
    registers,
    collect() {
      for (const [peer, value] of readings().invites?.() ?? []) invites.set({ peer }, value)
    },
  })
  const draining = new Gauge({
    name: 'xkeys_draining',
    help: 'Whether the node takes no new work because it is about to end',
    registers,
    collect() {
      draining.set(readings().draining?.() === true ? 1 : 0)
    },
  })
}

function registerKeyring(registry: Registry, facts: () => KeyringFacts): void {
  const registers = [registry]
  const gauge = <T extends string>(
    name: string,
    help: string,
    labelNames: T[],
    fill: (gauge: Gauge<T>) => void,
  ): void => {
    const created: Gauge<T> = new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        created.reset()
        fill(created)
      },
    })
  }
  const keyLabels = ['group', 'key'] as ('group' | 'key')[]
  gauge('xkeys_key_info', 'Keys held; always 1', ['group', 'key', 'fingerprint'], (g) => {
    for (const { group, key, fingerprint } of facts().keys) g.set({ group, key, fingerprint }, 1)
  })
  gauge('xkeys_key_state', 'State of a key: 1 for the one it is in', ['group', 'key', 'state'], (g) => {
    for (const key of facts().keys) {
      for (const state of STATES)
        g.set({ group: key.group, key: key.key, state }, key.state === state ? 1 : 0)
    }
  })
  gauge('xkeys_key_active_from_timestamp_seconds', 'When a key begins to sign', keyLabels, (g) => {
    for (const { group, key, activeFrom } of facts().keys) {
      if (activeFrom !== undefined) g.set({ group, key }, activeFrom.getTime() / 1000)
    }
  })
  gauge('xkeys_key_not_after_timestamp_seconds', 'When a key stops to verify', keyLabels, (g) => {
    for (const { group, key, expires } of facts().keys) {
      if (expires !== undefined) g.set({ group, key }, expires.getTime() / 1000)
    }
  })
  gauge('xkeys_group_signable', 'Whether a group has a key that signs', ['group'], (g) => {
    for (const { group, signable } of facts().groups) g.set({ group }, signable ? 1 : 0)
  })
  gauge('xkeys_keyring_revision', 'Revision of the sealed keyring in force', [], (g) => {
    const { revision } = facts()
    // What has no labels shows 0 once it was reset: a keyring that is not sealed has no revision.
    if (revision === undefined) g.remove()
    else g.set(revision)
  })
  gauge('xkeys_keyring_info', 'Group as this node holds it; always 1', ['group', 'fingerprint'], (g) => {
    for (const { group, fingerprint } of facts().groups) g.set({ group, fingerprint }, 1)
  })
}
