/**
 * The keys of a running edge: a keyring that follows its file or its store, and the evidence of what its keys were used
 * for.
 * @module
 */
import { dirname, resolve } from 'node:path'
import type { Logger } from 'pino'
import { codeOf, ConfigError, type Issue } from '../errors.ts'
import { lastUses, type Evidence } from '../keyring/evidence.ts'
import { createEvidence } from '../keyring/evidence-recorder.ts'
import { describeKeyring } from '../keyring/facts.ts'
import type { Keyring, KeyringSource } from '../keyring/keyring.ts'
import { lintKeyring } from '../keyring/lint.ts'
import type { EvidenceFacts, ReloadFacts } from '../metrics/live.ts'
import type { KeyringFacts } from '../metrics/metrics.ts'
import { createReportWriter, loadReport, type ReportWriter } from '../stores/report-file.ts'
import { acceptRevision } from '../stores/revision-file.ts'
import { checkKeyring } from './check-keyring.ts'
import { createFleetNode, type FleetFacts, type FleetNode } from './fleet-node.ts'
import { followKeyring } from './follow-keyring.ts'
import { createKeyTime } from './key-time.ts'
import { refusalCode } from './refusal-code.ts'
import type { LoadedConfig } from './service.ts'

/** The keys of a running edge. */
export interface LiveKeys {
  readonly keyring: KeyringSource
  /** The time by which its keys begin and end; never goes back. */
  readonly time: () => Date
  readonly evidence: Evidence
  /**
   * Writes the first report, once the sockets are open and no other process can have them, and before the first message:
   * from then on a crash shows.
   * @throws ConfigError where the state directory cannot be written
   */
  begin(): void
  /** From now on `onChanged` is told of each keyring that comes into force. */
  follow(onChanged: () => void): void
  /** Reads the keyring now. */
  reload(): void
  /** The keyring as it may be told. */
  describe(): KeyringFacts
  readonly reloads: () => ReloadFacts
  readonly uses: () => EvidenceFacts
  /** Of the fleet that shares the keyring; absent of one in a file. */
  readonly fleet: FleetFacts | undefined
  /** Ends it, with a last report that says so. */
  close(): Promise<void>
}

/** How often cells are given their times, milliseconds. */
const SAMPLE_MS = 1000
/** Samples between two reports, where nothing asks for one at once. */
const REPORT_EVERY = 5

/**
 * Opens the keyring and takes up the evidence of an earlier run.
 * @param version of the program, for the other nodes
 * @throws ConfigError where the keyring cannot be used, or the state directory not be made
 */
export async function openLiveKeys(loaded: LoadedConfig, log: Logger, version: string): Promise<LiveKeys> {
  const { path, config } = loaded
  const place = config.keyring
  const from = typeof place === 'string' ? { file: resolve(dirname(path), place) } : { shared: place.name }
  const state = config.state === undefined ? undefined : resolve(dirname(path), config.state)
  const writer = state === undefined ? undefined : openState(config.state!, state, config.node)
  const earlier = state === undefined ? 'missing' : loadReport(state, config.node)
  if (earlier === 'damaged')
    log.warn(
      { event: 'report-damaged' },
      'the report of the last run cannot be read; what it held is unknown',
    )

  const time = createKeyTime()
  const revisionIssues = createRevisionCheck(state, config.node)
  const evidence = createEvidence({
    node: config.node,
    now: new Date(),
    peers: config.trunks.map(({ name }) => name),
    earlier: typeof earlier === 'string' ? undefined : earlier,
  })
  let onChanged: (() => void) | undefined
  let refusal: string | undefined
  let fleet: FleetNode | undefined
  const { live, source, shared } = await followKeyring(loaded, {
    log,
    check: (keyring) => {
      const issues = checkKeyring(config, keyring)
      return issues.length > 0 ? issues : revisionIssues(keyring)
    },
    onLoaded(keyring, change) {
      log.info({ event: 'keyring-loaded', ...from, change, ...sizeOf(keyring) }, 'keyring loaded')
      if (change === 'same') return
      for (const issue of lintKeyring(keyring))
        log.warn({ event: 'weak-key', path: issue.path }, issue.message)
      evidence.adopt(keyring, new Date())
      onChanged?.()
      reportDue = true
      // The others wait for this: here the keyring is in force.
      fleet?.now()
    },
    onFailed({ issues }) {
      log.error(
        { event: 'keyring-refused', ...from, issues },
        'the keyring cannot be used; the one before stays in force',
      )
      refusal = refusalCode(issues)
      fleet?.now()
    },
    onStore: () => fleet?.now(),
  })
  evidence.adopt(live.keyring(), new Date())
  if (shared !== undefined)
    fleet = createFleetNode({ ...shared, live, evidence, version, refusal: () => refusal, log })

  let begun = false
  let reportDue = false
  let saving = false
  let failing = false
  let writtenAt: Date | undefined
  async function report(end?: 'stopped'): Promise<void> {
    if (writer === undefined) return
    let written = evidence.report(new Date(), end)
    if ((await writer.save(written)) === 'foreign') {
      log.error(
        { event: 'report-foreign', node: config.node },
        'another node of this name writes its report here; what keys were used for is unknown',
      )
      evidence.lose(new Date())
      written = evidence.report(new Date(), end)
      await writer.save(written)
    }
    writtenAt = written.at
  }
  async function tryReport(end?: 'stopped'): Promise<void> {
    saving = true
    try {
      await report(end)
      if (failing) log.info({ event: 'report-written' }, 'the report can be written again')
      failing = false
    } catch (error) {
      if (!failing)
        log.warn({ event: 'report-failed', reason: codeOf(error, 'unknown') }, 'the report cannot be written')
      failing = true
    } finally {
      saving = false
    }
  }

  let samples = 0
  const timer = setInterval(() => {
    // Looked at, so that no step is missed for want of messages.
    time()
    if (evidence.sample(new Date()) === 'first-use') reportDue = true
    if (++samples % REPORT_EVERY === 0) reportDue = true
    if (!reportDue || saving || !begun) return
    reportDue = false
    void tryReport()
  }, SAMPLE_MS)
  timer.unref()

  return {
    keyring: live.keyring,
    time,
    evidence,
    begin() {
      begun = true
      const first = evidence.report(new Date())
      try {
        writer?.begin(first)
      } catch (error) {
        throw unusable(config.state!, error)
      }
      if (writer !== undefined) writtenAt = first.at
      fleet?.begin()
    },
    follow(tell) {
      onChanged = tell
    },
    reload: () => live.reload(),
    describe: () => {
      const { revision } = live.keyring()
      return { ...describeKeyring(live.keyring(), time()), ...(revision !== undefined && { revision }) }
    },
    fleet: fleet?.facts,
    reloads: () => {
      const { reloads, failing, loadedAt } = live.status()
      return { source, ...reloads, failing, loadedAt }
    },
    uses: () => {
      const { since, ...held } = evidence.report(new Date())
      return { since, uses: lastUses(held), ...(writtenAt && { writtenAt }) }
    },
    async close() {
      clearInterval(timer)
      live.close()
      if (begun) await tryReport('stopped')
      await fleet?.close()
    },
  }
}

function openState(setting: string, directory: string, node: string): ReportWriter {
  try {
    return createReportWriter(directory, node)
  } catch (error) {
    throw unusable(setting, error)
  }
}

function unusable(setting: string, error: unknown): ConfigError {
  const message = `${JSON.stringify(setting)} cannot be written (${codeOf(error, 'unknown')})`
  return new ConfigError('ERR_CONFIG_INVALID', [{ path: 'state', message }], { cause: error })
}

/**
 * An older revision of a sealed keyring must not come back: keys would that were revoked since. Remembered while the edge
 * runs, and in the state directory where there is one.
 */
function createRevisionCheck(
  state: string | undefined,
  node: string,
): (keyring: Keyring) => readonly Issue[] {
  const newest = new Map<string, number>()
  const accept = (name: string, revision: number): 'ok' | 'older' => {
    if (revision < (newest.get(name) ?? 0)) return 'older'
    if (state !== undefined && acceptRevision(state, name, revision, node) === 'older') return 'older'
    newest.set(name, revision)
    return 'ok'
  }
  return ({ name, revision }) => {
    if (name === undefined || revision === undefined) return []
    try {
      if (accept(name, revision) === 'ok') return []
      const message = `${revision} is older than what was in force here before: bring the newest file`
      return [{ path: 'seal.revision', message }]
    } catch (error) {
      if (error instanceof ConfigError) return error.issues
      throw error
    }
  }
}

function sizeOf(keyring: Keyring): object {
  const { groups, revision } = keyring
  const keys = groups.reduce((sum, group) => sum + keyring.keys(group).length, 0)
  return { groups: groups.length, keys, ...(revision !== undefined && { revision }) }
}
