import { execFile } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

interface Manifest {
  readonly files: readonly string[]
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly bin: Readonly<Record<string, string>>
  readonly engines: Readonly<Record<string, string>>
}
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest

interface Packed {
  readonly files: readonly { readonly path: string; readonly mode: number }[]
}

const filesUnder = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length).replaceAll('\\', '/'))

describe('the package', () => {
  let packed: readonly string[] = []

  beforeAll(async () => {
    // Without scripts: a build in the middle of a test run would change files under other tests.
    const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
    })
    packed = (JSON.parse(stdout) as readonly Packed[])[0]!.files.map(({ path }) => path)
  })

  it('holds what was built of each source', () => {
    const built = filesUnder('src').flatMap((path) => {
      const stem = path.replace(/^src/, 'dist').replace(/\.ts$/, '')
      return [`${stem}.js`, `${stem}.d.ts`]
    })
    expect(built.filter((path) => !packed.includes(path))).toEqual([])
  })

  it('holds what it lists: keyrings, examples, pages', () => {
    const listed = manifest.files.filter((name) => name !== 'dist' && existsSync(join(ROOT, name)))
    const wanted = listed.flatMap((name) => (/\.md$|^LICENSE$/.test(name) ? [name] : filesUnder(name)))
    expect(wanted.filter((path) => !packed.includes(path))).toEqual([])
    expect(packed).toContain('README.md')
    expect(packed).toContain('LICENSE')
  })

  it('holds nothing else: no source, test, fixture, benchmark, cache or configuration', () => {
    const sources = new Set(
      filesUnder('src').map((path) => path.replace(/^src/, 'dist').replace(/\.ts$/, '')),
    )
    const others = packed.filter((path) => {
      if (path.startsWith('dist/')) return !sources.has(path.replace(/\.(?:js|d\.ts|js\.map)$/, ''))
      return (
        path !== 'package.json' &&
        !/^(?:keyrings|docs|examples|deploy)\//.test(path) &&
        !/^(?:[A-Z]+\.md|LICENSE)$/.test(path)
      )
    })
    expect(others).toEqual([])
    expect(
      packed.filter((path) => /\.test\.ts|fixtures|\.env|\.pem$|\.key$|\.tgz$|\.cache/.test(path)),
    ).toEqual([])
  })

  it('leads to files that it holds', () => {
    const targets = Object.values(manifest.exports)
      .flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)))
      .concat(Object.values(manifest.bin))
      .map((path) => path.replace(/^\.\//, ''))
    expect(targets.filter((path) => !packed.includes(path))).toEqual([])
  })

  it('has a command that begins with its interpreter', () => {
    for (const path of Object.values(manifest.bin)) {
      expect(readFileSync(join(ROOT, path), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    }
  })

  it('says which Node it needs, and from where its examples are imported', () => {
    expect(manifest.engines['node']).toBe('>=20.19')
    expect(Object.keys(manifest.exports)).toEqual(expect.arrayContaining(['.', './edge', './package.json']))
  })
})
