/**
 * Reports of nodes in files: `NODE.report.json` in the state directory. They hold the evidence of key use over a
 * restart, and tell whoever rotates keys what each node holds.
 * @module
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type BigIntStats,
} from 'node:fs'
import { open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../errors.ts'
import type { NodeReport } from '../keyring/evidence.ts'
import { reportSchema } from './report-schema.ts'

const SUFFIX = '.report.json'

/** A file longer than this is no report, bytes. */
const MAX_LENGTH = 64 << 20

/** A report as it was found. `damaged`: there is a file, and it says nothing. */
export type FoundReport = NodeReport | 'missing' | 'damaged'

/** Where a node's report stands. `node` is a name that the configuration took. */
export function reportPath(directory: string, node: string): string {
  return join(directory, `${node}${SUFFIX}`)
}

/** Reads the report of a node. Never throws: what cannot be read is lost evidence, and that is unknown. */
export function loadReport(directory: string, node: string): FoundReport {
  const text = readText(reportPath(directory, node))
  if (text === undefined) return 'missing'
  const report = parseReport(text)
  return report?.node === node ? report : 'damaged'
}

/** Reads the reports of all nodes in a state directory, by the name of the node. Never throws. */
export function loadReports(directory: string): ReadonlyMap<string, FoundReport> {
  const nodes = filesIn(directory).flatMap((name) =>
    name.endsWith(SUFFIX) ? [name.slice(0, -SUFFIX.length)] : [],
  )
  return new Map(nodes.toSorted().map((node) => [node, loadReport(directory, node)]))
}

/** Writes the reports of one node, one after the other. */
export interface ReportWriter {
  /**
   * Writes the first report of a process, before it returns, and removes what an earlier one left half written. Until
   * then nothing is written: another process may be the one that runs.
   * @throws the system's error where it cannot be written
   */
  begin(report: NodeReport): void
  /**
   * Writes a report: beside the one before, to the disk, and over it, so that a crash leaves the one or the other, whole.
   * `foreign`: written, but another process had written there since: two nodes have one name.
   * @throws the system's error where it cannot be written
   */
  save(report: NodeReport): Promise<'saved' | 'foreign'>
}

/**
 * Makes the writer of one node, and the state directory where there is none.
 * @throws the system's error where the directory cannot be made
 */
export function createReportWriter(directory: string, node: string): ReportWriter {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = reportPath(directory, node)
  const beside = `${path}.${process.pid}.tmp`
  let own: string | undefined
  let queue: Promise<unknown> = Promise.resolve()

  async function write(report: NodeReport): Promise<'saved' | 'foreign'> {
    const before = await traceOf(path)
    const isForeign = own !== undefined && before !== own
    // Opening may find what this process left when the disk was full.
    const file = await open(beside, 'w', 0o600)
    try {
      await file.writeFile(textOf(report))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
    await syncDirectory(directory)
    own = await traceOf(path)
    return isForeign ? 'foreign' : 'saved'
  }

  function begin(report: NodeReport): void {
    const half = `${node}${SUFFIX}.`
    for (const name of readdirSync(directory)) {
      if (name.startsWith(half) && name.endsWith('.tmp'))
        rmSync(join(directory, name), { force: true, recursive: true })
    }
    const file = openSync(beside, 'w', 0o600)
    try {
      writeFileSync(file, textOf(report))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(beside, path)
    own = trace(statSync(path, { bigint: true }))
  }

  return {
    begin,
    save(report) {
      const saved = queue.then(() => write(report))
      queue = saved.catch(() => {})
      return saved
    },
  }
}

/** The name is on the disk when its directory is. Some file systems refuse, and need none. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync().catch(() => {})
  } finally {
    await handle.close()
  }
}

async function traceOf(path: string): Promise<string | undefined> {
  try {
    return trace(await stat(path, { bigint: true }))
  } catch {
    return undefined
  }
}

function trace({ dev, ino, mtimeNs }: BigIntStats): string {
  return [dev, ino, mtimeNs].join(' ')
}

function textOf(report: NodeReport): string {
  return `${JSON.stringify({ version: 1, ...report })}\n`
}

function parseReport(text: string): NodeReport | undefined {
  try {
    const parsed = reportSchema.safeParse(JSON.parse(text))
    if (!parsed.success) return undefined
    return parsed.data
  } catch {
    return undefined
  }
}

/** `undefined`: there is none. Empty where it cannot be read. */
function readText(path: string): string | undefined {
  try {
    return statSync(path).size > MAX_LENGTH ? '' : readFileSync(path, 'utf8')
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : ''
  }
}

function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
