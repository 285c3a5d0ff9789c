import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadNodeSecret } from '../../src/stores/node-secret.ts'
import { folderWith } from '../support/folder.ts'

describe('the secret of a node', () => {
  it('is made once, for its owner alone, and kept', () => {
    const folder = join(folderWith({}), 'state')
    const secret = loadNodeSecret(folder, 'edge 1')
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    expect(loadNodeSecret(folder, 'edge 1')).toBe(secret)
    const path = join(folder, 'edge%201.secret')
    expect([readFileSync(path, 'latin1'), statSync(path).mode & 0o777]).toEqual([`${secret}\n`, 0o600])
    expect(loadNodeSecret(folder, 'edge 2')).not.toBe(secret)
  })

  it.each(['', 'short', 'g'.repeat(64), `${'0'.repeat(64)}0`, `${'0'.repeat(64)}\n\n`])(
    'is made anew where the file holds %j',
    (text) => {
      const folder = folderWith({ 'a.secret': text })
      const secret = loadNodeSecret(folder, 'a')
      expect(secret).not.toBe(text)
      expect(loadNodeSecret(folder, 'a')).toBe(secret)
    },
  )

  it('is refused by name where it cannot be kept', () => {
    const folder = folderWith({})
    writeFileSync(join(folder, 'file'), '')
    expect(() => loadNodeSecret(join(folder, 'file'), 'a')).toThrow(
      expect.objectContaining({ code: 'ERR_FILE_UNWRITABLE' }),
    )
    mkdirSync(join(folder, 'b.secret'))
    expect(() => loadNodeSecret(folder, 'b')).toThrow(
      expect.objectContaining({ code: 'ERR_FILE_UNWRITABLE' }),
    )
  })
})
