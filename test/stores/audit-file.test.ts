import { chownSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { appendAudit, auditChange, settleAudit } from '../../src/stores/audit-file.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'

function place() {
  const folder = folderWith({ 'k.toml': 'before' })
  const path = join(folder, 'k.toml')
  const text = (): string => readFileSync(`${path}.audit`, 'utf8')
  return {
    folder,
    path,
    text,
    lines: () =>
      text()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

function withSudoUser(name: string | undefined): void {
  const before = process.env['SUDO_USER']
  setSudoUser(name)
  onTestFinished(() => setSudoUser(before))
}

function setSudoUser(name: string | undefined): void {
  if (name === undefined) delete process.env['SUDO_USER']
  else process.env['SUDO_USER'] = name
}

function fail(): never {
  throw new RangeError('no')
}

describe('a line of audit', () => {
  it('tells when, who, where and what', () => {
    withSudoUser(undefined)
    const { path, lines } = place()
    appendAudit(path, {
      command: 'key add',
      group: 'gw',
      key: 'k1',
      fingerprint: '0badcafe',
      expires: 'never',
    })
    expect(lines()).toEqual([
      {
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/) as unknown,
        who: userInfo().username,
        host: hostname(),
        pid: process.pid,
        command: 'key add',
        group: 'gw',
        key: 'k1',
        fingerprint: '0badcafe',
        expires: 'never',
      },
    ])
  })

  it('names who called sudo, and whom sudo made of them', () => {
    withSudoUser('alice')
    const { path, lines } = place()
    appendAudit(path, { command: 'key add' })
    expect(lines()[0]).toMatchObject({ who: 'alice', as: userInfo().username })
  })

  it('goes to the end of a file of mode 0600', () => {
    const { path, lines } = place()
    for (const key of ['a', 'b', 'c']) appendAudit(path, { command: 'key add', key })
    expect(lines().map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    expect(statSync(`${path}.audit`).mode & 0o777).toBe(0o600)
  })

  it('is one line whatever is in it', () => {
    const { path, text, lines } = place()
    appendAudit(path, { command: 'key add', group: 'a\nb', key: '\u2028"\\' })
    expect(text().split('\n')).toHaveLength(2)
    expect(lines()[0]).toMatchObject({ group: 'a\nb', key: '\u2028"\\' })
  })

  it('begins anew behind one that a full disk cut off', () => {
    const { path, text } = place()
    writeFileSync(`${path}.audit`, '{"at":"2026-')
    appendAudit(path, { command: 'key add' })
    expect(text()).toMatch(/^\{"at":"2026-\n\{.*\}\n$/)
  })

  it('is beside the file that a link leads to', () => {
    const { folder, path, lines } = place()
    symlinkSync('k.toml', join(folder, 'link'))
    appendAudit(join(folder, 'link'), { command: 'key add' })
    expect(lines()).toHaveLength(1)
    expect(readdirSync(folder)).not.toContain('link.audit')
    expect(path).toContain(folder)
  })

  it('does not follow a link, which somebody else may have put there', () => {
    const { folder, path } = place()
    symlinkSync('elsewhere', `${path}.audit`)
    expect(errorOf(() => appendAudit(path, { command: 'key add' })).message).toBe(
      `${path}.audit: it cannot be written (ELOOP)`,
    )
    expect(readdirSync(folder).toSorted()).toEqual(['k.toml', 'k.toml.audit'])
  })

  it.runIf(process.geteuid?.() === 0)('belongs to whom the keyring belongs, so that they can go on', () => {
    const { path } = place()
    chownSync(path, 65_534, 65_534)
    appendAudit(path, { command: 'key add' })
    expect(statSync(`${path}.audit`).uid).toBe(65_534)
  })
})

describe('a change', () => {
  const change = { before: 'before', after: 'after' }

  it('has a line before it and one after it', () => {
    const { path, lines } = place()
    auditChange(path, { command: 'key add', key: 'k1' }, change, () => {
      expect(lines().map(({ phase }) => phase)).toEqual(['begin'])
      writeFileSync(path, 'after')
    })
    const [begin, end] = lines()
    expect(begin).toMatchObject({ command: 'key add', key: 'k1', phase: 'begin' })
    expect(end).toMatchObject({
      command: 'key add',
      phase: 'end',
      outcome: 'done',
      operation: begin!['operation'],
    })
  })

  it('that fails is ended as not done', () => {
    const { path, lines } = place()
    expect(() => auditChange(path, { command: 'key add' }, change, fail)).toThrow(RangeError)
    expect(lines().map(({ phase, outcome }) => [phase, outcome])).toEqual([
      ['begin', undefined],
      ['end', 'not done'],
    ])
  })

  it.each([
    ['after', 'done'],
    ['before', 'not done'],
    ['edited by hand since', 'unknown'],
  ])('that was cut off is ended by the next one: the file holds "%s", so %s', (found, outcome) => {
    const { path, lines, text } = place()
    auditChange(path, { command: 'key revoke' }, change, () => {})
    // As if killed before the second line.
    writeFileSync(`${path}.audit`, `${text().split('\n')[0]}\n`)
    settleAudit(path, found)
    expect(lines()[1]).toMatchObject({ command: 'key revoke', phase: 'end', outcome, settled: true })
    settleAudit(path, found)
    expect(lines()).toHaveLength(2)
  })

  it('that was ended needs no end, and neither does an audit that is not there', () => {
    const { folder, path, lines } = place()
    settleAudit(path, 'before')
    expect(readdirSync(folder)).toEqual(['k.toml'])
    auditChange(path, { command: 'key add' }, change, () => {})
    appendAudit(path, { command: 'key show', revealed: true })
    settleAudit(path, 'after')
    expect(lines()).toHaveLength(3)
  })

  it('is told apart by marks that do not give the text away', () => {
    const { path, text } = place()
    const secret = 'xks_pQ4vZr8sTn1wHk6yLb3xJd9fGm2cVa7eUoWiNqRtYuS'
    auditChange(path, { command: 'key add' }, { before: '', after: secret }, () => {})
    expect(text()).not.toContain(secret.slice(4, 12))
    expect(text()).toMatch(/"after":"[0-9a-f]{16}"/)
  })
})
