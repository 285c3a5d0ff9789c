import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig, startService, type Service } from '../../src/edge/service.ts'
import { formatIssue } from '../../src/errors.ts'
import { parseKeyring } from '../../src/keyring/parse-toml.ts'
import { resealKeyring, sealKeyring } from '../../src/keyring/seal.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'
import { KEK_BYTES, OTHER_KEK, PLAIN, sealed, shown, SOURCE } from '../support/sealed.ts'

const EDGE = `keyring = "keys.toml"
state = "state"
node = "edge-1"
[kek]
from = "file:kek"
sealed_as = "main"
[listen]
trunk = "127.0.0.1:0"
upstream = "127.0.0.1:0"
[upstream]
target = "127.0.0.1:9"
[limits]
drain_timeout = 0
[agreements.main]
header = "X-Auth"
group = "Trunk-A"
algorithm = "hmac-sha256"
request = "$rm:$ru"
[trunks.carrier]
sources = ["127.0.0.1"]
target = "127.0.0.1:9"
agreement = "main"
`
/** The same keyring at revisions 1, 2 and 3; the second one revokes the key that signs. */
const FIRST = sealed()
const SECOND = resealKeyring(
  FIRST,
  FIRST.replace('2026-10-01T02:00:00+02:00', '2026-10-01T00:00:00Z\nrevoked = true'),
  SOURCE,
)
const THIRD = resealKeyring(SECOND, SECOND, SOURCE)

interface Node {
  readonly service: Service
  /** What was said of keyrings: `loaded 2`, or the issues of one that was refused. */
  readonly said: () => readonly string[]
  /** Brings a file, which is read at once; what was said then. */
  bring(text: string): string
}

interface LogLine {
  readonly event: string
  readonly revision?: number
  readonly issues?: readonly { readonly path: string; readonly message: string }[]
}

async function start(folder: string): Promise<Node> {
  const lines: string[] = []
  const service = await startService({
    loaded: loadConfig(join(folder, 'edge.toml'), {}, new Date()),
    version: 'test',
    logTo: { write: (line) => lines.push(line) },
  })
  onTestFinished(async () => {
    await service.stop()
    // Neither the log nor what the node keeps shows a secret or a KEK.
    const kept = readdirSync(join(folder, 'state')).map((name) =>
      readFileSync(join(folder, 'state', name), 'utf8'),
    )
    expect(shown(lines.join('') + kept.join(''))).toEqual([])
  })
  const said = (): readonly string[] =>
    lines
      .map((line): LogLine => JSON.parse(line) as LogLine)
      .flatMap(({ event, revision, issues = [] }) => {
        if (event === 'keyring-loaded') return [`loaded ${revision}`]
        return event === 'keyring-refused' ? [issues.map(formatIssue).join('; ')] : []
      })
  return {
    service,
    said,
    bring(text) {
      writeFileSync(join(folder, 'keys.toml'), text)
      service.reload()
      return said().at(-1) ?? 'nothing'
    },
  }
}

const place = (keys = FIRST): string =>
  folderWith({ 'edge.toml': EDGE, 'keys.toml': keys, kek: KEK_BYTES.one })
const startFails = (folder: string) =>
  start(folder).then(
    () => ['it started'],
    (error: unknown) =>
      errorOf(() => {
        throw error
      }).issues.map(formatIssue),
  )

describe('an edge with a sealed keyring', () => {
  it('follows it, and takes nothing else in its place', async () => {
    const node = await start(place())
    expect(node.bring(SECOND)).toBe('loaded 2')
    expect(node.bring(PLAIN)).toContain('the keyring is not sealed, and only a sealed one is accepted')
    expect(node.bring(SECOND.replace(/\[\[groups.Trunk-A[^]*?\n(?=\[\[)/, ''))).toContain(
      'seal.mac: does not fit',
    )
    expect(node.bring(SECOND.replaceAll('revoked = true\n', ''))).toContain('seal.mac: does not fit')
    expect(node.bring(sealKeyring(PLAIN, { kek: OTHER_KEK, keyring: 'main' }))).toContain(
      'sealed with another',
    )
    expect(
      node.bring(sealKeyring(PLAIN, { ...SOURCE, kek: SOURCE.find(kekIdOf(FIRST))!, keyring: 'other' })),
    ).toContain('the keyring here must be the one sealed as "main"')
    expect(node.bring(THIRD)).toBe('loaded 3')
  })

  it('refuses an older revision, after a restart too', async () => {
    const folder = place(THIRD)
    const node = await start(folder)
    expect(node.bring(FIRST)).toMatch(/seal\.revision: 1 is older than what was in force here before/)
    expect(node.bring(THIRD)).toBe('loaded 3')
    await node.service.stop()
    writeFileSync(join(folder, 'keys.toml'), SECOND)
    expect(await startFails(folder)).toEqual([expect.stringContaining('seal.revision: 2 is older than')])
    writeFileSync(join(folder, 'keys.toml'), THIRD)
    expect((await start(folder)).bring(THIRD)).toBe('loaded 3')
  })

  it('remembers a revision only of a keyring that it has accepted', async () => {
    const node = await start(place())
    // It verifies, but lacks the group of the trunk.
    const without = FIRST.replace(/\[\[groups.Trunk-A[^]*(?=\[\[groups."gw 1".keys\]\]\nname = "stolen")/, '')
    expect(
      node.bring(resealKeyring(THIRD, without.replace(/\[seal\]\n(?:.+\n){4}/, sealOf(THIRD)), SOURCE)),
    ).toContain('its group "Trunk-A" is not in the keyring')
    expect(node.bring(SECOND)).toBe('loaded 2')
  })

  it('takes a new KEK without being started again, whichever comes first', async () => {
    const folder = place()
    const node = await start(folder)
    const again = sealKeyring(FIRST, { kek: OTHER_KEK, open: SOURCE })
    expect(node.bring(again)).toContain('it is sealed with another key-encryption key than the one given')
    writeFileSync(join(folder, 'kek'), KEK_BYTES.two)
    // The file is read once more as soon as the KEK is there; asked for again, where it came late.
    await vi.waitFor(
      () => {
        node.service.reload()
        expect(node.said().at(-1)).toBe('loaded 2')
      },
      { timeout: 15_000, interval: 50 },
    )
    // The one before is known still: its newer revisions are read, its older ones refused as such.
    expect(node.bring(FIRST)).toContain('seal.revision: 1 is older')
    expect(node.bring(THIRD)).toBe('loaded 3')
  })
})

const kekIdOf = (toml: string): string => /kek = "(\w+)"/.exec(toml)?.[1] ?? ''
const sealOf = (toml: string): string => /\[seal\]\n(?:.+\n){4}/.exec(toml)?.[0] ?? ''

it('the revisions of these tests are what they are taken for', () => {
  const revisions = [FIRST, SECOND, THIRD].map((toml) => parseKeyring(toml, { kek: SOURCE }).revision)
  expect(revisions).toEqual([1, 2, 3])
})
