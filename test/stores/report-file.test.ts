import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { NodeReport } from '../../src/keyring/evidence.ts'
import { createReportWriter, loadReport, loadReports, reportPath } from '../../src/stores/report-file.ts'
import { folderWith } from '../support/folder.ts'
import { later, NOON } from '../support/parties.ts'

const key = { group: 'trunk', key: 'a', fingerprint: '0123abcd' }
const REPORT: NodeReport = {
  node: 'edge-1',
  at: later(60_000),
  since: NOON,
  keys: [{ ...key, since: later(1000) }],
  groups: [{ group: 'trunk', fingerprint: 'abcd0123' }],
  uses: [
    {
      ...key,
      peer: 'carrier',
      firstVerified: later(2000),
      lastVerified: later(3000),
      lastSigned: later(4000),
    },
    { ...key, peer: 'branch', lastSigned: later(5000) },
  ],
  revision: 12,
}

const saved = async (directory: string, report = REPORT): Promise<string> => {
  await createReportWriter(directory, report.node).save(report)
  return readFileSync(reportPath(directory, report.node), 'utf8')
}

describe('a report', () => {
  it('is read as it was written', async () => {
    const folder = folderWith({})
    await saved(folder)
    expect(loadReport(folder, 'edge-1')).toEqual(REPORT)
    const last = { ...REPORT, stopped: later(60_000) }
    await saved(folder, last)
    expect(loadReport(folder, 'edge-1')).toEqual(last)
  })

  it('is for its owner alone, and nothing is left beside it', async () => {
    const folder = join(folderWith({}), 'state', 'xkeys')
    await saved(folder)
    expect(readdirSync(folder)).toEqual(['edge-1.report.json'])
    expect(statSync(reportPath(folder, 'edge-1')).mode & 0o777).toBe(0o600)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })

  it('that is not there is missing', () => {
    expect(loadReport(folderWith({}), 'edge-1')).toBe('missing')
    expect(loadReport('/nowhere', 'edge-1')).toBe('missing')
  })

  it.each<[string, (text: string) => string]>([
    ['empty', () => ''],
    ['cut', (text) => text.slice(0, text.length / 2)],
    ['of zeros, as after a power cut', (text) => '\0'.repeat(text.length)],
    ['no object', () => '[]'],
    ['of another version', (text) => text.replace('"version":1', '"version":2')],
    ['of another node', (text) => text.replace('edge-1', 'edge-2')],
    ['without since', (text) => text.replace('"since"', '"sinse"')],
    ['with a time that is none', (text) => text.replace(NOON.toISOString(), 'yesterday')],
    ['with a use that lacks its peer', (text) => text.replace('"peer":"carrier"', '"peer":1')],
  ])('that is %s is damaged, and stops nothing', async (_, damage) => {
    const folder = folderWith({})
    const text = await saved(folder)
    const damaged = damage(text)
    expect(damaged).not.toBe(text)
    writeFileSync(reportPath(folder, 'edge-1'), damaged)
    expect(loadReport(folder, 'edge-1')).toBe('damaged')
    await saved(folder)
    expect(loadReport(folder, 'edge-1')).toEqual(REPORT)
  })

  it('that is a folder is damaged', () => {
    const folder = folderWith({})
    mkdirSync(reportPath(folder, 'edge-1'))
    expect(loadReport(folder, 'edge-1')).toBe('damaged')
  })
})

describe('the reports of all nodes', () => {
  it('are found by node, damaged ones too', async () => {
    const folder = folderWith({ 'rotation.json': '{}', 'c.report.json': 'x', 'b.report.json.17.tmp': 'x' })
    await saved(folder, { ...REPORT, node: 'b' })
    await saved(folder, { ...REPORT, node: 'a' })
    const found = [...loadReports(folder)]
    expect(found.map(([node, report]) => [node, typeof report === 'string' ? report : report.node])).toEqual([
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'damaged'],
    ])
    expect(loadReports('/nowhere').size).toBe(0)
  })
})

describe('the writer', () => {
  it('keeps the order of what it is given at once', async () => {
    const folder = folderWith({})
    const writer = createReportWriter(folder, 'edge-1')
    const all = Array.from({ length: 20 }, (_, i) => writer.save({ ...REPORT, at: later(i * 1000) }))
    expect(new Set(await Promise.all(all))).toEqual(new Set(['saved']))
    expect(loadReport(folder, 'edge-1')).toMatchObject({ at: later(19_000) })
  })

  it('notices that another process writes there, too', async () => {
    const folder = folderWith({})
    const [one, other] = [createReportWriter(folder, 'edge-1'), createReportWriter(folder, 'edge-1')]
    expect(await one.save(REPORT)).toBe('saved')
    expect(await one.save(REPORT)).toBe('saved')
    // The first one cannot know: an earlier run may have written it.
    expect(await other.save(REPORT)).toBe('saved')
    expect(await one.save(REPORT)).toBe('foreign')
    expect(await other.save(REPORT)).toBe('foreign')
    expect(await other.save(REPORT)).toBe('saved')
  })

  it('begins with a report on the disk, and removes what an earlier process of its node left half written', async () => {
    const folder = folderWith({ 'a.report.json.12.tmp': '{', 'b.report.json.13.tmp': '{' })
    const writer = createReportWriter(folder, 'a')
    expect(readdirSync(folder)).toHaveLength(2)
    writer.begin({ ...REPORT, node: 'a' })
    expect(readdirSync(folder).toSorted()).toEqual(['a.report.json', 'b.report.json.13.tmp'])
    expect(loadReport(folder, 'a')).toEqual({ ...REPORT, node: 'a' })
    expect(statSync(reportPath(folder, 'a')).mode & 0o777).toBe(0o600)
    expect(await writer.save({ ...REPORT, node: 'a' })).toBe('saved')
  })

  it('fails where it cannot write, and goes on when it can', async () => {
    const folder = folderWith({})
    const writer = createReportWriter(folder, 'edge-1')
    await writer.save(REPORT)
    // Not by mode: to root all is allowed.
    mkdirSync(`${reportPath(folder, 'edge-1')}.${process.pid}.tmp`)
    await expect(writer.save({ ...REPORT, at: later(99_000) })).rejects.toThrow('EISDIR')
    expect(loadReport(folder, 'edge-1')).toEqual(REPORT)
    createReportWriter(folder, 'other')
    expect(existsSync(reportPath(folder, 'edge-1'))).toBe(true)
  })

  it('refuses a directory that is a file', () => {
    const folder = folderWith({ state: '' })
    expect(() => createReportWriter(join(folder, 'state'), 'a')).toThrow('EEXIST')
  })
})
