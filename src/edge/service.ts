/**
 * The edge as a service: configuration and keyring from files, log, admin port, life cycle.
 * @module
 */
import { dirname, resolve } from 'node:path'
import { pino, type DestinationStream, type Logger } from 'pino'
import { ConfigError, type Issue } from '../errors.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { lintKeyring } from '../keyring/lint.ts'
import { createMetrics, type Metrics } from '../metrics/metrics.ts'
import { parseToml } from '../toml.ts'
import type { KekHolder } from '../stores/kek.ts'
import { loadKeyringFile } from '../stores/keyring-file.ts'
import { loadNodeSecret } from '../stores/node-secret.ts'
import { openAdmin, type Admin } from './admin.ts'
import { checkKeyring } from './check-keyring.ts'
import { parseEdgeConfig, type EdgeConfig } from './config.ts'
import { openConfigKek } from './config-kek.ts'
import { isRedisUrl } from './config-redis.ts'
import { createEdge, type Edge } from './edge.ts'
import { watchClock } from './clock-watch.ts'
import type { EdgeEvent } from './event.ts'
import { openLiveKeys } from './live-keys.ts'
import { credentialIssues } from './credential-files.ts'
import { openUsers, type OpenUsers } from './open-users.ts'
import { fetchTable } from './secret-reference.ts'
import { readTextFile } from '../stores/read-text.ts'

/** A configuration with the keyring it names. */
export interface LoadedConfig {
  readonly path: string
  readonly config: EdgeConfig
  /** Absent of a shared one, which is read from its store. */
  readonly keyring: Keyring | undefined
  /** For a sealed keyring; fetched already. */
  readonly kek: KekHolder | undefined
  /** For what the keyring refers to, when it is read again. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Weak or published secrets that are tolerated here. */
  readonly warnings: readonly Issue[]
}

/**
 * Reads `edge.toml` and its keyring; a shared keyring is not asked for.
 * @throws ConfigError with every issue of the two files; weak or published secrets are among them where `strict_keys`
 *   is set or a listener is not loopback
 */
export function loadConfig(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  now: Date,
): LoadedConfig {
  const text = readTextFile(path, 'ERR_CONFIG_INVALID')
  const load = (file: string, kek?: KekHolder): Keyring =>
    namingFile(file, () => loadKeyringFile(resolve(dirname(path), file), { env, now, kek }))
  const config = withIssuesOf(
    () => parseEdgeConfig(text),
    () => {
      const file = keyringOf(text)
      if (file !== undefined) load(file)
    },
  )
  const kek = config.kek && openConfigKek(config.kek, env, dirname(path))
  const place = config.keyring
  const unreadable =
    config.users === undefined
      ? []
      : credentialIssues(config.users.credentials, { env, folder: dirname(path) })
  if (typeof place !== 'string') {
    fetchTable(place.redis, ['keyring', 'redis'], { env, folder: dirname(path) })
    if (unreadable.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', unreadable)
    return { path, config, keyring: undefined, kek, env, warnings: [] }
  }
  const keyring = load(place, kek)
  const issues = [...checkKeyring(config, keyring), ...unreadable]
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return { path, config, keyring, kek, env, warnings: lintKeyring(keyring) }
}

/** Runs `main`; where it fails, the issues of `other` are told with its own. */
function withIssuesOf<T>(main: () => T, other: () => void): T {
  try {
    return main()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    try {
      other()
    } catch (more) {
      if (!(more instanceof ConfigError)) throw more
      throw new ConfigError(error.code, [...error.issues, ...more.issues], { cause: error })
    }
    throw error
  }
}

/** The keyring that a configuration names, be it wrong elsewhere; a sealed one cannot be read then. */
function keyringOf(text: string): string | undefined {
  const toml = parseToml(text)
  const file = toml.ok && toml.value['kek'] === undefined ? toml.value['keyring'] : undefined
  return typeof file === 'string' && file !== '' && !isRedisUrl(file) ? file : undefined
}

/** Names the file of each issue: the reader has the other file in mind. */
function namingFile<T>(file: string, load: () => T): T {
  try {
    return load()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const issues = error.issues.map((issue) => (issue.path.endsWith(file) ? issue : { ...issue, file }))
    throw new ConfigError(error.code, issues, { cause: error })
  }
}

/** Logs events: drops at debug; of each kind of trouble one line a second, with how many were held back. */
export function createEventLog(log: Logger, now: () => number = Date.now): (event: EdgeEvent) => void {
  const last = new Map<string, { at: number; held: number }>()
  return (event) => {
    if (event.event === 'dropped') return log.debug(event)
    // Sampled where it is made.
    if (event.event === 'refused' || event.event === 'auth-failed') return log.info(event)
    const kind = `${event.event} ${event.side} ${event.peer ?? ''}`
    const seen = last.get(kind)
    if (seen !== undefined && Math.abs(now() - seen.at) < 1000) {
      seen.held++
      return
    }
    log.warn({ ...event, ...(seen !== undefined && seen.held > 0 && { held: seen.held }) })
    last.set(kind, { at: now(), held: 0 })
  }
}

/** What a service runs with. */
export interface ServiceOptions {
  readonly loaded: LoadedConfig
  readonly version: string
  /** Where log lines go; default: standard output. */
  readonly logTo?: DestinationStream
}

/** A running edge with everything around it. */
export interface Service {
  readonly edge: Edge
  readonly admin: Admin | undefined
  readonly metrics: Metrics
  readonly log: Logger
  /** Reads keyring and accounts now. What cannot be used is logged, and changes nothing. */
  reload(): void
  /**
   * Drains for `drain_timeout` (not ready, 503 to what begins something new, the rest goes on), then closes. Called
   * again, it closes at once.
   */
  stop(): Promise<void>
}

/**
 * Starts log, keys, metrics, sockets and admin port; nothing stays open where one of them fails.
 * @throws ConfigError where the keyring changed since it was loaded and cannot be used, or the state directory cannot be
 *   written; the system's error where an address cannot be bound
 */
export async function startService({ loaded, version, logTo }: ServiceOptions): Promise<Service> {
  const { config } = loaded
  const log = pino({ level: config.log.level, base: null }, logTo ?? pino.destination(1))
  for (const issue of config.warnings) log.warn({ event: 'config', path: issue.path }, issue.message)
  for (const issue of loaded.warnings) log.warn({ event: 'weak-key', path: issue.path }, issue.message)
  const keys = await openLiveKeys(loaded, log, version)
  const metrics = createMetrics({ version, keyring: () => keys.describe() })
  let users: OpenUsers | undefined
  async function openEdge(): Promise<Edge> {
    // Without a state directory responses to what was sent before a restart are lost.
    const state = config.state === undefined ? undefined : resolve(dirname(loaded.path), config.state)
    users = await openUsers(loaded, log)
    return createEdge({
      config,
      ...(state !== undefined && { secret: loadNodeSecret(state, config.node) }),
      keyring: keys.keyring,
      keyTime: keys.time,
      metrics,
      evidence: keys.evidence,
      users,
      onEvent: createEventLog(log),
      ...(log.isLevelEnabled('debug') && { onDecision: (event) => log.debug(event) }),
    })
  }
  const edge = await openEdge().catch(async (error: unknown) => {
    await users?.close()
    await keys.close()
    throw error
  })
  try {
    keys.begin()
  } catch (error) {
    await edge.close()
    await users?.close()
    await keys.close()
    throw error
  }
  keys.follow(() => edge.refreshKeys())
  let draining = false
  metrics.observe({
    draining: () => draining,
    reloads: keys.reloads,
    evidence: keys.uses,
    fleet: keys.fleet,
    claims: users?.claims.state,
  })
  let admin: Admin | undefined
  try {
    admin =
      config.metrics &&
      (await openAdmin({ listen: config.metrics, registry: metrics.registry, ready: () => !draining }))
  } catch (error) {
    await edge.close()
    await users?.close()
    await keys.close()
    throw error
  }
  const { trunk, upstream } = edge.sockets
  log.info(
    {
      event: 'started',
      trunk: trunk.local,
      upstream: upstream.local,
      receiveBuffer: trunk.receiveBuffer,
      ...(admin && { metrics: admin.local }),
    },
    'edge started',
  )
  // A step is told, never a reason to refuse: keys do not come back to life by it.
  const unwatchClock = watchClock((milliseconds) =>
    log.warn({ event: 'clock-step', milliseconds }, 'the wall clock stepped; keys begin and end by it'),
  )
  let stopped: Promise<void> | undefined
  let endDrain: (() => void) | undefined
  const stop = async (): Promise<void> => {
    draining = true
    const { drainTimeout } = config.limits
    log.info({ event: 'draining', seconds: drainTimeout }, 'edge draining')
    edge.drain()
    await new Promise<void>((resolve) => {
      endDrain = resolve
      setTimeout(resolve, drainTimeout * 1000).unref()
      if (drainTimeout === 0) resolve()
    })
    unwatchClock()
    await edge.close()
    await users?.close()
    await keys.close()
    await admin?.close()
    log.info({ event: 'stopped' }, 'edge stopped')
  }
  return {
    edge,
    admin,
    metrics,
    log,
    reload() {
      keys.reload()
      users?.reload()
    },
    stop: () => {
      // Asked again: whoever asks does not want to wait.
      if (stopped !== undefined) endDrain?.()
      return (stopped ??= stop())
    },
  }
}
