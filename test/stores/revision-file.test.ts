import { readdirSync, readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { acceptRevision } from '../../src/stores/revision-file.ts'
import { errorOf } from '../keyring/error-of.ts'
import { folderWith } from '../support/folder.ts'

const accept = (folder: string, ...revisions: readonly number[]): readonly string[] =>
  revisions.map((revision) => acceptRevision(folder, 'main', revision, 'edge-1'))

describe('revisions', () => {
  it('go up, or stay: an older one is refused', () => {
    expect(accept(folderWith({}), 3, 3, 5, 4, 3, 5, 6)).toEqual([
      'ok',
      'ok',
      'ok',
      'older',
      'older',
      'ok',
      'ok',
    ])
  })

  it('outlive the process: they stand in a file that only its owner can read', () => {
    const folder = folderWith({})
    accept(folder, 5)
    const path = join(folder, 'edge-1.revisions.json')
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ main: 5 })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['edge-1.revisions.json'])
    const { mtimeNs } = statSync(path, { bigint: true })
    accept(folder, 4, 5)
    expect(statSync(path, { bigint: true }).mtimeNs).toBe(mtimeNs)
  })

  it('are each keyring’s and each node’s own', () => {
    const folder = folderWith({})
    accept(folder, 5)
    expect(acceptRevision(folder, 'other', 1, 'edge-1')).toBe('ok')
    expect(acceptRevision(folder, '__proto__', 2, 'edge-1')).toBe('ok')
    expect(acceptRevision(folder, '__proto__', 1, 'edge-1')).toBe('older')
    expect(acceptRevision(folder, 'main', 4, 'edge-2')).toBe('ok')
    expect(acceptRevision(folder, 'main', 3)).toBe('ok')
    expect(accept(folder, 4)).toEqual(['older'])
    expect(readdirSync(folder).toSorted()).toEqual(
      ['edge-1.revisions.json', 'edge-2.revisions.json', `${hostname()}.revisions.json`].toSorted(),
    )
  })

  it('make their folder', () => {
    const folder = join(folderWith({}), 'state', 'node')
    expect(accept(folder, 2, 1)).toEqual(['ok', 'older'])
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })

  it('a node’s name leads nowhere else', () => {
    const folder = folderWith({})
    acceptRevision(join(folder), 'main', 1, '../up')
    expect(readdirSync(folder)).toEqual(['..%2Fup.revisions.json'])
  })

  it.each(['', '{', '[]', 'null', '7', '{"main":"9"}', '{"main":-1}', '{"main":1e99}', '\0\0\0\0'])(
    'begin anew where the file is %j',
    (content) => {
      const folder = folderWith({ 'edge-1.revisions.json': content })
      expect(accept(folder, 2, 1, 3)).toEqual(['ok', 'older', 'ok'])
    },
  )

  it('that cannot be kept are not accepted', () => {
    const folder = folderWith({ state: '' })
    for (const place of [join(folder, 'state'), join(folder, 'state', 'node'), '/proc/self']) {
      const { code, issues } = errorOf(() => acceptRevision(place, 'main', 1, 'edge-1'))
      expect([code, issues.length]).toEqual(['ERR_FILE_UNWRITABLE', 1])
    }
  })
})
