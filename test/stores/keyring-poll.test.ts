import { renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { openKeyringFile } from '../../src/stores/keyring-file.ts'
import { folderWith } from '../support/folder.ts'

const told = vi.hoisted(() => ({ asked: 0 }))

/** A system that gives no events: they only make it faster. */
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  watch: () => {
    told.asked++
    throw new Error('ENOSPC: System limit for number of file watchers reached')
  },
}))

const key = (name: string): string => `[[groups.g.keys]]\nname = "${name}"\nvalue = "a secret of ${name}"\n`

it('changes are noticed where the system gives no events of folders', { timeout: 60_000 }, async () => {
  const folder = folderWith({ 'one.toml': key('one'), 'two.toml': key('two') })
  const path = join(folder, 'k.toml')
  symlinkSync('one.toml', path)
  const live = openKeyringFile(path, {
    env: {},
    now: () => new Date('2026-11-21T12:00:00Z'),
    onLoaded: () => {},
    onFailed: (error) => expect.unreachable(error.message),
  })
  onTestFinished(() => live.close())
  const untilIs = (name: string): Promise<void> =>
    vi.waitFor(() => expect(live.keyring().keys('g')[0]!.name).toBe(name), { timeout: 20_000, interval: 20 })

  symlinkSync('two.toml', join(folder, 'new'))
  renameSync(join(folder, 'new'), path)
  await untilIs('two')
  writeFileSync(join(folder, 'two.toml'), key('three'))
  await untilIs('three')
  writeFileSync(join(folder, 'new'), key('four'))
  renameSync(join(folder, 'new'), path)
  await untilIs('four')
  expect(told.asked).toBeGreaterThan(1)
})
