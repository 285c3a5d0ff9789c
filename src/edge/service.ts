/**
 * The edge as a service: configuration and keyring from files, log, admin port, life cycle.
 * @module
 */
import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { dirname, resolve } from 'node:path'
import { pino, type DestinationStream, type Logger } from 'pino'
import { ConfigError, type Issue } from '../errors.ts'
import { describeKeyring } from '../keyring/facts.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { lintKeyring } from '../keyring/lint.ts'
import { createMetrics, type Metrics } from '../metrics/metrics.ts'
import { parseToml } from '../toml.ts'
import { loadKeyringFile } from '../stores/keyring-file.ts'
import { openAdmin, type Admin } from './admin.ts'
import { parseEdgeConfig, type EdgeConfig } from './config.ts'
import { createEdge, type Edge } from './edge.ts'
import { watchClock } from './clock-watch.ts'
import type { EdgeEvent } from './event.ts'

/** A configuration with the keyring it names. */
export interface LoadedConfig {
  readonly path: string
  readonly config: EdgeConfig
  readonly keyring: Keyring
  /** Weak or published secrets that are tolerated here. */
  readonly warnings: readonly Issue[]
}

/**
 * Reads `edge.toml` and its keyring.
 * @throws ConfigError with every issue of the two files; weak or published secrets are among them where `strict_keys`
 *   is set or a listener is not loopback
 */
export function loadConfig(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  now: Date,
): LoadedConfig {
  const text = readConfig(path)
  const load = (file: string): Keyring =>
    namingFile(file, () => loadKeyringFile(resolve(dirname(path), file), { env, now }))
  const config = withIssuesOf(
    () => parseEdgeConfig(text),
    () => {
      const file = keyringOf(text)
      if (file !== undefined) load(file)
    },
  )
  const keyring = load(config.keyring)
  const issues: Issue[] = config.trunks
    .filter((trunk) => !keyring.hasGroup(trunk.agreement.group))
    .map((trunk) => ({
      path: `trunks.${trunk.name}.agreement`,
      message: `its group ${JSON.stringify(trunk.agreement.group)} is not in the keyring`,
    }))
  const weak = lintKeyring(keyring)
  const open = [config.listen.trunk, config.listen.upstream].some(({ address }) => !isLoopback(address))
  if (config.strictKeys || open) issues.push(...weak)
  if (issues.length > 0) throw new ConfigError('ERR_CONFIG_INVALID', issues)
  return { path, config, keyring, warnings: weak }
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

/** The keyring that a configuration names, be it wrong elsewhere. */
function keyringOf(text: string): string | undefined {
  const toml = parseToml(text)
  const file = toml.ok ? toml.value['keyring'] : undefined
  return typeof file === 'string' && file !== '' ? file : undefined
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

function isLoopback(address: string): boolean {
  return isIPv6(address) ? address === '::1' : address.startsWith('127.')
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new ConfigError('ERR_CONFIG_INVALID', [{ path, message: `it cannot be read (${code})` }], {
      cause: error,
    })
  }
}

/** Logs events: drops at debug; of each kind of trouble one line a second, with how many were held back. */
export function createEventLog(log: Logger, now: () => number = Date.now): (event: EdgeEvent) => void {
  const last = new Map<string, { at: number; held: number }>()
  return (event) => {
    if (event.event === 'dropped') return log.debug(event)
    // Sampled where it is made.
    if (event.event === 'refused') return log.info(event)
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
  /**
   * Drains for `drain_timeout` (not ready, 503 to what begins something new, the rest goes on), then closes. Called
   * again, it closes at once.
   */
  stop(): Promise<void>
}

/** Starts log, metrics, sockets and admin port; nothing stays open where one of them fails. */
export async function startService({ loaded, version, logTo }: ServiceOptions): Promise<Service> {
  const { config, keyring } = loaded
  const log = pino({ level: config.log.level, base: null }, logTo ?? pino.destination(1))
  for (const issue of config.warnings) log.warn({ event: 'config', path: issue.path }, issue.message)
  for (const issue of loaded.warnings) log.warn({ event: 'weak-key', path: issue.path }, issue.message)
  const metrics = createMetrics({ version, keyring: () => describeKeyring(keyring, new Date()) })
  const edge = await createEdge({
    config,
    keyring: () => keyring,
    metrics,
    onEvent: createEventLog(log),
    ...(log.isLevelEnabled('debug') && { onDecision: (event) => log.debug(event) }),
  })
  let draining = false
  metrics.observe({ draining: () => draining })
  let admin: Admin | undefined
  try {
    admin =
      config.metrics &&
      (await openAdmin({ listen: config.metrics, registry: metrics.registry, ready: () => !draining }))
  } catch (error) {
    await edge.close()
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
    await admin?.close()
    log.info({ event: 'stopped' }, 'edge stopped')
  }
  return {
    edge,
    admin,
    metrics,
    log,
    stop: () => {
      // Asked again: whoever asks does not want to wait.
      if (stopped !== undefined) endDrain?.()
      return (stopped ??= stop())
    },
  }
}
